/** What a builder pastes to use this server's speech from a program of their own. */

import { CodePanel } from "./code-panel.js";
import { byId } from "./dom.js";
import { radios } from "./monitor.js";
import { baseUrl, speechSnippet } from "./speech-snippets.js";
import { shows } from "./storage.js";

/** @typedef {import("./speech-snippets.js").Purpose} Purpose */

const KEYS = { given: "••••••••", own: "one of yours", some: "this server asks for one", nothing: "any: this server asks for none" };

export class Builders {
  /** @type {Purpose} */
  #purpose = "talk";
  #show = byId("build-show-key", HTMLInputElement);

  /** @param {() => string | null} key the API key that was given to this page */
  constructor(key) {
    this.key = key;
    this.code = new CodePanel((language) => speechSnippet(this.#purpose, language, this.#server()));
    byId("build-code", HTMLElement).append(this.code.element);
    radios("build-what", "build", (purpose) => {
      this.#purpose = /** @type {Purpose} */ (purpose);
      this.code.refresh();
    });
    this.#show.checked = false; // nobody finds a key on the screen that did not ask for it
    this.#show.addEventListener("change", () => this.refresh());
    addEventListener("aimass:refused", () => this.refresh());
    this.refresh();
  }

  /** A key was given, or taken back. */
  refresh() {
    const server = this.#server();
    byId("build-with-key", HTMLElement).hidden = this.key() === null;
    byId("build-url", HTMLElement).textContent = baseUrl(server);
    byId("build-key", HTMLElement).textContent = server.key ?? KEYS[shows()];
    this.code.refresh();
  }

  /** @returns {import("./speech-snippets.js").Server} */
  #server() {
    return { origin: location.origin, secured: shows() !== "nothing", key: this.#show.checked ? this.key() : null };
  }
}
