/** Before and after, one over the other with a line to drag between them: pictures, or two videos that run together. */

import { h } from "./dom.js";
import { Split } from "./split.js";

const APART = 0.12; // s that two videos may be, before one is put right

export class Wipe {
  #layers;
  /** @type {string[]} */
  #urls = [];

  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    this.#layers = /** @type {HTMLElement} */ (box.querySelector(".layers"));
    new Split(box, () => box.dataset.view === "slider" && this.after !== null);
  }

  /** @returns {HTMLElement | null} */
  get before() {
    return this.#layers.querySelector(".raw");
  }

  /** @returns {HTMLElement | null} */
  get after() {
    return this.#layers.querySelector(".processed");
  }

  /** How much of the painting is seen, 0 to 1. @param {number} share */
  set strength(share) {
    this.box.style.setProperty("--strength", String(share));
  }

  /** Where the page is one column, as on a phone, it may lie below what is seen. */
  reveal() {
    if (!matchMedia("(max-width: 860px)").matches) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.box.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  clear() {
    this.#layers.replaceChildren();
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.box.classList.remove("has-raw", "has-picture", "reveal");
  }

  /**
   * What is to be painted. Resolves false where this browser can't show it.
   * @param {Blob} file @param {boolean} video @returns {Promise<boolean>}
   */
  async show(file, video) {
    this.clear();
    const shown = await this.#load(file, video, "raw", "Before");
    if (!shown) return false;
    this.#layers.replaceChildren(shown);
    this.#shape(shown);
    this.box.classList.add("has-raw");
    this.box.dataset.view = "slider";
    return true;
  }

  /** What was painted. @param {Blob} file @param {boolean} video @returns {Promise<boolean>} */
  async paint(file, video) {
    const shown = await this.#load(file, video, "processed", "After");
    if (!shown) return false;
    this.after?.remove();
    this.#layers.append(shown);
    this.#shape(shown);
    const first = !this.box.classList.contains("has-picture");
    this.box.classList.add("has-raw");
    this.box.dataset.view = this.before ? "slider" : "result";
    await new Promise(requestAnimationFrame); // or it would not fade in
    this.box.classList.add("has-picture");
    if (first && this.before) this.box.classList.add("reveal");
    if (shown instanceof HTMLVideoElement) this.#together(shown);
    return true;
  }

  /** What a painting looks like by now. @param {Blob} file */
  async glance(file) {
    const shown = await this.#load(file, false, "processed glance", "By now");
    if (!shown) return;
    this.after?.remove();
    this.#layers.append(shown);
    if (!this.before) this.#shape(shown);
    this.box.classList.add("has-raw", "has-picture");
    this.box.dataset.view = "result";
  }

  /**
   * @param {Blob} file @param {boolean} video @param {string} name class @param {string} label
   * @returns {Promise<HTMLImageElement | HTMLVideoElement | null>}
   */
  async #load(file, video, name, label) {
    const url = URL.createObjectURL(file);
    this.#urls.push(url);
    const shown = video ? h("video", { class: name, muted: true, loop: true, playsinline: true, "aria-label": label })
      : h("img", { class: name, alt: label });
    const loaded = new Promise((resolve) => {
      shown.addEventListener(video ? "loadeddata" : "load", () => resolve(true), { once: true });
      shown.addEventListener("error", () => resolve(false), { once: true });
    });
    if (shown instanceof HTMLVideoElement) shown.muted = true; // the attribute alone counts for parsers only
    shown.src = url;
    return (await loaded) ? shown : null;
  }

  /** @param {HTMLElement} shown */
  #shape(shown) {
    const [width, height] = shown instanceof HTMLVideoElement ? [shown.videoWidth, shown.videoHeight]
      : shown instanceof HTMLImageElement ? [shown.naturalWidth, shown.naturalHeight] : [3, 2];
    if (width && height) this.box.style.setProperty("--shape", String(width / height));
  }

  /** @param {HTMLVideoElement} after */
  #together(after) {
    const { before } = this;
    if (!(before instanceof HTMLVideoElement)) return void after.play().catch(() => undefined);
    after.addEventListener("play", () => void before.play().catch(() => undefined));
    after.addEventListener("pause", () => before.pause());
    after.addEventListener("timeupdate", () => {
      if (Math.abs(before.currentTime - after.currentTime) > APART) before.currentTime = after.currentTime;
    });
    before.currentTime = 0;
    void after.play().catch(() => undefined);
  }
}
