/** The page /embed: a processed camera within somebody else's page, which says by messages what it is to do. */

import { AimassStream } from "../adapters/element.js";
import { Port } from "./embed-port.js";
import { SOURCES } from "./embed-messages.js";
import { AimassError, ClosedError } from "../sdk/aimass-stream.js";
import { parsePipeline } from "./pipeline.js";
import { csrfToken } from "./storage.js";

/** @typedef {import("./embed-messages.js").Message} Message */

const PATIENCE = 10_000; // ms that the page may take to fetch a token

const element = /** @type {AimassStream} */ (document.querySelector("aimass-stream"));
const given = { token: /** @type {string | null} */ (null), asks: false };
/** @type {Set<() => void>} those who wait for a token */
const waiting = new Set();
/** @type {unknown} */
let trouble = null;
let asking = 0; // messages `start` that wait for their answers, which tell what is wrong

/** What the address behind its # says. A token in it does not stay there. */
function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  given.token = said.get("token");
  const pipeline = parsePipeline(said.get("pipeline") ?? "null");
  const latency = Number.parseInt(said.get("latency") ?? "", 10) || 0;
  element.options = { ...(pipeline ? { pipeline } : {}), ...(said.has("app") ? { app: said.get("app") ?? "" } : {}),
    ...(said.get("sync") === "lips" ? { sync: "lips" } : {}), ...(latency ? { latency } : {}) };
  const source = said.get("source") ?? "";
  if (SOURCES.includes(source)) element.setAttribute("source", source);
  element.toggleAttribute("sound", said.get("sound") === "yes");
  document.body.dataset.controls = said.get("controls") ?? "yes";
  if (!said.has("token")) return;
  said.delete("token");
  history.replaceState(null, "", `#${said}`);
}

/** What opens the next session: the page is asked where it said that it answers. */
async function token() {
  if (given.asks) {
    const answered = new Promise((resolve) => waiting.add(() => resolve(null)));
    port.tell({ type: "token" });
    const late = setTimeout(() => take(given.token), PATIENCE);
    await answered;
    clearTimeout(late);
  }
  if (given.token === null && parent !== window && csrfToken()) throw new AimassError("unauthorized", {
    title: "This frame needs a token",
    message: "Somebody is signed in here, and no page of others acts in their name.",
    next: "Send the frame a connect token." });
  return given.token;
}

/** @param {string | null} value */
function take(value) {
  given.token = value;
  for (const go of waiting) go();
  waiting.clear();
}

/** @param {Message} message */
async function start({ aimass: _, type: __, id: ___, source, sound, token: shown, ...options }) {
  element.stop();
  if (shown !== undefined) take(shown);
  if (source !== undefined) element.setAttribute("source", source);
  if (sound !== undefined) element.toggleAttribute("sound", sound);
  element.options = { ...element.options, ...options };
  if ("app" in options !== "pipeline" in options) delete element.options["app" in options ? "pipeline" : "app"];
  trouble = null;
  asking += 1;
  const session = await element.start().finally(() => (asking -= 1));
  if (!session) throw trouble ?? new ClosedError();
}

/** @param {Message} message */
async function update({ aimass: _, type: __, id: ___, ...change }) {
  await element.session?.update(change);
  element.options = { ...element.options, ...change };
}

/** @param {Message} message */
async function say({ text }) {
  if (!element.session) throw new ClosedError();
  await element.session.say(text);
}

/** @param {Message} message */
function act(message) {
  switch (message.type) {
    case "hello":
      given.asks = message.tokens ?? false;
      port.tell({ type: "ready", state, ignored: port.ignored, born: performance.timeOrigin });
      return undefined;
    case "start": return start(message);
    case "stop": return element.stop();
    case "update": return update(message);
    case "token": return take(message.token);
    default: return say(message);
  }
}

let state = "idle";
readAddress();
element.token = token;
const port = new Port([location.origin, ...JSON.parse(document.body.dataset.origins ?? "[]")], act);
element.addEventListener("status", (event) => {
  state = /** @type {CustomEvent<string>} */ (event).detail;
  port.tell({ type: "status", state, ignored: port.ignored });
});
element.addEventListener("event", (event) => port.tell({ type: "event", event: /** @type {CustomEvent} */ (event).detail }));
element.addEventListener("error", (event) => {
  trouble = /** @type {CustomEvent} */ (/** @type {Event} */ (event)).detail;
  if (!asking) port.complain(trouble);
});
