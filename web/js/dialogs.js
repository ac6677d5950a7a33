/** The two things the page asks for in a window of its own: which stage to add, and the server's key. */

import { byId, h, prose } from "./dom.js";
import { refuse, setApiKey } from "./storage.js";

/** @typedef {import("../types/api.js").StageInfo} StageInfo */

const GROUPS = /** @type {const} */ ([["video", "Picture"], ["audio", "Sound"], ["text", "Words"]]);

export class StagePicker {
  #dialog = byId("add-dialog", HTMLDialogElement);
  #search = byId("add-search", HTMLInputElement);
  #catalogue = byId("catalogue", HTMLElement);
  /** @type {StageInfo[]} */
  #stages = [];

  /** @param {(name: string) => void} choose */
  constructor(choose) {
    this.choose = choose;
    this.#search.addEventListener("input", () => this.#draw());
    this.#search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#catalogue.querySelector("button")?.click();
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // beside the window
    });
  }

  /** @param {StageInfo[]} stages */
  open(stages) {
    this.#stages = stages;
    this.#search.value = "";
    this.#draw();
    this.#dialog.showModal();
    // on a phone the keyboard would cover what there is to choose from
    const first = matchMedia("(pointer: coarse)").matches ? byId("add-title", HTMLElement) : this.#search;
    first.focus();
  }

  #draw() {
    const words = this.#search.value.toLowerCase().split(/\s+/);
    const fits = this.#stages.filter((stage) => {
      const text = `${stage.name} ${stage.title} ${stage.doc}`.toLowerCase();
      return !stage.error && words.every((word) => text.includes(word));
    });
    const groups = GROUPS.map(([kind, title]) => this.#group(title, fits.filter((stage) => stage.accepts[0] === kind
      || (kind === "video" && stage.accepts.includes("video")))));
    const shown = groups.filter((group) => group !== null);
    this.#catalogue.replaceChildren(...(shown.length ? shown : [h("p", {}, "No stage of that name.")]));
  }

  /** @param {string} title @param {StageInfo[]} stages */
  #group(title, stages) {
    if (!stages.length) return null;
    return h("section", {}, h("h3", {}, title), h("div", { class: "choices" }, stages.map((stage) => h("button",
      { type: "button", class: "choice", "data-stage": stage.name, onclick: () => {
        this.#dialog.close();
        this.choose(stage.name);
      } }, h("b", {}, stage.title), h("span", {}, ...prose(firstSentence(stage.doc)))))));
  }
}

/** @param {string} text */
const firstSentence = (text) => (/^.*?[.!?](?=\s|$)/s.exec(text)?.[0] ?? text).replace(/\s+/g, " ");

export class KeyDialog {
  #dialog = byId("key-dialog", HTMLDialogElement);
  #input = byId("key-input", HTMLInputElement);
  #text = byId("key-text", HTMLElement);

  /** @param {() => void} onKey there is a key to try */
  constructor(onKey) {
    byId("key-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      setApiKey(this.#input.value.trim());
      this.#input.value = "";
      this.#dialog.close();
      onKey();
    });
    byId("key-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /** @param {boolean} wrong one was given and refused */
  open(wrong) {
    this.#text.textContent = wrong ? "That key is not the right one. Try again; it stays in this tab."
      : "Enter a key of yours or the server's own, which stays in this tab, or sign in.";
    refuse();
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#input.focus();
  }
}
