/** The digit that a hand signs, large at the picture's edge, for as long as it is shown. */

import { h } from "./dom.js";

/** @typedef {import("../types/events.js").HandDigit} HandDigit */

export class SignBadge {
  #box = h("div", { class: "signs", role: "status", "aria-label": "Sign digits" });
  /** @type {Map<number, HTMLElement>} */
  #shown = new Map();

  /** @param {HTMLElement} monitor */
  constructor(monitor) {
    monitor.append(this.#box);
  }

  /** @param {HandDigit} event */
  show({ hand, side, digit }) {
    this.#shown.get(hand)?.remove();
    this.#shown.delete(hand);
    if (digit === null) return;
    const badge = h("b", { title: `The ${side} hand signs ${digit}` }, digit);
    this.#shown.set(hand, badge);
    this.#box.append(badge);
  }

  /** Another session, or another pipeline: hands are others. */
  clear() {
    this.#shown.clear();
    this.#box.replaceChildren();
  }
}
