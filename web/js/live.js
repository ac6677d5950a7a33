/**
 * Carries what is edited to the running session. One message is on its way at a time and the newest values
 * follow when its answer is in, so a slider never runs ahead of the server, however fast it is dragged.
 */

import { ServerError } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../sdk/aimass-stream.js").Session} Session
 * @typedef {import("./pipeline.js").PipelineModel} PipelineModel
 * @typedef {import("./pipeline.js").Entry} Entry
 * @typedef {(error: ServerError | null, field: {key: string | null, name: string | null}) => void} Report
 *   a change was refused (error) or taken (null); `key` is the stage's and `name` the parameter's that is at fault
 */

export class LiveChanges {
  /** @type {Set<string>} keys of stages whose parameters are to be sent */
  #params = new Set();
  #whole = false;
  #busy = false;
  #opening = 0;
  /** After a refusal the server runs something else than what is shown: the next change has to carry it all. */
  #stale = false;

  /**
   * @param {PipelineModel} model
   * @param {Session} session
   * @param {Report} report
   */
  constructor(model, session, report) {
    this.model = model;
    this.session = session;
    this.report = report;
    model.on("structure", ({ remote }) => remote || this.#want(null));
    model.on("sync", ({ remote }) => remote || this.#want(null));
    model.on("latency", ({ remote }) => remote || this.#want(null));
    model.on("param", ({ entry }) => this.#want(entry.key));
    session.on("status", ({ state, error }) => {
      if (state === "live") {
        if (!this.#stale) this.report(null, { key: null, name: null });
        void this.#send();
      } else if (error instanceof ServerError && error.reason === "invalid" && !this.#busy && !this.#opening) {
        this.#refused(error);
      }
    });
    session.on("event", (event) => this.#told(event));
  }

  /** Opens the session with what is edited. What is edited while it is not open yet replaces that. */
  async begin() {
    this.#clear();
    this.#opening += 1;
    try {
      await this.session.update(this.#all());
      this.report(null, { key: null, name: null });
    } catch (thrown) {
      if (thrown instanceof ServerError && thrown.reason === "invalid") this.#refused(thrown);
    }
    this.#opening -= 1;
  }

  #all() {
    const { sync, latency } = this.model;
    return { pipeline: this.model.wire(), sync, latency };
  }

  get #pending() {
    return this.#whole || this.#params.size > 0;
  }

  /** @param {string | null} key null: the pipeline as a whole */
  #want(key) {
    if (key === null) this.#whole = true;
    else this.#params.add(key);
    const { state } = this.session.status;
    if (state === "live") void this.#send();
    else if (state === "failed" || (state === "connecting" && !this.session.id)) void this.begin();
  }

  #clear() {
    this.#whole = this.#stale = false;
    this.#params.clear();
  }

  async #send() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#pending && this.session.status.state === "live") {
      try {
        await this.#next();
        this.report(null, { key: null, name: null });
      } catch (thrown) {
        if (!(thrown instanceof ServerError)) {
          this.#whole = true; // not delivered: again when we are back
          break;
        }
        this.#refused(thrown);
      }
    }
    this.#busy = false;
  }

  /** Sends what changed. */
  async #next() {
    if (this.#whole || this.#stale) {
      this.#clear();
      return this.session.update(this.#all());
    }
    const key = [...this.#params][0] ?? "";
    this.#params.delete(key);
    const index = this.model.index(key);
    const entry = this.model.entries[index];
    return entry && this.session.adjust(index, { ...entry.params });
  }

  /** @param {ServerError} error */
  #refused(error) {
    this.#stale = true;
    this.report(error, this.blame(error.field));
  }

  /**
   * "pipeline[1].ms" names a stage and a parameter; "pipeline[1].stage" only the stage.
   * @param {string | null} field
   */
  blame(field) {
    const found = /^pipeline\[(\d+)\](?:\.(.+))?$/.exec(field ?? "");
    const entry = found ? this.model.entries[Number(found[1])] : undefined;
    const name = found?.[2] && found[2] !== "stage" ? found[2] : null;
    return { key: entry?.key ?? null, name };
  }

  /**
   * Somebody else changed the session (REST, another tab), or it runs something else than we thought.
   * @param {import("../types/events.js").ServerEvent} event
   */
  #told(event) {
    if (event.type !== "session.updated" && event.type !== "session.created") return;
    if (this.#pending || this.#stale || this.#busy || this.#opening) return; // ours goes there in a moment
    const pipeline = /** @type {import("../types/api.js").Pipeline} */ (event.data.pipeline);
    if (!this.model.matches(pipeline)) this.model.set(pipeline, { remote: true });
    this.model.setSync(event.data.sync, { remote: true });
    this.model.setLatency(event.data.latency_ms ?? 0, { remote: true });
  }
}
