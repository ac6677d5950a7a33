/**
 * The list of stages: add, remove, reorder by drag, by buttons and by keys, and change parameters. It draws the
 * model and changes it; it knows nothing of sessions.
 */

import { CodePanel } from "./code-panel.js";
import { h, icon, iconButton } from "./dom.js";
import { dropPlace } from "./drop.js";
import { SchemaForm } from "./schema-form.js";
import { Sorting } from "./sorting.js";

/**
 * @typedef {import("./pipeline.js").PipelineModel} PipelineModel
 * @typedef {import("./pipeline.js").Entry} Entry
 * @typedef {import("./snippets.js").Language} Language
 * @typedef {{
 *   entry: Entry, element: HTMLLIElement, form: SchemaForm, time: HTMLElement, error: HTMLElement, code: CodePanel,
 *   fold: HTMLElement, rung: HTMLElement,
 * }} Card
 */

const OPEN = 3; // a longer pipeline comes folded
const FIELDS = 8; // a stage with more of them does, too

export class PipelineEditor {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** @type {Map<string, string>} what is wrong with a stage's code, by the stage's name */
  #broken = new Map();
  #sorting;

  /**
   * @param {HTMLOListElement} list
   * @param {PipelineModel} model
   * @param {(language: Language, index: number, params: Record<string, unknown>) => string} snippet
   * @param {HTMLElement} add the button that adds a stage
   */
  constructor(list, model, snippet, add) {
    this.list = list;
    this.model = model;
    this.snippet = snippet;
    this.add = add;
    this.empty = h("li", { class: "empty" }, h("p", {}, "No stages: both tracks come back as they went."));
    this.#sorting = new Sorting(list, (key, to) => model.move(key, to));
    model.on("structure", () => this.#draw());
    model.on("param", ({ entry }) => this.#changed(entry));
  }

  #draw() {
    this.#sorting.remember();
    const many = this.model.entries.length > OPEN && this.#cards.size === 0;
    const cards = this.model.entries.map((entry) => this.#cardOf(entry));
    const kept = new Set(cards);
    for (const [key, card] of this.#cards) {
      if (kept.has(card)) continue;
      card.code.close();
      this.#cards.delete(key);
    }
    this.#arrange(cards.length ? cards.map((card) => card.element) : [this.empty]);
    cards.forEach((card, index) => this.#number(card, index, cards.length));
    if (many) for (const { entry } of cards) this.#fold(entry.key, true);
    this.#sorting.play();
  }

  /** Shows a stage's name alone, or all of it. @param {string} key @param {boolean} folded */
  #fold(key, folded) {
    const card = this.#cards.get(key);
    if (!card) return;
    card.form.element.hidden = folded;
    card.fold.setAttribute("aria-expanded", String(!folded));
  }

  /** The server's stages changed: draws those of this name anew. @param {string} name */
  renew(name) {
    for (const [key, card] of this.#cards) {
      if (card.entry.name !== name) continue;
      card.code.close();
      card.element.remove();
      this.#cards.delete(key);
    }
    this.#draw();
  }

  /**
   * Puts the cards in order around the one in use, which stays in the document: moved, it would lose the focus
   * and the finger that drags it.
   * @param {HTMLLIElement[]} wanted
   */
  #arrange(wanted) {
    for (const child of [...this.list.children]) {
      if (!wanted.includes(/** @type {HTMLLIElement} */ (child))) child.remove();
    }
    const fixed = wanted.find((element) => element.contains(document.activeElement)) ?? wanted[0];
    if (!fixed) return;
    if (fixed.parentNode !== this.list) this.list.append(fixed);
    const at = wanted.indexOf(fixed);
    let below = fixed;
    for (const element of wanted.slice(0, at).reverse()) {
      if (element.nextElementSibling !== below) this.list.insertBefore(element, below);
      below = element;
    }
    let above = fixed;
    for (const element of wanted.slice(at + 1)) {
      if (above.nextElementSibling !== element) above.after(element);
      above = element;
    }
  }

  /** @param {Entry} entry */
  #cardOf(entry) {
    const known = this.#cards.get(entry.key);
    if (known && known.entry.name === entry.name) {
      known.entry = entry;
      this.#refresh(known);
      return known;
    }
    const card = this.#makeCard(entry);
    this.#cards.set(entry.key, card);
    return card;
  }

  /** @param {Entry} entry @returns {Card} */
  #makeCard(entry) {
    const info = this.model.info(entry.name);
    const name = info?.title ?? entry.name;
    const { key } = entry;
    const form = new SchemaForm(info?.params ?? {}, entry.params,
      (param, value) => this.model.setParam(key, param, value), `stage-${key}`);
    const time = h("span", { class: "time", title: "Time in this stage, middle of the last seconds" });
    const rung = h("span", { class: "rung", role: "note", tabindex: 0, hidden: true });
    const error = h("p", { class: "stage-error", role: "alert", hidden: true });
    const code = new CodePanel((language) => {
      const index = this.model.index(key);
      return this.snippet(language, index, this.model.entries[index]?.params ?? {});
    });
    code.element.hidden = true;
    const kinds = (info?.accepts ?? []).map((kind) => h("span", { class: `kind ${kind}` }, kind));
    const grip = h("button", { type: "button", class: "grip", "aria-label": `Move ${name}: drag, or use the arrow keys` });
    grip.append(icon("grip"));
    const fold = h("button", { type: "button", class: "fold", title: (info?.doc ?? "").replaceAll("`", ""),
      onclick: () => this.#fold(key, !form.element.hidden) }, name);
    if (form.element.childElementCount) fold.append(icon("down"));
    const showCode = iconButton("code", `${name} as code`, () => {
      code.element.hidden = !code.element.hidden;
      showCode.setAttribute("aria-expanded", String(!code.element.hidden));
      code.refresh();
    }, "code-button");
    const element = h("li", { class: "stage", "data-key": key, "data-stage": entry.name },
      h("div", { class: "stage-head" }, grip,
        h("h3", {}, fold, kinds, rung), time,
        h("div", { class: "stage-tools" },
          iconButton("up", `Move ${name} up`, () => this.#shift(key, -1), "up"),
          iconButton("down", `Move ${name} down`, () => this.#shift(key, 1), "down"),
          showCode,
          iconButton("close", `Remove ${name}`, () => this.#remove(key), "remove"))),
      error, form.element, code.element);
    grip.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.#shift(key, step);
      grip.focus();
    });
    this.#sorting.handle(grip, element, key);
    if (form.take) dropPlace(element, form.take);
    /** @type {Card} */
    const card = { entry, element, form, time, error, code, fold, rung };
    form.element.hidden = Object.keys(info?.params.properties ?? {}).length > FIELDS;
    fold.setAttribute("aria-expanded", String(!form.element.hidden));
    this.#tellBroken(card);
    return card;
  }

  /** @param {string} key @param {number} step */
  #shift(key, step) {
    this.model.move(key, this.model.index(key) + step);
  }

  /** Takes a stage out and gives the focus to its neighbour. @param {string} key */
  #remove(key) {
    const index = this.model.index(key);
    this.model.remove(key);
    const next = this.model.entries[Math.min(index, this.model.entries.length - 1)];
    const focus = next ? this.#cards.get(next.key)?.element.querySelector(".remove") : this.add;
    if (focus instanceof HTMLElement) focus.focus();
  }

  /** @param {Card} card @param {number} index @param {number} count */
  #number(card, index, count) {
    card.element.style.setProperty("--place", String(index));
    const up = card.element.querySelector(".up");
    const down = card.element.querySelector(".down");
    if (up instanceof HTMLButtonElement) up.disabled = index === 0;
    if (down instanceof HTMLButtonElement) down.disabled = index === count - 1;
    if (!card.code.element.hidden) card.code.refresh(); // its index may be another now
  }

  /** @param {Card} card */
  #refresh({ entry, form }) {
    for (const name of Object.keys(this.model.info(entry.name)?.params.properties ?? {})) {
      form.set(name, entry.params[name]);
    }
  }

  /** @param {Entry} entry */
  #changed(entry) {
    const card = this.#cards.get(entry.key);
    if (!card) return;
    for (const [name, value] of Object.entries(entry.params)) card.form.mark(name, value);
    if (!card.code.element.hidden) card.code.refresh();
  }

  /** The session's id or key changed, so all code did. */
  refreshCode() {
    for (const { code } of this.#cards.values()) if (!code.element.hidden) code.refresh();
  }

  /**
   * Shows a refusal at the field it names; with null, all is well again.
   * @param {string | null} text
   * @param {{key: string | null, name: string | null}} at
   * @returns {boolean} false where no stage is to blame
   */
  blame(text, { key, name }) {
    for (const card of this.#cards.values()) {
      card.form.fail(null, "");
      card.error.hidden = true;
      card.element.classList.remove("wrong");
      this.#tellBroken(card);
    }
    const card = text === null || key === null ? undefined : this.#cards.get(key);
    if (!card || text === null) return false;
    if (key !== null) this.#fold(key, false);
    const plain = text.replace(new RegExp(`^${card.entry.name}[.:] ?${name}: `, "i"), ""); // it stands at that field
    if (name === null || !card.form.fail(name, plain)) this.#tell(card, text);
    return true;
  }

  /** @param {Card} card @param {string} text */
  #tell(card, text) {
    card.error.textContent = text;
    card.error.hidden = false;
    card.element.classList.add("wrong");
  }

  /** The stage at this place fails or is passed by. @param {number} index @param {string} text */
  fault(index, text) {
    const card = this.#cards.get(this.model.entries[index]?.key ?? "");
    if (card) this.#tell(card, text);
  }

  /**
   * The stages of this name have new code that can't be used, and show so until it is mended (null).
   * @param {string} name
   * @param {string | null} text
   */
  breaks(name, text) {
    if (text === null) this.#broken.delete(name);
    else this.#broken.set(name, text);
    for (const card of this.#cards.values()) if (card.entry.name === name) this.#tellBroken(card);
  }

  /** What is wrong with the stage wherever it stands. @param {Card} card */
  #tellBroken(card) {
    const { name } = card.entry;
    const info = this.model.info(name);
    const text = this.#broken.get(name) ?? (info ? info.error : `This server has no stage “${name}”.`);
    if (text) this.#tell(card, text);
  }

  /**
   * Which stages work with less than they could, so that a promised latency is kept.
   * @param {import("../types/events.js").RungStats[]} stages
   */
  rungs(stages) {
    for (const [index, { key }] of this.model.entries.entries()) {
      const card = this.#cards.get(key);
      if (!card) continue;
      const lowest = stages.filter((stage) => stage.index === index).sort((a, b) => b.rung - a.rung)[0];
      card.rung.hidden = !lowest;
      if (!lowest) continue;
      const words = `Works with less, so that the promised latency is kept: ${lowest.says || lowest.name}`;
      if (card.rung.textContent !== lowest.name) card.rung.textContent = lowest.name;
      card.rung.title = words;
      card.rung.setAttribute("aria-label", `${lowest.name}. ${words}`);
    }
  }

  /** @param {Record<string, Record<string, import("../types/events.js").HopStats>>} hops */
  times(hops) {
    for (const { entry, time } of this.#cards.values()) {
      const found = Object.values(hops).map((track) => track[entry.name]?.p50).filter((value) => value !== undefined);
      time.textContent = found.length ? `${Math.max(...found).toFixed(1)} ms` : "";
    }
  }
}
