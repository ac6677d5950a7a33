/** What is being done, how far it is, and what went wrong. */

import { byId, h } from "./dom.js";
import { explain, ServerError } from "../sdk/aimass-stream.js";

/** @type {Record<string, string>} */
const TITLES = { invalid: "That can't be painted", "not-found": "Not here", busy: "The server is busy",
  unavailable: "Not possible on this server right now" };
const PASSING = ["server-gone", "busy", "unavailable"];

export class Words {
  #place = byId("trouble", HTMLElement);

  /**
   * @param {string | null} text null: nothing is being done @param {number | null} share null: nobody knows how far
   * @param {boolean} turns whether a wheel turns on the picture, too
   */
  say(text, share, turns) {
    byId("doing", HTMLElement).hidden = text === null;
    byId("doing-text", HTMLElement).textContent = text ?? "";
    const bar = byId("doing-bar", HTMLProgressElement);
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    byId("waiting", HTMLElement).hidden = text === null || !turns;
  }

  /** Answers whether a key is missing. @param {unknown} thrown null: all is well @param {() => void} again */
  trouble(thrown, again) {
    this.#place.hidden = !thrown;
    this.#place.replaceChildren();
    if (!thrown) return false;
    const error = explain(thrown);
    const keyless = error instanceof ServerError && error.reason === "unauthorized";
    if (keyless) byId("key-button", HTMLElement).hidden = false;
    const title = error instanceof ServerError && !keyless ? TITLES[error.reason] ?? "The server refused this"
      : error.reason === "unexpected" ? "" : error.title;
    this.#place.append(title ? h("b", {}, title) : "", error.message || "Something went wrong.");
    if (PASSING.includes(error.reason)) {
      this.#place.append(h("div", {}, h("button", { type: "button", class: "button small", onclick: again }, "Try again")));
    }
    return keyless;
  }
}
