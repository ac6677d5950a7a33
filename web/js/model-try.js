/** The form that asks a model, made of its schema by the server. */

import { AimassError } from "../sdk/aimass-stream.js";
import { drawn } from "./model-answer.js";
import { fileOf, numbersOf, takeSound } from "./model-sound.js";
import { complain, ready } from "./site-forms.js";
import { request } from "./site-api.js";
import { say } from "./site-words.js";

/** @param {File} file @returns {Promise<string>} a data URL */
const read = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(String(reader.result));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLFieldSetElement} Field */

/** @param {Field} field @returns {Promise<unknown>} */
async function valueOf(field) {
  if (field instanceof HTMLFieldSetElement) return numbersOf(field);
  if (field instanceof HTMLInputElement) return read(/** @type {File} */ (field.files?.[0]));
  if (field.dataset.kind === "text") return field.value;
  try {
    return JSON.parse(field.value);
  } catch (cause) {
    throw new AimassError("invalid", { title: say("Numbers"), message: say("These are no numbers as JSON has them: [1, 2.5, 3]"), cause });
  }
}

/** @param {HTMLFormElement} form @returns {Promise<FormData | object>} */
async function body(form) {
  const fields = /** @type {Field[]} */ ([...form.querySelectorAll("[data-kind]")]);
  const [only] = fields;
  if (form.dataset.model && only) {
    const sent = new FormData(); // as OpenAI's transcription has it
    sent.append("model", form.dataset.model);
    sent.append("file", fileOf(only), "sound");
    return sent;
  }
  if (fields.length === 1 && only instanceof HTMLInputElement && !only.name) {
    const sent = new FormData();
    sent.append("input", /** @type {File} */ (only.files?.[0]));
    return sent;
  }
  if (fields.length === 1 && only && !only.name) return { input: await valueOf(only) };
  const pairs = await Promise.all(fields.map(async (field) => [field.dataset.name ?? field.name, await valueOf(field)]));
  return { input: Object.fromEntries(pairs) };
}

/** What goes as rows of sound goes in as many requests as the model takes rows for. @param {HTMLFormElement} form @param {any} sent */
async function answered(form, sent) {
  const most = Number(form.dataset.rows) || 1;
  const rows = form.querySelector("fieldset") && Array.isArray(sent.input) && Array.isArray(sent.input[0]) ? sent.input : [];
  if (rows.length > most) {
    const parts = [];
    for (let at = 0; at < rows.length; at += most) parts.push(...[(await post(form, { input: rows.slice(at, at + most) })).output].flat());
    return parts;
  }
  const told = await post(form, sent);
  return form.dataset.model ? told.text || say("(nothing was said)") : told.output;
}

/** @param {HTMLFormElement} form @param {FormData | object} sent */
const post = async (form, sent) => (await request("POST", form.dataset.path ?? "", sent)).json();

/** @param {HTMLFormElement} form */
async function ask(form) {
  const place = /** @type {HTMLElement} */ (form.querySelector("#answer"));
  const took = /** @type {HTMLElement} */ (form.querySelector("#took"));
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button.primary"));
  const judge = document.getElementById("judge");
  complain(form, null);
  place.hidden = true; // what is seen is never the answer to something else
  if (judge) judge.hidden = true;
  button.disabled = true;
  took.textContent = say("asking …");
  try {
    const sent = await body(form);
    const begun = performance.now();
    const output = await answered(form, sent);
    const seconds = performance.now() - begun;
    place.replaceChildren(...drawn(output, JSON.parse(form.dataset.labels || "[]")));
    place.hidden = false;
    judged(sent);
    took.textContent = `${seconds.toFixed(0)} ms`;
  } catch (error) {
    took.textContent = "";
    complain(form, error);
  }
  button.disabled = false;
}

/** Whoever has an answer may say whether it was right; a file is never sent along. @param {FormData | object} asked */
function judged(asked) {
  const form = document.getElementById("judge");
  if (!(form instanceof HTMLFormElement)) return;
  const told = /** @type {HTMLElement} */ (form.querySelector("[role=status]"));
  const along = /** @type {HTMLInputElement | null} */ (form.querySelector("[name=along]"));
  if (along) along.disabled = asked instanceof FormData;
  told.textContent = "";
  form.hidden = false;
  ready(form);
  form.onsubmit = async (event) => {
    event.preventDefault();
    complain(form, null);
    const verdict = /** @type {HTMLButtonElement} */ (event.submitter).value;
    const sample = along?.checked && !(asked instanceof FormData) ? asked : {};
    try {
      await request("POST", form.dataset.path ?? "", { verdict, ...sample });
      told.textContent = say("Thank you.");
      form.querySelectorAll("button").forEach((button) => (button.disabled = true));
    } catch (error) {
      complain(form, error);
    }
  };
}

/** @param {HTMLFormElement} form */
export function takeTrial(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void ask(form);
  });
  ready(form);
  for (const field of form.querySelectorAll("fieldset")) takeSound(field, form);
  for (const field of form.querySelectorAll("input")) {
    const tile = field.type === "file" && field.closest("label.tile");
    if (!tile) continue;
    const picture = tile.querySelector("img");
    for (const [event, over] of /** @type {const} */ ([["dragover", true], ["dragleave", false], ["drop", false]])) {
      tile.addEventListener(event, () => tile.classList.toggle("over", over));
    }
    field.addEventListener("change", () => {
      if (!picture || !field.files?.[0]) return;
      URL.revokeObjectURL(picture.src);
      picture.src = URL.createObjectURL(field.files[0]);
      picture.hidden = false;
    });
  }
}
