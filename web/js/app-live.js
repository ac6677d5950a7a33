/** The page of one app: its session, what it is set to, and what it tells. */

import { Connection } from "./connection.js";
import { byId, h } from "./dom.js";
import { explain, insecureOrigin, sourceError } from "./errors.js";
import { describeEvent, severity } from "./events.js";
import { Signalling } from "./signalling.js";
import { ask } from "./site-api.js";
import { complain, values } from "./site-forms.js";
import { say } from "./site-words.js";

const MOST_TOLD = 60; // lines
const TOLD = new Set(["transcript.committed", "speech.spoken", "text.read", "person.arrived", "person.left", "hand.digit", "hand.gesture",
  "zone.entered", "zone.left", "line.crossed", "rule.fired", "motion.started", "assistant.understood", "assistant.action", "error", "stage.failed", "stage.bypassed"]);

const place = byId("live", HTMLElement);
const screen = byId("screen", HTMLVideoElement);
const [start, stop] = [byId("start", HTMLButtonElement), byId("stop", HTMLButtonElement)];
const [how, trouble, told] = [byId("how", HTMLElement), byId("trouble", HTMLElement), byId("told", HTMLOListElement)];
const settings = document.getElementById("settings");
const asked = new Set((place.dataset.permissions ?? "").split(" ").filter(Boolean));
/** @type {Set<string>} what somebody has set; all else is as the app has it */
const set = new Set();

function parameters() {
  const all = settings instanceof HTMLFormElement ? values(settings) : {};
  return Object.fromEntries(Object.entries(all).filter(([name]) => set.has(name)));
}

/** @type {MediaStream | null} */
let source = null;
const connection = new Connection(new Signalling(location.origin), () => /** @type {any} */ ({ app_id: place.dataset.app, parameters: parameters() }));

connection.on("stream", (stream) => (screen.srcObject = stream));
connection.on("event", (event) => {
  if (!TOLD.has(event.type)) return;
  told.prepend(h("li", { "data-tone": severity(event.type) }, describeEvent(event)));
  while (told.children.length > MOST_TOLD) told.lastElementChild?.remove();
});
connection.on("status", ({ state, error }) => {
  how.textContent = { connecting: say("Connecting"), live: say("Live"), reconnecting: say("Coming back"), failed: "", closed: "", idle: "" }[state];
  place.dataset.state = state;
  start.hidden = ["connecting", "live", "reconnecting"].includes(state);
  stop.hidden = !start.hidden;
  trouble.hidden = state !== "failed";
  if (state === "failed") {
    trouble.textContent = explain(error).message;
    rest();
  }
});

function rest() {
  source?.getTracks().forEach((track) => track.stop());
  source = null;
  screen.srcObject = null;
}

/** @returns {Promise<MediaStream>} what the app may have of this device */
async function open() {
  if (!navigator.mediaDevices && asked.size) throw insecureOrigin();
  const wanted = { video: asked.has("camera") ? { width: 640, height: 480 } : false, audio: asked.has("microphone") };
  const found = wanted.video || wanted.audio ? await navigator.mediaDevices.getUserMedia(wanted) : new MediaStream();
  if (asked.has("screen")) (await navigator.mediaDevices.getDisplayMedia()).getTracks().forEach((track) => found.addTrack(track));
  return found;
}

start.addEventListener("click", async () => {
  trouble.hidden = true;
  start.disabled = true;
  try {
    source = await open();
    await connection.setTrack("video", source.getVideoTracks()[0] ?? null);
    await connection.setTrack("audio", source.getAudioTracks()[0] ?? null);
    connection.open();
  } catch (cause) {
    trouble.textContent = sourceError(cause, asked.has("camera") ? "camera" : "microphone").message;
    trouble.hidden = false;
  }
  start.disabled = false;
});
stop.addEventListener("click", () => {
  connection.close();
  rest();
});
addEventListener("pagehide", () => connection.close(true));

if (settings instanceof HTMLFormElement) {
  settings.addEventListener("submit", (event) => event.preventDefault());
  settings.addEventListener("change", async (event) => {
    set.add(/** @type {HTMLInputElement} */ (event.target).name);
    if (!connection.sessionId) return;
    complain(settings, null);
    await ask("PATCH", `/v1/sessions/${connection.sessionId}`, { parameters: parameters() }).catch((error) => complain(settings, error));
  });
}
start.disabled = false;
