/**
 * Controls for a stage's parameters, made from their JSON Schema: a range becomes a slider with its unit, an
 * enum a choice, a boolean a switch, a text a line; zones and lines are drawn on the picture. A control says which
 * parameter it is for, so an error of the server can be shown right at it.
 */

import { arrowTarget, h, prose } from "./dom.js";
import { onlyPictured, pictured } from "./picture-field.js";
import { ZonesForm, kindOf } from "./zones-form.js";

/**
 * @typedef {import("../types/api.js").Schema} Schema
 * @typedef {{element: HTMLElement, set: (value: unknown) => void, take?: (file: File) => void}} Control `take` where
 *   it may be a picture
 * @typedef {(value: unknown) => void} Change
 * @typedef {{id: string, words: string, change: Change}} About the control's id, its label, and whom to tell
 */

export class SchemaForm {
  /** @type {Map<string, {row: HTMLElement, error: HTMLElement, control: Control, fallback: unknown}>} */
  #fields = new Map();

  /**
   * @param {Schema} schema of an object
   * @param {Record<string, unknown>} values
   * @param {(name: string, value: unknown) => void} change
   * @param {string} prefix makes ids unique on the page
   */
  constructor(schema, values, change, prefix) {
    const names = Object.keys(schema.properties ?? {});
    this.element = h("div", { class: "form" }, names.map((name) => {
      const found = resolve(schema.properties?.[name] ?? {}, schema);
      const part = found.items ? { ...found, items: resolve(found.items, schema) } : found;
      return this.#field(name, part, values[name], (value) => {
        change(name, value);
        if (value) this.#along(part, change);
      }, `${prefix}-${name}`);
    }));
  }

  /** A value may be of use only with another parameter's. @param {Schema} schema @param {(name: string, value: unknown) => void} change */
  #along(schema, change) {
    for (const [name, value] of Object.entries(schema.along ?? {})) {
      change(name, value);
      this.set(name, value);
    }
  }

  /**
   * @param {string} name
   * @param {Schema} schema
   * @param {unknown} value
   * @param {Change} change
   * @param {string} id
   */
  #field(name, schema, value, change, id) {
    const error = h("p", { class: "field-error", id: `${id}-error`, role: "alert", hidden: true });
    const words = title(name, schema);
    const control = makeControl(schema, { id, words, change });
    const label = h("label", { for: id, id: `${id}-label` }, words);
    const reset = h("button", { type: "button", class: "reset", title: "Back to the default",
      onclick: () => (control.set(schema.default), change(undefined)) }, "reset");
    const hint = schema.hint ?? schema.description;
    const help = hint ? h("span", { class: "help" }, ...prose(hint)) : null;
    const row = h("div", { class: "field", "data-param": name },
      h("div", { class: "field-head" }, h("p", {}, label, " ", help), reset), control.element, error);
    this.#fields.set(name, { row, error, control, fallback: schema.default });
    this.set(name, value);
    return row;
  }

  /** What takes a file that is dropped anywhere on the form, if anything does. */
  get take() {
    for (const { control } of this.#fields.values()) if (control.take) return control.take;
    return null;
  }

  /** @param {string} name @param {unknown} value */
  set(name, value) {
    const field = this.#fields.get(name);
    if (!field) return;
    const shown = value === undefined ? field.fallback : value;
    if (!field.row.contains(document.activeElement)) field.control.set(shown);
    this.mark(name, shown);
  }

  /** Shows whether a value is the default. @param {string} name @param {unknown} value */
  mark(name, value) {
    const field = this.#fields.get(name);
    field?.row.classList.toggle("changed", JSON.stringify(value) !== JSON.stringify(field.fallback));
  }

  /**
   * @param {string | null} name null clears all
   * @param {string} text
   * @returns {boolean} whether there is such a field
   */
  fail(name, text) {
    for (const { row, error } of this.#fields.values()) {
      row.classList.remove("wrong");
      error.hidden = true;
    }
    const field = name === null ? undefined : this.#fields.get(name.split(".")[0] ?? "");
    if (!field) return false;
    field.row.classList.add("wrong");
    field.error.textContent = text;
    field.error.hidden = false;
    return true;
  }
}

/** @param {Schema} schema @param {Schema} root @returns {Schema} with references followed and `null` options left out */
function resolve(schema, root) {
  if (schema.$ref) {
    const target = root.$defs?.[schema.$ref.split("/").at(-1) ?? ""] ?? {};
    return resolve({ ...target, ...schema, $ref: undefined }, root);
  }
  if (schema.allOf?.length === 1) return resolve({ ...schema.allOf[0], ...schema, allOf: undefined }, root);
  const options = (schema.anyOf ?? schema.oneOf ?? []).filter((option) => option.type !== "null");
  const [only] = options;
  if (options.length === 1 && only) {
    return resolve({ ...only, ...schema, anyOf: undefined, oneOf: undefined }, root);
  }
  return schema;
}

/** @param {string} name @param {Schema} schema */
function title(name, schema) {
  // pydantic makes a title of every name; the same words in lower case read better beside a control
  const words = schema.title && schema.title.toLowerCase() !== name.replaceAll("_", " ") ? schema.title
    : name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {Schema} schema @param {About} about @returns {Control} */
function makeControl(schema, about) {
  if (schema.enum && schema.picture) return pictured(choice(schema.enum, schema, about), schema.picture, about);
  if (schema.enum) return choice(schema.enum, schema, about);
  if (schema.picture) return onlyPictured(schema.picture, about);
  switch (schema.type) {
    case "boolean": return toggle(about);
    case "integer":
    case "number": return bounds(schema) ? slider(schema, about) : number(schema, about);
    case "string": return /colou?r/.test(schema.format ?? "") || /a-f.*\{6\}/i.test(schema.pattern ?? "")
      ? colour(about) : text(schema, about);
    case "array": return list(schema, about);
    default: return json(about);
  }
}

/** @param {Schema} schema @returns {{low: number, high: number} | null} */
function bounds(schema) {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  return low === undefined || high === undefined ? null : { low, high };
}

/** About two hundred steps, at a round size. @param {Schema} schema @param {number} span */
function step(schema, span) {
  if (schema.step ?? schema.multipleOf) return schema.step ?? schema.multipleOf ?? 1;
  if (schema.type === "integer") return 1;
  const power = 10 ** Math.floor(Math.log10(span / 200));
  return [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= 200) ?? power;
}

/** @param {Schema} schema */
function unitOf(schema) {
  // a share of one reads well without its unit
  return schema.unit && schema.unit !== "share" ? h("span", { class: "unit" }, schema.unit) : null;
}

/** @param {Schema} schema @param {About} about @returns {Control} */
function slider(schema, { id, words, change }) {
  const { low, high } = bounds(schema) ?? { low: 0, high: 1 };
  const size = step(schema, high - low);
  const range = h("input", { type: "range", id, min: low, max: high, step: size, "aria-describedby": `${id}-error` });
  const exact = h("input", { type: "number", class: "exact", step: "any", "aria-label": `${words}, as a number` });
  const fill = () => range.style.setProperty("--fill", `${((range.valueAsNumber - low) / (high - low)) * 100}%`);
  range.addEventListener("input", () => {
    exact.value = String(Number(range.valueAsNumber.toFixed(6)));
    fill();
    change(range.valueAsNumber);
  });
  exact.addEventListener("input", () => {
    if (Number.isNaN(exact.valueAsNumber)) return;
    range.value = exact.value; // the slider stops at its ends; what was typed goes to the server as it is
    fill();
    change(exact.valueAsNumber);
  });
  const element = h("div", { class: "slider" }, range, h("span", { class: "number" }, exact, unitOf(schema)));
  return { element, set: (value) => {
    range.value = exact.value = String(value ?? low);
    fill();
  } };
}

/** @param {Schema} schema @param {About} about @returns {Control} */
function number(schema, { id, change }) {
  const input = h("input", { type: "number", id, step: schema.type === "integer" ? 1 : "any",
    min: schema.minimum, max: schema.maximum, "aria-describedby": `${id}-error` });
  input.addEventListener("input", () => {
    if (input.value === "") change(null);
    else if (!Number.isNaN(input.valueAsNumber)) change(input.valueAsNumber);
  });
  const element = h("div", { class: "number wide" }, input, unitOf(schema));
  return { element, set: (value) => (input.value = value === null || value === undefined ? "" : String(value)) };
}

/** @param {unknown[]} values @param {Schema} schema @param {About} about @returns {Control} */
function choice(values, schema, { id, change }) {
  const shown = values.map((value) => schema.labels?.[String(value)] ?? `${value}${schema.unit ?? ""}`);
  if (values.length > 4 || shown.join("").length > 28) {
    const select = h("select", { id, "aria-describedby": `${id}-error` },
      shown.map((words, index) => h("option", { value: index }, words)));
    select.addEventListener("change", () => change(values[Number(select.value)]));
    return { element: select, set: (value) => (select.value = String(values.indexOf(value))) };
  }
  const buttons = values.map((value, index) => h("button", { type: "button", role: "radio",
    onclick: () => (show(value), change(value)) }, shown[index] ?? ""));
  const element = h("div", { class: "segmented", role: "radiogroup", id, "aria-labelledby": `${id}-label`,
    "aria-describedby": `${id}-error` }, buttons);
  element.addEventListener("keydown", (event) => {
    const target = arrowTarget(event, buttons);
    target?.focus();
    target?.click();
  });
  /** @param {unknown} value */
  const show = (value) => buttons.forEach((button, index) => {
    const chosen = values[index] === value;
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen || (index === 0 && !values.includes(value)) ? 0 : -1;
  });
  return { element, set: show };
}

/** @param {About} about @returns {Control} */
function toggle({ id, change }) {
  const input = h("input", { type: "checkbox", role: "switch", id, "aria-describedby": `${id}-error` });
  input.addEventListener("change", () => change(input.checked));
  return { element: h("span", { class: "switch" }, input), set: (value) => (input.checked = value === true) };
}

/** @param {About} about @returns {Control} */
function colour({ id, change }) {
  const input = h("input", { type: "color", id, "aria-describedby": `${id}-error` });
  const code = h("span", { class: "unit" });
  input.addEventListener("input", () => change((code.textContent = input.value)));
  return { element: h("div", { class: "colour" }, input, code),
    set: (value) => (code.textContent = input.value = String(value ?? "#000000")) };
}

/** @param {Schema} schema @param {About} about @returns {Control} */
function text(schema, { id, change }) {
  const input = h("input", { type: "text", id, maxlength: schema.maxLength, spellcheck: "false", autocomplete: "off",
    "aria-describedby": `${id}-error` });
  input.addEventListener("input", () => change(input.value));
  return { element: input, set: (value) => (input.value = String(value ?? "")) };
}

/** Zones and lines are drawn. @param {Schema} schema @param {About} about @returns {Control} */
function list(schema, about) {
  const kind = kindOf(schema.items ?? {});
  if (kind === null) return json(about);
  const form = new ZonesForm(kind, schema.maxItems ?? Infinity, about);
  return { element: form.element, set: (value) => form.set(value) };
}

/** For what has no control of its own: lists, objects. @param {About} about @returns {Control} */
function json({ id, change }) {
  const input = h("textarea", { id, rows: 2, spellcheck: "false", class: "code", "aria-describedby": `${id}-error` });
  input.addEventListener("input", () => {
    try {
      change(JSON.parse(input.value));
      input.setCustomValidity("");
    } catch {
      input.setCustomValidity("This is not JSON yet.");
    }
  });
  return { element: input, set: (value) => (input.value = JSON.stringify(value ?? null)) };
}
