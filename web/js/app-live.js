/** The page of one app: its session, what it is set to, and what it tells. */

import { Session, capture, captureScreen, explain } from "../sdk/aimass-stream.js";
import { byId, h } from "./dom.js";
import { describeEvent, severity } from "./events.js";
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
/** @type {Session | null} */
let session = null;

/** @param {MediaStream} tracks what is sent; of the rest what stages make is shown */
function begin(tracks) {
  session = new Session({ url: location.origin, app: place.dataset.app, parameters: parameters(), fallback: "hold" });
  session.on("event", (event) => {
    if (!TOLD.has(event.type)) return;
    told.prepend(h("li", { "data-tone": severity(event.type) }, describeEvent(event)));
    while (told.children.length > MOST_TOLD) told.lastElementChild?.remove();
  });
  session.on("status", show);
  screen.srcObject = new MediaStream([session.process(tracks.getVideoTracks()[0] ?? "video"),
    session.process(tracks.getAudioTracks()[0] ?? "audio")]);
  session.open();
}

/** @param {import("../sdk/aimass-stream.js").Status} status */
function show({ state, error }) {
  how.textContent = { connecting: say("Connecting"), live: say("Live"), reconnecting: say("Coming back"), failed: "", closed: "", idle: "" }[state];
  place.dataset.state = state;
  start.hidden = ["connecting", "live", "reconnecting"].includes(state);
  stop.hidden = !start.hidden;
  if (state !== "failed") return;
  trouble.hidden = false;
  trouble.textContent = explain(error).message;
  rest();
}

function rest() {
  void session?.close();
  session = null;
  source?.getTracks().forEach((track) => track.stop());
  source = null;
  screen.srcObject = null;
}

/** @returns {Promise<MediaStream>} what the app may have of this device */
async function open() {
  const wanted = { video: asked.has("camera") ? { width: 640, height: 480 } : false, audio: asked.has("microphone") };
  const found = wanted.video || wanted.audio ? await capture(wanted) : new MediaStream();
  if (asked.has("screen")) (await captureScreen()).getTracks().forEach((track) => found.addTrack(track));
  return found;
}

start.addEventListener("click", async () => {
  trouble.hidden = true;
  start.disabled = true;
  try {
    source = await open();
    begin(source);
  } catch (cause) {
    trouble.textContent = explain(cause).message;
    trouble.hidden = false;
  }
  start.disabled = false;
});
stop.addEventListener("click", rest);

if (settings instanceof HTMLFormElement) {
  settings.addEventListener("submit", (event) => event.preventDefault());
  settings.addEventListener("change", async (event) => {
    set.add(/** @type {HTMLInputElement} */ (event.target).name);
    complain(settings, null);
    await session?.update({ parameters: parameters() }).catch((error) => complain(settings, error));
  });
}
start.disabled = false;
