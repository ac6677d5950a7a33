/** What was said, put together from the events of a session. Knows no page. */

import { Emitter } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("../types/events.js").SpokenWord} SpokenWord
 * @typedef {{id: string, speaker: string, language: string, engine: string, committed: SpokenWord[],
 *   partial: SpokenWord[], final: boolean}} Utterance
 */

const UNSURE = 0.5; // confidence below which a word is shown as one that may be wrong
const KEPT = 200; // utterances
const UNSPACED = new Set(["zh", "ja", "th", "lo", "my", "yue"]); // languages written without blanks

/** @param {SpokenWord} word */
export const unsure = ({ confidence }) => confidence !== null && confidence < UNSURE;

/** What stands between two words. @param {string} language */
export const gap = (language) => (UNSPACED.has(language) ? "" : " ");

/** @param {Utterance} utterance committed words only */
export const textOf = ({ committed, language }) => committed.map(({ text }) => text).join(gap(language));

/** @extends {Emitter<{change: Utterance, committed: Utterance, clear: null}>} */
export class Transcript extends Emitter {
  /** @type {Map<string, Utterance>} */
  #all = new Map();

  get utterances() {
    return [...this.#all.values()];
  }

  /** @param {ServerEvent} event */
  hear(event) {
    if (event.type === "transcript.partial") {
      const { utterance, words, engine, language } = event.data;
      const said = this.#of(utterance, event.track);
      if (said.final) return; // it came too late
      Object.assign(said, { partial: words, engine, language: language || said.language });
      this.emit("change", said);
    } else if (event.type === "transcript.committed") {
      const { utterance, words, engine, language, speaker, final } = event.data;
      const said = this.#of(utterance, event.track);
      said.committed.push(...words);
      Object.assign(said, { partial: [], engine, language: language || said.language, speaker, final });
      if (final && said.committed.length === 0) this.#all.delete(utterance);
      this.emit("change", said);
      if (words.length) this.emit("committed", said);
    }
  }

  clear() {
    this.#all.clear();
    this.emit("clear", null);
  }

  get text() {
    return this.utterances.map(textOf).filter(Boolean).join("\n");
  }

  /** @param {string} id @param {string | null} track @returns {Utterance} */
  #of(id, track) {
    let found = this.#all.get(id);
    if (!found) {
      found = { id, speaker: track ?? "", language: "", engine: "", committed: [], partial: [], final: false };
      this.#all.set(id, found);
      const [oldest] = this.#all.keys();
      if (this.#all.size > KEPT && oldest !== undefined) this.#all.delete(oldest);
    }
    return found;
  }
}
