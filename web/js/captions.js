/** Live captions: the last words over the picture, all of them in a list, and what to do with them. */

import { byId, copy, h, save, toast } from "./dom.js";
import { explain } from "../sdk/aimass-stream.js";
import { gap, textOf, unsure } from "./transcript.js";

/**
 * @typedef {import("./transcript.js").Transcript} Transcript
 * @typedef {import("./transcript.js").Utterance} Utterance
 * @typedef {import("../types/events.js").SpokenWord} SpokenWord
 */

const SHOWN = 84; // characters over the picture: two lines
const LINGER = 4000; // ms that the last words stay

export class Captions {
  #panel = byId("captions-panel", HTMLElement);
  #list = byId("captions-list", HTMLOListElement);
  #over = byId("captions", HTMLElement);
  #live = byId("captions-live", HTMLElement);
  #engine = byId("captions-engine", HTMLElement);
  /** @type {Map<string, HTMLLIElement>} */
  #lines = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hide;
  #nothing = h("li", { class: "nothing" });
  #heard = false; // speech is recognised now
  #refused = ""; // why it is not
  #hinted = ""; // what the hint says now
  #burnt = false; // a stage draws them into the picture already
  over = true; // also over the picture

  /**
   * @param {Transcript} transcript
   * @param {(format: "srt" | "vtt") => Promise<string>} fetched the session's subtitles, made by the server
   */
  constructor(transcript, fetched) {
    this.transcript = transcript;
    this.fetched = fetched;
    transcript.on("change", (said) => this.#change(said));
    transcript.on("committed", (said) => (this.#live.textContent = textOf(said)));
    transcript.on("clear", () => this.#clear());
    byId("captions-copy", HTMLButtonElement).addEventListener("click", () => void copy(transcript.text, "Transcript"));
    for (const format of /** @type {const} */ (["srt", "vtt"])) {
      byId(`captions-${format}`, HTMLButtonElement).addEventListener("click", () => void this.#download(format));
    }
    this.#clear();
  }

  /** @param {string[]} stages names of those that run */
  show(stages) {
    this.#heard = stages.includes("asr") || stages.includes("assistant");
    this.#burnt = stages.includes("captions");
    if (this.#heard) this.#refused = "";
    if (!this.#heard || this.#burnt || !this.over) this.#over.hidden = true;
    this.#draw();
  }

  /** Who could be heard now, shown until somebody is. @param {string} text @param {{label: string, act: () => void} | null} way */
  hint(text, way) {
    if (this.#refused || this.#hinted === text) return; // a button that is being pressed stays where it is
    this.#hinted = text;
    this.#nothing.classList.remove("bad");
    this.#nothing.replaceChildren(text, ...(way ? [" ", h("button", { type: "button", class: "link", onclick: way.act }, way.label)] : []));
  }

  /** Nobody is heard, and this is why. @param {string} text */
  refuse(text) {
    this.#refused = text;
    this.#hinted = "";
    this.#nothing.classList.add("bad");
    this.#nothing.replaceChildren(text);
    if (!this.#nothing.isConnected) this.#list.append(this.#nothing);
    this.#draw();
  }

  /** What was said can be read and fetched for as long as there is something. */
  #draw() {
    this.#panel.hidden = !this.#heard && !this.#lines.size && !this.#refused;
  }

  /** @param {import("../types/events.js").HearingReady} ready */
  engine({ engine, model, reason }) {
    this.#engine.textContent = `Heard by ${model.startsWith(engine) ? model : `${engine}${model ? ` (${model})` : ""}`}`;
    this.#engine.title = reason;
  }

  /** @param {Utterance} said */
  #change(said) {
    const words = [...said.committed, ...said.partial];
    let line = this.#lines.get(said.id);
    if (!words.length) {
      line?.remove();
      this.#lines.delete(said.id);
      return;
    }
    if (!line) {
      line = h("li");
      this.#lines.set(said.id, line);
      this.#nothing.remove();
      this.#list.append(line);
      this.#prune();
    }
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    line.replaceChildren(h("time", {}, clock(words[0]?.start ?? 0)), h("span", {}, ...spans(said, words)));
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
    this.#overlay(said, words);
  }

  /** @param {Utterance} said @param {SpokenWord[]} words */
  #overlay(said, words) {
    if (this.#burnt || !this.over) return;
    let from = words.length;
    let size = 0;
    while (from > 0 && (size += (words[from - 1]?.text.length ?? 0) + 1) <= SHOWN) from -= 1;
    this.#over.replaceChildren(h("p", {}, ...spans(said, words.slice(Math.min(from, words.length - 1)))));
    this.#over.hidden = false;
    clearTimeout(this.#hide);
    this.#hide = setTimeout(() => (this.#over.hidden = true), LINGER);
  }

  #prune() {
    const kept = new Set(this.transcript.utterances.map(({ id }) => id));
    for (const [id, line] of this.#lines) {
      if (kept.has(id)) continue;
      line.remove();
      this.#lines.delete(id);
    }
  }

  #clear() {
    this.#lines.clear();
    this.#over.hidden = true;
    this.#live.textContent = this.#engine.textContent = "";
    this.#list.replaceChildren(this.#nothing);
    this.#draw();
  }

  /** @param {"srt" | "vtt"} format */
  async #download(format) {
    try {
      const text = await this.fetched(format);
      save(new Blob([text], { type: format === "vtt" ? "text/vtt" : "application/x-subrip" }), `captions.${format}`);
    } catch (error) {
      toast(explain(error).message);
    }
  }
}

/**
 * Words as elements: lighter where they may still change, grey where they may be wrong.
 * @param {Utterance} said
 * @param {SpokenWord[]} words
 */
export function spans(said, words) {
  const partial = new Set(said.partial);
  const between = gap(said.language);
  return words.flatMap((word, index) => {
    const kind = [partial.has(word) && "partial", unsure(word) && "unsure"].filter(Boolean).join(" ");
    const title = unsure(word) ? "may be wrong" : null;
    return [index ? between : "", kind ? h("span", { class: kind, title }, word.text) : word.text];
  });
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
