/**
 * Drawing zones and lines on the picture that comes back: by clicks, or with the arrow keys and the space bar.
 */

import { h, toast } from "./dom.js";
import { ZONE_CORNERS } from "./zones-form.js";

/** @typedef {import("./zones-form.js").Spot} Spot @typedef {import("./zones-form.js").Wish} Wish */

const SPACE = "http://www.w3.org/2000/svg";
const NEAR = 14; // px of the screen, from the first corner: a click there ends the zone
const STEP = 0.02; // of the picture, by an arrow key; a fifth of it with Shift
const MOST = 32; // corners

/**
 * Where in its element a video's picture is, px of the screen.
 * @param {HTMLVideoElement} video
 */
export function pictureIn(video) {
  const box = video.getBoundingClientRect();
  if (!video.videoWidth || getComputedStyle(video).objectFit === "fill") return box;
  const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
  const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
  return new DOMRect(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height);
}

export class Placing {
  #box;
  #video;
  #layer = document.createElementNS(SPACE, "svg");
  #shape = document.createElementNS(SPACE, "path");
  #dots = document.createElementNS(SPACE, "path");
  #aim = document.createElementNS(SPACE, "circle");
  #bar = h("div", { class: "placing-bar", role: "toolbar", "aria-label": "Drawing" });
  #words = h("span", {});
  /** @type {Wish | null} */
  #wish = null;
  /** @type {Spot[]} */
  #points = [];
  /** @type {Spot} where the pointer or the keys are */
  #at = [0.5, 0.5];

  /**
   * @param {HTMLElement} box with `video.processed` inside
   * @param {() => boolean} moved whether a later stage moves the picture, so that what is seen is not where it was looked for
   */
  constructor(box, moved) {
    this.#box = box;
    this.moved = moved;
    this.#video = /** @type {HTMLVideoElement} */ (box.querySelector("video.processed"));
    this.#layer.classList.add("placing");
    this.#layer.setAttribute("tabindex", "0");
    this.#layer.setAttribute("role", "application");
    this.#layer.append(this.#shape, this.#dots, this.#aim);
    this.#shape.classList.add("shape");
    this.#dots.classList.add("dots");
    this.#aim.classList.add("aim");
    this.#aim.setAttribute("r", "7");
    this.finish = h("button", { type: "button", class: "button small primary", onclick: () => this.#finish() }, "Done");
    this.#bar.append(this.#words, this.finish,
      h("button", { type: "button", class: "button small", onclick: () => this.#undo() }, "Undo"),
      h("button", { type: "button", class: "button small", onclick: () => this.stop() }, "Cancel"));
    this.#layer.addEventListener("pointerdown", (event) => this.#click(event));
    this.#layer.addEventListener("pointermove", (event) => this.#move(event));
    this.#layer.addEventListener("keydown", (event) => this.#key(event));
    this.#bar.addEventListener("keydown", (event) => event.key === "Escape" && this.stop());
    new ResizeObserver(() => this.#show()).observe(box);
  }

  get active() {
    return this.#wish !== null;
  }

  /** Lets somebody draw. @param {Wish} wish */
  start(wish) {
    if (!this.#video.videoWidth) return toast("There is no picture to draw on yet");
    if (this.moved()) return toast("A later stage turns or cuts the picture: type the corners instead");
    this.#wish = wish;
    this.#points = [];
    this.#at = [0.5, 0.5];
    this.#layer.setAttribute("aria-label", `Drawing ${wish.name}. Arrow keys move, the space bar sets a corner, Enter ends, `
      + "Backspace takes the last corner back, Escape leaves.");
    this.#box.append(this.#layer);
    this.#box.after(this.#bar); // not over the picture: a corner may be anywhere
    this.#box.classList.add("drawing");
    this.#box.scrollIntoView({ block: "nearest" });
    this.#layer.focus({ preventScroll: true });
    this.#show();
    return undefined;
  }

  stop() {
    this.#wish = null;
    this.#box.classList.remove("drawing");
    this.#layer.remove();
    this.#bar.remove();
  }

  #finish() {
    const wish = this.#wish;
    if (!wish || !this.#whole) return;
    this.stop();
    wish.done(this.#points);
  }

  get #whole() {
    return this.#wish?.kind === "line" ? this.#points.length === 2 : this.#points.length >= ZONE_CORNERS;
  }

  #undo() {
    this.#points.pop();
    this.#show();
    this.#layer.focus({ preventScroll: true });
  }

  /** @param {Spot} spot */
  #add(spot) {
    const [last] = this.#points.slice(-1);
    if (last?.[0] === spot[0] && last[1] === spot[1]) return; // a double click
    if (this.#points.length < MOST) this.#points.push(spot);
    if (this.#wish?.kind === "line" && this.#whole) this.#finish();
    else this.#show();
  }

  /** @param {MouseEvent} event @returns {Spot} */
  #spot({ clientX, clientY }) {
    const { x, y, width, height } = pictureIn(this.#video);
    return [part((clientX - x) / width), part((clientY - y) / height)];
  }

  /** @param {PointerEvent} event */
  #click(event) {
    event.stopPropagation(); // it is not the line between before and after that is meant
    event.preventDefault();
    if (event.button !== 0) return;
    this.#layer.focus({ preventScroll: true });
    const [first] = this.#points;
    if (first && this.#whole && this.#distance(first, event) < NEAR) this.#finish();
    else this.#add((this.#at = this.#spot(event)));
  }

  /** px of the screen. @param {Spot} spot @param {MouseEvent} event */
  #distance(spot, event) {
    const { x, y, width, height } = pictureIn(this.#video);
    return Math.hypot(x + spot[0] * width - event.clientX, y + spot[1] * height - event.clientY);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    event.stopPropagation();
    this.#at = this.#spot(event);
    this.#show();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const size = event.shiftKey ? STEP / 5 : STEP;
    if (way) this.#at = [part(this.#at[0] + (way[0] ?? 0) * size), part(this.#at[1] + (way[1] ?? 0) * size)];
    else if (event.key === " ") this.#add(this.#at);
    else if (event.key === "Enter") this.#finish();
    else if (event.key === "Backspace") this.#undo();
    else if (event.key === "Escape") this.stop();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#show();
  }

  #show() {
    if (!this.#wish) return;
    const picture = pictureIn(this.#video);
    const box = this.#box.getBoundingClientRect();
    const places = [...this.#points, this.#at].map(([x, y]) => (
      [picture.x - box.x + x * picture.width, picture.y - box.y + y * picture.height]));
    const set = places.slice(0, -1);
    const [ax = 0, ay = 0] = places.at(-1) ?? [];
    this.#shape.setAttribute("d", `M${places.join("L")}${this.#points.length > 1 && this.#wish.kind === "zone" ? "Z" : ""}`);
    this.#dots.setAttribute("d", set.map(([x, y]) => `M${x},${y}h0`).join(""));
    this.#aim.setAttribute("cx", String(ax));
    this.#aim.setAttribute("cy", String(ay));
    const { kind, name } = this.#wish;
    const missing = (kind === "line" ? 2 : ZONE_CORNERS) - this.#points.length;
    this.#words.textContent = missing > 0 ? `${name}: click ${missing} more ${missing === 1 ? "point" : "points"}`
      : `${name}: more corners, or Done`;
    this.finish.disabled = !this.#whole;
  }
}

/** @param {number} value */
const part = (value) => Math.round(Math.max(0, Math.min(1, value)) * 1000) / 1000;
