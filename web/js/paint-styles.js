/** The styles there are, found by what somebody types: a combobox over a gallery (ARIA, "list autocomplete"). */

import { h, icon } from "./dom.js";

/**
 * @typedef {import("../types/paint.js").StyleInfo} StyleInfo
 * @typedef {import("./paint-api.js").PaintApi} PaintApi
 */

const PAUSE = 220; // ms in typing, after which the server is asked what is meant

export class StyleChoice {
  /** @type {StyleInfo[]} */
  styles = [];
  any = false; // whether the server paints after pictures, too
  unable = ""; // why the server can't learn new ones
  chosen = "";
  #active = -1; // of those that are listed, by the arrow keys
  #asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /**
   * @param {HTMLInputElement} input @param {HTMLElement} list @param {HTMLElement} hint @param {PaintApi} api
   * @param {(style: StyleInfo) => void} choose @param {(error: unknown) => void} failed
   */
  constructor(input, list, hint, api, choose, failed) {
    this.input = input;
    this.list = list;
    this.hint = hint;
    this.api = api;
    this.choose = choose;
    this.failed = failed;
    input.addEventListener("input", () => this.#typed());
    input.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("click", (event) => {
      const option = /** @type {HTMLElement} */ (event.target).closest("li");
      if (option?.dataset.name) this.pick(option.dataset.name);
    });
  }

  async load() {
    const { styles, any, unable } = await this.api.styles();
    [this.styles, this.any, this.unable] = [styles, any, unable];
    this.list.replaceChildren(...this.styles.map((style) => this.#option(style)));
    this.hint.textContent = this.styles.length ? "In English or Chinese; nearly right is enough."
      : "No style is installed on this server.";
  }

  /** @param {string} name */
  info(name) {
    return this.styles.find((style) => style.name === name) ?? null;
  }

  /** @param {string} name */
  title(name) {
    return this.info(name)?.title ?? name;
  }

  /** @param {StyleInfo} style */
  #option(style) {
    const sample = h("span", { class: "sample", "aria-hidden": true });
    if (style.sample) void this.#sample(style, sample);
    else sample.append(icon("brush"));
    return h("li", { role: "option", id: `style-${style.name}`, "data-name": style.name, "aria-selected": false },
      sample, h("b", {}, style.title), h("small", {}, style.painter || "made here"));
  }

  /** @param {StyleInfo} style @param {HTMLElement} place */
  async #sample(style, place) {
    try {
      const picture = h("img", { alt: "", src: URL.createObjectURL(await this.api.sample(style.name)) });
      picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
      place.replaceChildren(picture);
    } catch {
      place.append(icon("brush")); // it can be chosen without
    }
  }

  /** @param {string} name */
  pick(name) {
    const style = this.info(name);
    if (!style) return;
    clearTimeout(this.#pause);
    this.#asked += 1;
    this.#mark(name);
    this.input.value = style.title;
    this.#likely(this.styles.map((each) => each.name));
    this.#say([h("b", {}, style.title), [style.painter, style.year].filter(Boolean).map((word) => `, ${word}`).join("")]);
    this.choose(style);
  }

  /** Shows one as chosen, without choosing it. @param {string} name */
  #mark(name) {
    this.chosen = name;
    for (const option of this.#options) option.setAttribute("aria-selected", String(option.dataset.name === name));
    this.#step(-1);
  }

  get #options() {
    return /** @type {HTMLElement[]} */ ([...this.list.children]);
  }

  #typed() {
    clearTimeout(this.#pause);
    const said = this.input.value;
    const words = plain(said);
    const fits = this.styles.filter((style) => [style.name, style.title, style.painter, ...style.names]
      .some((name) => plain(name).includes(words)));
    this.#likely((words && fits.length ? fits : this.styles).map((style) => style.name));
    this.#step(words && fits.length ? this.#options.findIndex((option) => !option.classList.contains("far")) : -1);
    this.hint.classList.remove("none");
    if (!words) this.#say(["In English or Chinese; nearly right is enough."]);
    else if (fits.length) this.#say([fits.length === 1 ? "Enter takes it." : `${fits.length} styles`]);
    else this.#pause = setTimeout(() => void this.#ask(said), PAUSE);
  }

  /** Nothing is called so: what may be meant? @param {string} said */
  async #ask(said) {
    const turn = ++this.#asked;
    try {
      const { meant } = await this.api.styles(said);
      if (turn !== this.#asked) return null;
      this.hint.classList.toggle("none", !meant);
      if (meant) {
        this.#likely([meant]);
        this.#step(this.#options.findIndex((option) => option.dataset.name === meant));
        this.#say(["Do you mean ", h("b", {}, this.title(meant)), "? Enter takes it."]);
      } else {
        this.#say([`No style is called so. There are: ${this.styles.map((style) => style.title).join(", ")}.`]);
      }
      return meant;
    } catch (error) {
      this.failed(error);
      return null;
    }
  }

  /** @param {string[]} names the others fade */
  #likely(names) {
    for (const option of this.#options) option.classList.toggle("far", !names.includes(option.dataset.name ?? ""));
  }

  /** @param {number} index */
  #step(index) {
    this.#active = index;
    this.#options.forEach((option, at) => option.classList.toggle("active", at === index));
    const active = this.#options[index];
    if (active) {
      this.input.setAttribute("aria-activedescendant", active.id);
      active.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const count = this.#options.length;
    if (step && count) {
      event.preventDefault();
      this.#step(this.#active < 0 ? (step > 0 ? 0 : count - 1) : (this.#active + step + count) % count);
    } else if (event.key === "Enter") {
      event.preventDefault();
      void this.#enter();
    }
  }

  async #enter() {
    const name = this.#options[this.#active]?.dataset.name;
    if (name) return this.pick(name);
    clearTimeout(this.#pause);
    const meant = this.input.value.trim() ? await this.#ask(this.input.value) : null;
    if (meant) this.pick(meant);
    return undefined;
  }

  /** @param {(Node | string)[]} words */
  #say(words) {
    this.hint.replaceChildren(...words);
  }
}

/** Without case, accents and signs. @param {string} text */
const plain = (text) => text.normalize("NFKD").replace(/[\p{M}\p{P}\p{Z}\s]+/gu, "").toLowerCase();
