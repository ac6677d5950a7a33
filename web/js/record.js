/**
 * What a session keeps of what was seen, at the stages that saw it: where things stood for how long, and tables to save.
 */

import { h, save } from "./dom.js";
import { explain } from "../sdk/aimass-stream.js";

/** @typedef {import("./server.js").Server} Server */

const RENEWED = 2000; // ms; the map changes slowly
/** @type {Record<string, {file: string, words: string, map: boolean}>} */
const KEPT = {
  detect: { file: "tracks.csv", words: "Save tracks (CSV)", map: true },
  faces: { file: "attendance.csv", words: "Save visits (CSV)", map: false },
};

export class SessionRecord {
  #list;
  #server;
  #session;

  /**
   * @param {HTMLElement} list of stages
   * @param {Server} server
   * @param {() => string | null} session its id, asked for at each look
   */
  constructor(list, server, session) {
    this.#list = list;
    this.#server = server;
    this.#session = session;
    new MutationObserver(() => this.#attach()).observe(list, { childList: true });
  }

  #attach() {
    for (const [stage, kept] of Object.entries(KEPT)) {
      for (const card of this.#list.querySelectorAll(`[data-stage=${stage}]`)) {
        if (!card.querySelector(".kept")) card.append(new Panel(kept, this.#server, this.#session).element);
      }
    }
  }
}

class Panel {
  #server;
  #session;
  #file;
  #status = h("p", { class: "kept-status", role: "status" });
  #picture = h("img", { alt: "Where followed things stood for how long, over the last picture" });
  #shown = h("figure", { hidden: true }, this.#picture, h("figcaption", {}, h("span", {}, "a moment"),
    h("i", { class: "heat-scale", "aria-hidden": "true" }), h("span", {}, "longest")));
  #button = h("button", { type: "button", class: "button small", "aria-pressed": "false",
    title: "Where things that are followed stood for how long", onclick: () => this.#turn() }, "Heat map");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  element;

  /** @param {{file: string, words: string, map: boolean}} kept @param {Server} server @param {() => string | null} session */
  constructor({ file, words, map }, server, session) {
    this.#file = file;
    this.#server = server;
    this.#session = session;
    this.#picture.addEventListener("load", () => URL.revokeObjectURL(this.#picture.src));
    this.element = h("section", { class: "kept", "aria-label": "What was seen" }, h("p", { class: "kept-row" },
      map && this.#button, h("button", { type: "button", class: "button small", onclick: () => void this.#save() }, words)),
      map && this.#shown, this.#status);
  }

  #turn() {
    const on = this.#button.getAttribute("aria-pressed") !== "true";
    this.#button.setAttribute("aria-pressed", String(on));
    this.#shown.hidden = true;
    this.#say("");
    clearTimeout(this.#again);
    if (on) void this.#look();
  }

  get #on() {
    return this.element.isConnected && this.#button.getAttribute("aria-pressed") === "true";
  }

  async #look() {
    const map = await this.#kept("heatmap.png");
    if (!this.#on) return;
    if (map) {
      this.#picture.src = URL.createObjectURL(map);
      this.#shown.hidden = false;
      this.#say("");
    }
    this.#again = setTimeout(() => void (this.#on && this.#look()), RENEWED);
  }

  async #save() {
    const table = await this.#kept(this.#file);
    if (table) save(table, this.#file);
  }

  /** @param {string} name @returns {Promise<Blob | null>} null where there is none, which is said */
  async #kept(name) {
    const session = this.#session();
    try {
      if (!session) throw new Error("There is no session yet.");
      return await this.#server.kept(session, name);
    } catch (thrown) {
      this.#say(explain(thrown).message);
      return null;
    }
  }

  /** @param {string} text */
  #say(text) {
    this.#status.textContent = text;
  }
}
