/**
 * The promised latency: a field for the bound, and in words how it is kept. Which stage works with less stands as a
 * chip at the stage (pipeline-editor.js), the bound as a line in the graph.
 */

import { byId } from "./dom.js";

/**
 * @typedef {import("../types/events.js").LatencyStats} LatencyStats
 * @typedef {import("../types/events.js").RungStats} RungStats
 * @typedef {import("./pipeline.js").PipelineModel} PipelineModel
 */

export class PromiseView {
  #field = byId("promise", HTMLInputElement);
  #state = byId("promise-state", HTMLElement);

  /** @param {PipelineModel} model */
  constructor(model) {
    this.model = model;
    this.#field.addEventListener("change", () => this.#take());
    model.on("latency", () => this.#draw());
  }

  #take() {
    const { value, validity } = this.#field;
    if (!validity.valid) return this.#tell("A whole number of milliseconds from 10 to 5000, or nothing.", "bad");
    this.model.setLatency(value === "" ? 0 : Number(value));
    return undefined;
  }

  #draw() {
    const { latency } = this.model;
    this.#field.value = latency ? String(latency) : "";
    this.#tell(latency ? "Measuring." : "", "plain");
  }

  /** Once a second. @param {LatencyStats | null} stats */
  show(stats) {
    if (!this.#field.validity.valid) return;
    if (!stats) return this.#tell("", "plain");
    if (stats.p95_ms === null) return this.#tell("Measuring.", "plain");
    const now = `95 of 100 take ${Math.round(stats.p95_ms)} ms or less`;
    const less = stats.stages.map((stage) => this.#less(stage)).join("; ");
    if (stats.kept === null) return this.#tell(`${now}, as far as anything is measured.`, "plain");
    if (stats.kept) return this.#tell(less ? `Kept: ${now}. For that, ${less}.` : `Kept: ${now}.`, "good");
    return this.#tell(less ? `Not kept: ${now}, though ${less}.` : `Not kept: ${now}.`, "bad");
  }

  /** @param {RungStats} stage */
  #less({ index, stage, name, says }) {
    if (index === null) return says;
    const title = this.model.info(stage)?.title ?? stage;
    return `${title.toLowerCase()} works with less (${says || name})`;
  }

  /** @param {string} text @param {"plain" | "good" | "bad"} tone */
  #tell(text, tone) {
    this.#state.hidden = text === "";
    if (this.#state.textContent !== text) this.#state.textContent = text;
    this.#state.dataset.tone = tone;
  }
}
