/** By what the page is connected, and what it may take: kept for every visit. */

import { byId } from "./dom.js";
import { recall, remember } from "./storage.js";

/** @typedef {import("../sdk/aimass-stream.js").Transport} Transport */

const KEPT = "aimass.transport";
const NAMES = { webrtc: "WebRTC", websocket: "Websocket" };

export class TransportChoice {
  #select = byId("transport-select", HTMLSelectElement);
  #use;

  /** @param {(transport: Transport | "auto") => void} use goes that way from now on */
  constructor(use) {
    this.#use = use;
    const kept = recall(KEPT) ?? "auto";
    this.#select.value = [...this.#select.options].some(({ value }) => value === kept) ? kept : "auto";
    this.#select.addEventListener("change", () => this.choose(this.choice));
  }

  /** @returns {Transport | "auto"} */
  get choice() {
    return /** @type {Transport | "auto"} */ (this.#select.value);
  }

  /** @param {Transport | "auto"} choice */
  choose(choice) {
    this.#select.value = choice;
    remember(KEPT, choice === "auto" ? null : choice);
    this.#use(choice);
  }

  /** @param {Transport | null} transport that was taken, null: not connected */
  show(transport) {
    const [auto] = this.#select.options;
    if (auto) auto.textContent = transport ? `${NAMES[transport]}, automatic` : "Automatic";
  }
}
