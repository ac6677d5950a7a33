/**
 * Forms that are requests: `data-send="POST /v1/keys"` says which, names and values are its JSON, and then
 * `data-then` is where to go, `data-show` what of the answer to show once, behind the path `data-before`. `data-sure` is asked first.
 * With `data-json` there is a body even where nothing is said. A `{name}` in the path is that field's, and not sent again; one
 * in `data-then` is of the answer. What is called `quotas.requests` is within an object `quotas`.
 */

import { byId, toClipboard, toast } from "./dom.js";
import { problem } from "./problem-words.js";
import { ask } from "./site-api.js";
import { say } from "./site-words.js";

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

/**
 * What the form's fields say; those that are empty are left out, but for `data-kind=text`.
 * @param {HTMLFormElement} form
 * @returns {Record<string, unknown>}
 */
export function values(form) {
  /** @type {Record<string, unknown>} */
  const found = {};
  for (const field of /** @type {Iterable<Field>} */ (form.elements)) {
    if (!field.name || field.name === "next" || field.type === "file") continue;
    const [last = "", ...outer] = field.name.split(".").reverse();
    const place = outer.reverse().reduce((within, name) => /** @type {Record<string, any>} */ (within[name] ??= {}), /** @type {Record<string, any>} */ (found));
    const kind = field.dataset.kind;
    if (kind === "list") {
      const list = (place[last] ??= []);
      if (/** @type {HTMLInputElement} */ (field).checked) list.push(field.value);
    } else if (field.type === "radio" && !(/** @type {HTMLInputElement} */ (field).checked)) continue;
    else if (kind === "words") place[last] = field.value.split(",").map((word) => word.trim()).filter(Boolean);
    else if (kind === "flag") place[last] = field.value === "true";
    else if (kind === "json") place[last] = JSON.parse(field.value);
    else if (field.value !== "" || kind === "text") place[last] = kind === "number" ? Number(field.value) : field.value;
  }
  return found;
}

/** @param {HTMLFormElement} form @param {unknown} error null: nothing is wrong */
export function complain(form, error) {
  const place = form.querySelector(".wrong") ?? document.querySelector(`.wrong[data-of="${CSS.escape(form.id)}"]`);
  if (!(place instanceof HTMLElement)) return;
  place.hidden = error === null;
  place.textContent = error === null ? "" : problem(error);
}

/** @param {string} question @returns {Promise<boolean>} */
export function sure(question) {
  const dialog = byId("sure", HTMLDialogElement);
  byId("sure-text", HTMLElement).textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** @param {HTMLFormElement} form */
async function send(form) {
  const { send: asked = "", then, show, sure: question } = form.dataset;
  if (question && !(await sure(question))) return;
  const [method = "POST", place = "/"] = asked.split(" ");
  const buttons = form.querySelectorAll("button");
  complain(form, null);
  buttons.forEach((button) => (button.disabled = true));
  try {
    const said = values(form);
    const path = place.replace(/\{(\w+)\}/g, (_, name) => {
      const value = String(said[name] ?? "");
      delete said[name];
      return encodeURIComponent(value);
    });
    const bare = method === "DELETE" || (!Object.keys(said).length && form.dataset.json === undefined);
    const answer = await ask(method, path, bare ? null : said);
    if (show) showOnce(form, (form.dataset.before ? location.origin + form.dataset.before : "") + answer[show]);
    else if (then === "reload") location.reload();
    else if (then) location.assign(then.replace(/\{(\w+)\}/, (_, name) => encodeURIComponent(answer[name])));
  } catch (error) {
    complain(form, error);
  }
  buttons.forEach((button) => (button.disabled = false));
}

/** @param {HTMLFormElement} form @param {string} text */
function showOnce(form, text) {
  const place = /** @type {HTMLElement} */ (form.querySelector(".once"));
  /** @type {HTMLOutputElement} */ (place.querySelector("output")).value = text;
  place.hidden = false;
  const button = /** @type {HTMLButtonElement} */ (place.querySelector("[data-copy]"));
  button.onclick = () => void toClipboard(text).then(() => toast(say("Copied")));
  button.focus();
}

/** Before this the browser would send the form in its own way. @param {HTMLFormElement} form */
export function ready(form) {
  form.querySelectorAll("button").forEach((button) => (button.disabled = false));
}

/** Takes up all forms of the page. A link's token is behind its #, which is sent to nobody. */
export function takeForms() {
  for (const form of document.querySelectorAll("form")) {
    if (!form.dataset.send) continue;
    const token = form.dataset.token && form.elements.namedItem(form.dataset.token);
    if (token instanceof HTMLInputElement) token.value = location.hash.slice(1);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void send(form);
    });
    ready(form);
  }
}
