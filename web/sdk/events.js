/**
 * Events of a session: read, put in order, handed out by type. Knows nothing of how they arrive.
 */

/** @typedef {import("../types/events.js").ServerEvent} ServerEvent */

/**
 * @param {string} text
 * @returns {ServerEvent | null} null for anything that is no event: only those are numbered
 */
export function parseEvent(text) {
  try {
    const value = JSON.parse(text);
    return Number.isInteger(value.seq) ? value : null;
  } catch {
    return null;
  }
}

/**
 * After a reconnection the server repeats what we may have missed: this lets each event through once and
 * counts what is missing for good.
 */
export class Sequence {
  last = 0;
  missed = 0;

  /** @param {ServerEvent} event */
  admit(event) {
    if (event.seq <= this.last) return false;
    if (this.last > 0) this.missed += event.seq - this.last - 1;
    this.last = event.seq;
    return true;
  }
}

/**
 * Things that happen to an object, typed by name. Smaller and stricter than EventTarget: the listener gets
 * the detail itself, and `on` answers the function that stops listening.
 *
 * @template {Record<string, any>} Events
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
  #listeners = new Map();

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    let listeners = this.#listeners.get(name);
    if (!listeners) this.#listeners.set(name, (listeners = new Set()));
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  emit(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error); // it is the page's: what we are about, and who else listens, goes on
      }
    }
  }
}
