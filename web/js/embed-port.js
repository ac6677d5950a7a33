/**
 * The way between a frame and the page that holds it. Nobody else is heard: a message counts where its window is the parent and
 * its origin is one of those that the server lists. Nothing is told before the parent was heard, and then to its origin alone.
 */

import { AimassError, explain } from "../sdk/aimass-stream.js";
import { VERSION, read } from "./embed-messages.js";

/** @typedef {import("./embed-messages.js").Message} Message */

const MOST_ASKED = 32; // requests that may wait for their answers
/** What to do, where a page that holds a frame has other ways than a person. @type {Record<string, string>} */
const NEXT = {
  unauthorized: "Send the frame a connect token.",
  "token-expired": "Send the frame another connect token: each opens one session, once, within a minute.",
};

const busy = () => new AimassError("busy", { title: "Too many requests", next: "Wait for the answers.",
  message: `${MOST_ASKED} requests wait for their answers already.` });

export class Port {
  /** Where the parent is from, once it was heard. @type {string | null} */
  origin = null;
  /** Messages of others, which were left unread. */
  ignored = 0;
  #origins;
  #waiting = 0;

  /**
   * @param {string[]} origins
   * @param {(message: Message) => Promise<unknown> | unknown} act does what was asked; what it throws is told
   */
  constructor(origins, act) {
    this.#origins = new Set(origins);
    this.act = act;
    addEventListener("message", (event) => void this.#heard(event));
  }

  /** @param {Record<string, unknown>} message its type, and what belongs to it */
  tell(message) {
    if (this.origin !== null) parent.postMessage(JSON.stringify({ aimass: VERSION, ...message }), this.origin);
  }

  /** @param {unknown} thrown @param {unknown} [id] of the request that it answers */
  complain(thrown, id) {
    const { reason, title, message, next } = explain(thrown);
    const { field = null } = /** @type {{field?: string | null}} */ (thrown ?? {});
    this.tell({ type: "error", id, reason, title, message, next: NEXT[reason] ?? next, field });
  }

  /** @param {MessageEvent} event */
  async #heard({ source, origin, data }) {
    if (source !== parent || parent === window || !this.#origins.has(origin)) return this.#ignore(origin);
    this.origin = origin;
    /** @type {unknown} */
    let id;
    try {
      const message = read(data);
      id = message.id;
      if (this.#waiting >= MOST_ASKED) throw busy();
      this.#waiting += 1;
      await Promise.resolve(this.act(message)).finally(() => (this.#waiting -= 1));
      if (id !== undefined) this.tell({ type: "done", id });
    } catch (error) {
      this.complain(error, id ?? /** @type {{id?: unknown}} */ (error).id);
    }
    return undefined;
  }

  /** @param {string} origin */
  #ignore(origin) {
    this.ignored += 1;
    if (this.ignored > 1) return;
    console.warn(`A message of ${origin} was ignored, and so are others like it: this frame listens to the page that holds `
      + "it, where the server's AIMASS_ORIGINS lists its origin, and to nobody else.");
  }
}
