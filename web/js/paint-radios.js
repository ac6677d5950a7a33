/** Rows of buttons of which one is chosen, with the mouse or the arrow keys. */

import { arrowTarget, byId } from "./dom.js";

/** @param {string} id also of their data @param {(value: string) => void} chosen */
export function choice(id, chosen) {
  const radios = /** @type {HTMLElement[]} */ ([...byId(id, HTMLElement).querySelectorAll("button")]);
  for (const radio of radios) radio.addEventListener("click", () => chosen(radio.dataset[id] ?? ""));
  byId(id, HTMLElement).addEventListener("keydown", (event) => {
    const target = arrowTarget(event, radios);
    target?.focus();
    target?.click();
  });
}

/** @param {string} id @param {string} value the one that is chosen */
export function mark(id, value) {
  for (const radio of byId(id, HTMLElement).querySelectorAll("button")) {
    radio.setAttribute("aria-checked", String(radio.dataset[id] === value));
    radio.tabIndex = radio.dataset[id] === value ? 0 : -1;
  }
}
