/** Tabs with the same thing in three languages, and a button that copies what is shown. */

import { arrowTarget, copy, h, iconButton } from "./dom.js";
import { LANGUAGES } from "./snippets.js";
import { recall, remember } from "./storage.js";

/** @typedef {import("./snippets.js").Language} Language */

const REMEMBERED = "aimass.language";
/** @type {Set<CodePanel>} */
const panels = new Set();
let count = 0;

export class CodePanel {
  #code = h("code");
  #tabs;
  /** @type {Language} */
  #language = /** @type {Language} */ (recall(REMEMBERED) ?? "curl");

  /** @param {(language: Language) => string} write */
  constructor(write) {
    this.write = write;
    const id = `code-${++count}`;
    this.#tabs = LANGUAGES.map(({ name, title }) => h("button", { type: "button", role: "tab", "data-language": name,
      "aria-controls": id, onclick: () => choose(name) }, title));
    const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Language" }, this.#tabs);
    list.addEventListener("keydown", (event) => {
      const target = arrowTarget(event, this.#tabs);
      target?.focus();
      target?.click();
    });
    this.element = h("div", { class: "code-panel" },
      h("div", { class: "code-head" }, list,
        iconButton("copy", "Copy", () => void copy(this.#code.textContent ?? "", "Code"))),
      h("pre", { id, role: "tabpanel", tabindex: 0 }, this.#code));
    panels.add(this);
    this.show(this.#language);
  }

  /** @param {Language} language */
  show(language) {
    this.#language = LANGUAGES.some(({ name }) => name === language) ? language : "curl";
    for (const tab of this.#tabs) {
      const chosen = tab.dataset.language === this.#language;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    this.refresh();
  }

  /** Writes the text anew: something it speaks of changed. */
  refresh() {
    this.#code.replaceChildren(...highlight(this.write(this.#language)));
  }

  /** Forgets this panel. */
  close() {
    panels.delete(this);
  }
}

/** The choice counts for the whole page, and for the next visit. @param {Language} language */
function choose(language) {
  remember(REMEMBERED, language);
  for (const panel of panels) panel.show(language);
}

const TOKENS = new RegExp([
  String.raw`(?<comment>(?<=^|\n)\s*(?:#|//)[^\n]*|  # [^\n]*)`,
  String.raw`(?<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|${"`[^`\\n]*`"})`,
  String.raw`(?<number>(?<![\w.:/-])-?\d+(?:\.\d+)?\b(?![.\w]))`,
  String.raw`(?<word>\b(?:const|await|new|if|throw|for|of|while|import|from|async|with|as|def|true|false|null|True|False|None|curl|aimass)\b)`,
].join("|"), "g");

/** Long base64 is there to be copied, not to be read. @param {string} text @returns {Array<Node | string>} */
function shortened(text) {
  return text.split(/([A-Za-z0-9+/=]{120,}|(?:[A-Za-z0-9+/=]|%2[BF]|%3D){120,})/).map((part, index) => (
    index % 2 ? h("span", { class: "long" }, part) : part));
}

/** @param {string} text @returns {Array<Node | string>} */
function highlight(text) {
  /** @type {Array<Node | string>} */
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(TOKENS)) {
    const kind = Object.entries(found.groups ?? {}).find(([, value]) => value !== undefined)?.[0] ?? "";
    parts.push(...shortened(text.slice(at, found.index)), h("span", { class: `t-${kind}` }, ...shortened(found[0])));
    at = found.index + found[0].length;
  }
  parts.push(...shortened(text.slice(at)));
  return parts;
}
