/** The page /embed-code: what to write into a page of one's own, for the pipeline or the app behind the address's #. */

import { AimassFrame } from "../adapters/frame.js";
import { byId, toClipboard, toast } from "./dom.js";
import { embedSnippet } from "./embed-snippets.js";
import { parsePipeline, readLink, writeLink } from "./pipeline.js";
import { problem } from "./problem-words.js";
import { ask, request } from "./site-api.js";
import { say } from "./site-words.js";
import { apiKey, setApiKey } from "./storage.js";

/** @typedef {import("./embed-snippets.js").Kind} Kind */
/** @typedef {import("./embed-snippets.js").Wish} Wish */

const KINDS = /** @type {const} */ (["frame", "element", "script", "module", "server"]);
const MOST_SHOWN = 300; // characters of a pipeline in the head

const [source, by] = [byId("source", HTMLSelectElement), byId("by", HTMLSelectElement)];
const [trouble, failed] = [byId("trouble", HTMLElement), byId("failed", HTMLElement)];
const origins = new Set(JSON.parse(byId("place", HTMLFormElement).dataset.origins ?? "[]"));
/** @type {string | null} */
let token = null;
/** @type {ReturnType<typeof setInterval> | undefined} */
let counting;

/** @returns {Wish} */
function wished() {
  const app = new URLSearchParams(location.hash.slice(1)).get("app");
  return { pipeline: [], sync: "lowest", latency: 0, ...readLink(location.hash), app };
}

/** What the address asks for, where it can't be read, in words. */
function unread() {
  const text = new URLSearchParams(location.hash.slice(1)).get("pipeline");
  return text === null || parsePipeline(text) ? "" : say("The pipeline in this page's address can't be read: it is a JSON list of stages.");
}

function write() {
  const wish = wished();
  const wrong = byId("unread", HTMLElement);
  wrong.textContent = unread();
  wrong.hidden = !wrong.textContent;
  const whole = wish.app ?? JSON.stringify(wish.pipeline);
  byId("what", HTMLElement).textContent = whole.length > MOST_SHOWN ? `${whole.slice(0, MOST_SHOWN)}…` : whole;
  byId("change", HTMLAnchorElement).href = wish.app === null ? `/${writeLink(wish.pipeline, wish.sync === "lips" ? "lips" : "lowest", wish.latency)}`
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

/** @returns {Promise<{token: string, expires_in: number}>} in the name of who is signed in, or of this tab's key */
async function mint() {
  const key = apiKey();
  const answer = await request("POST", "/v1/connect-tokens", {}, key === null ? {} : { Authorization: `Bearer ${key}` });
  return answer.json();
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
    const { permissions } = await ask("GET", `/v1/apps/${encodeURIComponent(name)}${version ? `?version=${encodeURIComponent(version)}` : ""}`);
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

const preview = new AimassFrame(/** @type {HTMLIFrameElement} */ (document.getElementById("preview")), { token: async () => (await mint()).token });
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

byId("start", HTMLButtonElement).addEventListener("click", () => {
  const { app, pipeline, sync, latency } = wished();
  void doing(preview.start({ ...(app === null ? { pipeline } : { app }), sync, latency, source: source.value }));
});
byId("stop", HTMLButtonElement).addEventListener("click", () => void doing(preview.stop()));
byId("mint", HTMLButtonElement).addEventListener("click", () => void show());
document.getElementById("key-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = byId("key", HTMLInputElement);
  setApiKey(key.value.trim());
  key.value = "";
  tell(failed, null);
  void show();
});
for (const button of document.querySelectorAll("button")) {
  const from = button.dataset.copy;
  if (from) button.addEventListener("click", () => void toClipboard(byId(from, HTMLElement).textContent ?? "").then(() => toast(say("Copied"))));
}
for (const field of [source, by]) field.addEventListener("change", write);
byId("place", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
byId("address", HTMLInputElement).addEventListener("input", place);
addEventListener("hashchange", write);
document.getElementById("sign-in")?.addEventListener("click", ({ currentTarget }) => {
  const link = /** @type {HTMLAnchorElement} */ (currentTarget);
  link.search = `?next=${encodeURIComponent(location.pathname + location.hash)}`;
});
await learn(wished().app);
write();
