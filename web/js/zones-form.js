/**
 * The control for zones and lines in the picture: each has a name and its corners, which are typed as numbers or drawn on
 * the picture. Whoever shows the picture hears the event `place` and calls its `done`.
 */

import { h, iconButton } from "./dom.js";

/**
 * @typedef {import("../types/api.js").Schema} Schema
 * @typedef {[number, number]} Spot x and y in parts of the picture
 * @typedef {{name: string, points: Spot[]}} Zone
 * @typedef {{name: string, start: Spot, end: Spot}} Line
 * @typedef {"zone" | "line"} Kind
 * @typedef {{kind: Kind, name: string, done: (points: Spot[]) => void}} Wish what is to be drawn
 */

export const ZONE_CORNERS = 3; // at least
const EXACT = 3; // decimals: a thousandth of a picture is a pixel or two

/** What a list's items are, if they are places in the picture. @param {Schema} items @returns {Kind | null} */
export function kindOf(items) {
  const names = items.properties ?? {};
  if (names.name && names.points) return "zone";
  return names.name && names.start && names.end ? "line" : null;
}

/** @param {Spot[]} points */
export function spell(points) {
  return points.map((spot) => spot.map((value) => Number(value.toFixed(EXACT))).join(" ")).join(", ");
}

/** The points of a text such as "0 0.4, 0.3 1"; null while it has none. @param {string} text @returns {Spot[] | null} */
export function readPoints(text) {
  const points = text.split(/[,;]/).map((part) => part.trim().split(/\s+/).map(Number));
  return points.every(isSpot) ? points : null;
}

/** @param {number[]} values @returns {values is Spot} */
const isSpot = (values) => values.length === 2 && values.every((value) => value >= 0 && value <= 1);

/** @param {Kind} kind @param {any} place @returns {Spot[]} */
const pointsOf = (kind, place) => (kind === "zone" ? place?.points ?? [] : [place?.start ?? [0, 0], place?.end ?? [1, 1]]);

/** @param {Kind} kind @param {string} name @param {Spot[]} points */
const make = (kind, name, points) => (kind === "zone" ? { name, points } : { name, start: points[0], end: points[1] });

/** Whether so many corners make one. @param {Kind} kind @param {Spot[]} points */
const enough = (kind, points) => (kind === "zone" ? points.length >= ZONE_CORNERS : points.length === 2);

export class ZonesForm {
  /** @type {(Zone | Line)[]} */
  #places = [];
  #rows = h("ul", { class: "zone-list" });

  /**
   * @param {Kind} kind
   * @param {number} most
   * @param {{id: string, words: string, change: (value: unknown) => void}} about
   */
  constructor(kind, most, { id, words, change }) {
    this.kind = kind;
    this.most = most;
    this.change = change;
    this.id = id;
    this.add = h("button", { type: "button", class: "button small", id, "aria-describedby": `${id}-error`,
      onclick: () => this.#draw(null) }, `Draw a ${kind}`);
    this.type = h("button", { type: "button", class: "link", onclick: () => this.#typed() }, "type corners");
    this.element = h("div", { class: "zones", role: "group", "aria-label": words }, this.#rows,
      h("p", { class: "zone-add" }, this.add, " or ", this.type));
  }

  /** @param {unknown} value */
  set(value) {
    this.#places = Array.isArray(value) ? value.filter((place) => place && typeof place === "object") : [];
    this.#show();
  }

  #show() {
    this.#rows.replaceChildren(...this.#places.map((place, index) => this.#row(place, index)));
    this.add.disabled = this.type.disabled = this.#places.length >= this.most;
  }

  /** @param {Zone | Line} place @param {number} index */
  #row(place, index) {
    const name = h("input", { type: "text", maxlength: 40, spellcheck: "false", autocomplete: "off", value: place.name ?? "",
      "aria-label": `Name of ${this.kind} ${index + 1}` });
    const corners = h("input", { type: "text", class: "corners", spellcheck: "false", autocomplete: "off",
      value: spell(pointsOf(this.kind, place)), title: "x y, x y and so on, in parts of the picture from 0 to 1",
      "aria-label": `Corners of ${place.name || this.kind}: x y, x y and so on, in parts of the picture from 0 to 1` });
    name.addEventListener("input", () => name.value.trim() && this.#put(index, { ...place, name: name.value.trim() }, false));
    corners.addEventListener("input", () => {
      const points = readPoints(corners.value);
      const whole = points !== null && enough(this.kind, points);
      corners.setCustomValidity(whole ? "" : `That is no ${this.kind} yet.`);
      corners.setAttribute("aria-invalid", String(!whole));
      if (whole) this.#put(index, { ...this.#places[index], ...make(this.kind, this.#places[index]?.name ?? "", points) }, false);
    });
    return h("li", {}, name, corners,
      iconButton("redraw", `Draw ${place.name || this.kind} anew`, () => this.#draw(index)),
      iconButton("close", `Remove ${place.name || this.kind}`, () => this.#remove(index)));
  }

  /** @param {number} index @param {any} place @param {boolean} anew draws the rows, too */
  #put(index, place, anew) {
    this.#places = this.#places.map((old, at) => (at === index ? place : old));
    this.change(this.#places);
    if (anew) this.#show();
  }

  /** @param {Spot[]} points */
  #append(points) {
    this.#places = [...this.#places, /** @type {Zone | Line} */ (make(this.kind, this.#freeName(), points))];
    this.change(this.#places);
    this.#show();
  }

  #freeName() {
    const taken = new Set(this.#places.map(({ name }) => name));
    let number = this.#places.length + 1;
    while (taken.has(`${this.kind} ${number}`)) number += 1;
    return `${this.kind} ${number}`;
  }

  /** One in the middle, to be moved by its numbers. */
  #typed() {
    this.#append(this.kind === "zone" ? [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]] : [[0.5, 0], [0.5, 1]]);
    const last = this.#rows.lastElementChild?.querySelector(".corners");
    if (last instanceof HTMLInputElement) last.select();
  }

  /** @param {number} index */
  #remove(index) {
    this.#places = this.#places.filter((_, at) => at !== index);
    this.change(this.#places);
    this.#show();
    const next = this.#rows.children[Math.min(index, this.#places.length - 1)]?.querySelector("input");
    (next ?? this.add).focus();
  }

  /** Asks for corners on the picture. @param {number | null} index of the one to draw anew; null: another one */
  #draw(index) {
    const place = index === null ? null : this.#places[index];
    /** @type {Wish} */
    const wish = { kind: this.kind, name: place?.name ?? this.#freeName(), done: (points) => {
      if (index === null) this.#append(points);
      else this.#put(index, { ...this.#places[index], ...make(this.kind, this.#places[index]?.name ?? "", points) }, true);
      this.add.focus({ preventScroll: true });
    } };
    this.element.dispatchEvent(new CustomEvent("place", { bubbles: true, detail: wish }));
  }
}
