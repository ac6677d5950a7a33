/** The popup: the server and its key, what is made of the picture, on which sites, and how the page at hand does. */

import { appOf, groupsOf, listChoices, presets } from "../js/choices.js";
import { explain } from "../sdk/errors.js";
import { addressOf } from "./address.js";
import { change, openSessions, permission, register, restOf, seen, settings } from "./settings.js";

/** @typedef {import("./settings.js").Wish} Wish */

/** @param {string} name @param {string} [inserted] */
const say = (name, inserted) => chrome.i18n.getMessage(name, inserted);

/** @template {HTMLElement} Kind @param {string} id @param {new () => Kind} kind @returns {Kind} */
function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new TypeError(`#${id} is no ${kind.name}`);
  return element;
}

const on = byId("on", HTMLInputElement);
const sound = byId("sound", HTMLInputElement);
const screens = byId("screens", HTMLInputElement);
const strict = byId("strict", HTMLInputElement);
const url = byId("url", HTMLInputElement);
const token = byId("token", HTMLInputElement);
const choice = byId("choice", HTMLSelectElement);
const json = byId("json", HTMLTextAreaElement);
const reload = byId("reload", HTMLElement);
const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
const site = /^https?:/.test(tab?.url ?? "") ? new URL(tab?.url ?? "").origin : null;

/**
 * What went wrong, and what to do: a user of the popup has other ways than a page or a program.
 * @param {{reason: string, message: string, next: string}} error
 */
function words({ reason, message, next }) {
  if (reason === "server-gone") return say("serverGone");
  if (reason === "unauthorized" && !token.value) return say("keyNeeded");
  return [message, next].filter(Boolean).join(" ");
}

/** @param {string} id of the element that says it @param {unknown} [error] */
function blame(id, error) {
  byId(id, HTMLElement).textContent = error ? words(explain(error)) : "";
}

/** Asks the server what it offers. */
async function look() {
  const known = await settings();
  choice.disabled = on.disabled = true;
  choice.replaceChildren(new Option(say("connectFirst"), ""));
  byId("connected", HTMLElement).textContent = "";
  blame("trouble");
  if (!known.server) return;
  on.disabled = site === null;
  try {
    const { version } = await restOf(known).config();
    choice.replaceChildren(...groupsOf(await listChoices(restOf(known)), (id) => say(id)), new Option(say("json"), "json"));
    choice.value = known.choice;
    choice.disabled = false;
    byId("connected", HTMLElement).textContent = say("connected", version);
  } catch (error) {
    blame("trouble", error);
  }
  byId("own", HTMLElement).hidden = choice.value !== "json";
}

/** @param {SubmitEvent} event */
async function connect(event) {
  event.preventDefault();
  const address = addressOf(url.value);
  const trouble = byId("trouble", HTMLElement);
  if (!address) trouble.textContent = say("addressWrong");
  else {
    url.value = address.href;
    await change({ server: address.href, token: token.value.trim() });
    if (await chrome.permissions.request(permission(address.origin))) await look();
    else trouble.textContent = say("serverForbidden");
  }
  byId("server", HTMLFormElement).scrollIntoView({ block: "nearest" }); // what it says stands at its end
}

/** @returns {Wish} */
function wished() {
  if (choice.value === "json") return { pipeline: JSON.parse(json.value) };
  const app = appOf(choice.value);
  return app ? { app_id: app } : { pipeline: presets[choice.value] ?? [] };
}

async function choose() {
  blame("refused");
  byId("own", HTMLElement).hidden = choice.value !== "json";
  try {
    const wish = wished();
    await change({ choice: choice.value, wish });
    await update(wish);
  } catch (error) {
    blame("refused", error);
  }
}

/** What runs already takes it on at once, but for an app's: those begin with it. @param {Wish} wish */
async function update(wish) {
  if (!("pipeline" in wish)) return;
  const rest = restOf(await settings());
  for (const { id, key, tab, document } of await openSessions()) {
    try {
      await rest.call("PATCH", `v1/sessions/${id}`, wish);
    } catch (error) {
      if (explain(error).reason !== "not-found") throw error;
      await chrome.storage.session.remove([key, seen(tab, document)]); // a page that crashed has not said that it is over
    }
  }
}

async function toggle() {
  const { sites } = await settings();
  if (!site) return;
  const others = sites.filter((each) => each !== site);
  await change({ sites: on.checked ? [...others, site] : others });
  if (on.checked && !await chrome.permissions.request(permission(site))) {
    on.checked = false;
    await change({ sites: others });
  }
  await register();
  reload.hidden = false;
}

/** How the documents of this tab do. */
async function show() {
  /** @type {Record<string, any>} */
  const kept = await chrome.storage.session.get(null);
  const here = Object.entries(kept).filter(([key]) => key.startsWith(seen(tab?.id)));
  byId("states", HTMLElement).replaceChildren(...here.map(([, { state, ...told }]) => {
    const item = document.createElement("li");
    item.className = state === "failed" ? "problem" : "";
    item.textContent = [say(state), words(told)].filter(Boolean).join(" ");
    return item;
  }));
}

document.documentElement.lang = chrome.i18n.getUILanguage();
for (const element of document.querySelectorAll("[data-say]")) {
  element.textContent = say(/** @type {HTMLElement} */ (element).dataset.say ?? "");
}
byId("site", HTMLElement).textContent = site ? say("onSite", new URL(site).host) : say("noSite");
const known = await settings();
if (!known.server) document.querySelector("h1")?.after(byId("server", HTMLFormElement)); // nothing works without
url.value = known.server;
token.value = known.token;
sound.checked = known.sound;
screens.checked = known.screens;
strict.checked = known.strict;
on.checked = site !== null && known.sites.includes(site);
json.value = JSON.stringify("pipeline" in known.wish ? known.wish.pipeline : [], null, 1);

byId("server", HTMLFormElement).addEventListener("submit", (event) => void connect(event));
byId("pipeline", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void choose();
});
choice.addEventListener("change", () => void choose());
sound.addEventListener("change", () => void change({ sound: sound.checked }));
screens.addEventListener("change", () => void change({ screens: screens.checked }));
strict.addEventListener("change", () => void change({ strict: strict.checked }));
on.addEventListener("change", () => void toggle());
reload.querySelector("button")?.addEventListener("click", () => {
  void chrome.tabs.reload(tab?.id ?? 0);
  reload.hidden = true;
});
chrome.storage.session.onChanged.addListener(() => void show());
await show();
await look();
