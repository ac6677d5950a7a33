/** The page /embed-code: what to write into a page of one's own, for the pipeline or the app behind the address's #. */

import { AimassFrame } from "../adapters/frame.js";
import { AimassError, Rest } from "../sdk/aimass-stream.js";
import { appOf, groupsOf, listChoices, presets, valueOfApp } from "./choices.js";
import { byId, toClipboard, toast } from "./dom.js";
import { embedSnippet } from "./embed-snippets.js";
import { parsePipeline, readLink, writeLink } from "./pipeline.js";
import { problem } from "./problem-words.js";
import { say } from "./site-words.js";
import { apiKey, setApiKey } from "./storage.js";

/** @typedef {import("./embed-snippets.js").Kind} Kind */
/** @typedef {import("./embed-snippets.js").Wish} Wish */

const KINDS = /** @type {const} */ (["frame", "element", "script", "module", "server"]);
const FIRST = "style"; // it is seen at once
const MOST_SHOWN = 300; // characters of a pipeline
/** @type {Record<string, string>} */
const NAMES = { effects: say("Effects"), apps: say("Apps"), mirror: say("Mirror"), blur: say("Blur the background"),
  cartoon: say("Cartoon"), style: say("Painted") };

const [source, by] = [byId("source", HTMLSelectElement), byId("by", HTMLSelectElement)];
const choice = byId("choice", HTMLSelectElement);
const given = new Option("", ""); // what the address asks for, where it is none of the choices
const keyForm = document.getElementById("key-form"); // where nobody is signed in and the server wants to know who asks
const [trouble, failed] = [byId("trouble", HTMLElement), byId("failed", HTMLElement)];
const origins = new Set(JSON.parse(byId("place", HTMLFormElement).dataset.origins ?? "[]"));
/** @type {string | null} */
let token = null;
/** @type {ReturnType<typeof setInterval> | undefined} */
let counting;

const lacksKey = () => keyForm !== null && apiKey() === null;

/** In the name of who is signed in, or of this tab's key. */
const rest = () => new Rest(location.origin, apiKey());

/** @returns {Wish} */
function wished() {
  const app = new URLSearchParams(location.hash.slice(1)).get("app");
  const pipeline = app === null && !unread() ? presets[FIRST] ?? [] : [];
  return { pipeline, sync: "lowest", latency: 0, ...readLink(location.hash), app };
}

/** What the address asks for, where it can't be read, in words. */
function unread() {
  const text = new URLSearchParams(location.hash.slice(1)).get("pipeline");
  return text === null || parsePipeline(text) ? "" : say("The pipeline in this page's address can't be read: it is a JSON list of stages.");
}

/** Has the select name what the address asks for. @param {Wish} wish */
function mark({ app, pipeline }) {
  const same = Object.keys(presets).find((id) => JSON.stringify(presets[id]) === JSON.stringify(pipeline));
  given.remove();
  choice.value = app === null ? same ?? "" : valueOfApp(app.split("@")[0] ?? "");
  if (choice.selectedIndex !== -1) return;
  given.text = app !== null ? app : pipeline.length ? pipeline.map(({ stage }) => stage).join(" → ") : say("No effect");
  choice.prepend(given);
  choice.value = "";
}

/** @param {import("./choices.js").Choices} choices */
function offer(choices) {
  choice.replaceChildren(...groupsOf(choices, (id) => NAMES[id] ?? id));
  mark(wished());
}

async function list() {
  try {
    offer(await listChoices(rest()));
  } catch (error) {
    tell(trouble, error);
  }
}

/** Asks the server what it has, where it would say so. */
async function look() {
  if (!lacksKey()) await Promise.all([list(), learn(wished().app)]);
  write();
}

async function choose() {
  const { sync, latency } = wished();
  const app = appOf(choice.value);
  location.hash = app === null ? writeLink(presets[choice.value] ?? [], sync === "lips" ? "lips" : "lowest", latency) : `app=${encodeURIComponent(app)}`;
  source.value = "camera";
  await learn(app);
  write();
  if (preview.state === "live") await doing(begin());
}

function write() {
  const wish = wished();
  const wrong = byId("unread", HTMLElement);
  wrong.textContent = unread();
  wrong.hidden = !wrong.textContent;
  mark(wish);
  const whole = wish.app ?? (wish.pipeline.length ? JSON.stringify(wish.pipeline) : say("Nothing is done: what is sent comes back as it is."));
  byId("what", HTMLElement).textContent = whole.length > MOST_SHOWN ? `${whole.slice(0, MOST_SHOWN)}…` : whole;
  const change = byId("change", HTMLAnchorElement);
  change.textContent = wish.app === null ? say("More stages and settings, on the page Live") : say("About this app");
  byId("back", HTMLElement).hidden = wish.app !== null;
  change.href = wish.app === null ? `/${writeLink(wish.pipeline, wish.sync === "lips" ? "lips" : "lowest", wish.latency)}`
    : `/apps/${encodeURIComponent(wish.app.split("@")[0] ?? "")}`;
  const own = by.value === "own";
  byId("by-own", HTMLElement).hidden = !own;
  byId("by-token", HTMLElement).hidden = by.value !== "token";
  const place = { origin: location.origin, wish, source: source.value, token: by.value === "token" ? token ?? "TOKEN" : null, own };
  for (const kind of KINDS) byId(kind, HTMLElement).textContent = embedSnippet(kind, place);
}

/** @param {HTMLElement} place @param {unknown} error null: nothing is wrong */
function tell(place, error) {
  place.hidden = error === null;
  place.textContent = error === null ? "" : problem(error);
}

/** @returns {Promise<{token: string, expires_in: number}>} */
async function mint() {
  if (lacksKey()) {
    throw new AimassError("no-key", { title: "", message: say("This server asks for a key: enter an API key above, or sign in.") });
  }
  return rest().call("POST", "/v1/connect-tokens", {});
}

async function show() {
  tell(trouble, null);
  clearInterval(counting);
  try {
    const made = await mint();
    token = made.token;
    const end = performance.now() + made.expires_in * 1000;
    counting = setInterval(() => count(end), 500);
    count(end);
  } catch (error) {
    tell(trouble, error);
  }
  write();
}

/** @param {number} end */
function count(end) {
  const left = Math.ceil((end - performance.now()) / 1000);
  byId("left", HTMLElement).textContent = left > 0 ? say("Good for one session within {seconds} s.", { seconds: left })
    : say("It is over: make another one.");
  if (left > 0) return;
  clearInterval(counting);
  token = null;
  write();
}

/** An app says what it asks its people for. @param {string | null} app */
async function learn(app) {
  if (app === null) return;
  const [name = "", version] = app.split("@");
  try {
    /** @type {{permissions: string[]}} */
    const { permissions } = await rest().call("GET", `/v1/apps/${encodeURIComponent(name)}${version ? `?version=${encodeURIComponent(version)}` : ""}`);
    source.value = permissions.includes("screen") ? "screen" : permissions.filter((each) => each !== "screen").sort().join(" ") || "camera";
  } catch (error) {
    tell(trouble, error);
  }
}

function place() {
  const address = byId("address", HTMLInputElement);
  const [listed, setting] = [byId("listed", HTMLElement), byId("setting", HTMLElement)];
  const origin = URL.canParse(address.value) && /^https?:/.test(address.value) ? new URL(address.value).origin : null;
  const known = origin !== null && (origins.has(origin) || origin === location.origin);
  listed.textContent = !address.value ? "" : origin === null ? say("Write it with http:// or https:// in front.") : known ? say("{origin} is listed: the page may have it.", { origin })
    : say("{origin} is not listed yet. The server is started with:", { origin });
  setting.hidden = origin === null || known;
  setting.textContent = `AIMASS_ORIGINS=${[...origins, origin].join(",")} aimass serve`;
}

const preview = new AimassFrame(/** @type {HTMLIFrameElement} */ (document.getElementById("preview")));
preview.addEventListener("status", () => {
  const words = { connecting: say("Connecting"), live: say("Live"), reconnecting: say("Coming back") };
  byId("state", HTMLElement).textContent = words[/** @type {keyof typeof words} */ (preview.state)] ?? "";
});
preview.addEventListener("error", (event) => tell(failed, /** @type {CustomEvent} */ (event).detail));

/** @param {Promise<void>} doing */
async function doing(doing) {
  tell(failed, null);
  await doing.catch((error) => tell(failed, error));
}

async function begin() {
  const { app, pipeline, sync, latency } = wished();
  const { token } = await mint();
  await preview.start({ ...(app === null ? { pipeline } : { app }), sync, latency, source: source.value, token });
}

byId("start", HTMLButtonElement).addEventListener("click", () => void doing(begin()));
byId("stop", HTMLButtonElement).addEventListener("click", () => void doing(preview.stop()));
byId("mint", HTMLButtonElement).addEventListener("click", () => void show());
keyForm?.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = byId("key", HTMLInputElement);
  setApiKey(key.value.trim());
  key.value = "";
  tell(failed, null);
  void show().then(look);
});
for (const button of document.querySelectorAll("button")) {
  const from = button.dataset.copy;
  if (from) button.addEventListener("click", () => void toClipboard(byId(from, HTMLElement).textContent ?? "").then(() => toast(say("Copied"))));
}
for (const field of [source, by]) field.addEventListener("change", write);
choice.addEventListener("change", () => void choose());
byId("place", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
byId("address", HTMLInputElement).addEventListener("input", place);
addEventListener("hashchange", write);
document.getElementById("sign-in")?.addEventListener("click", ({ currentTarget }) => {
  const link = /** @type {HTMLAnchorElement} */ (currentTarget);
  link.search = `?next=${encodeURIComponent(location.pathname + location.hash)}`;
});
offer({ effects: Object.keys(presets), apps: [] });
await look();
