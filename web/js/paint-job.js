/** What the server does as a job, a video or a lesson: followed to its end, over lost connections. */

import { AimassError, NetworkError, ServerError } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../types/paint.js").Job} Job
 * @typedef {import("./paint-api.js").PaintApi} PaintApi
 * @typedef {{say: (text: string, share: number | null) => void, glance: (picture: Blob) => void}} Told `share` null:
 *   nobody knows how far
 */

const AGAIN = 1500; // ms, after a connection was lost
const PATIENCE = 20; // times it is tried again

export class PaintJob {
  id = "";
  #over = new AbortController();

  /** @param {PaintApi} api @param {Told} told */
  constructor(api, told) {
    this.api = api;
    this.told = told;
  }

  get cancelled() {
    return this.#over.signal.aborted;
  }

  /**
   * @param {(sent: (share: number) => void, signal: AbortSignal) => Promise<Job>} begin sends what it needs
   * @returns {Promise<Job>} as it ended, done
   */
  async run(begin) {
    this.told.say("Sending", 0);
    const job = await begin((share) => {
      this.told.say(share < 1 ? `Sending, ${Math.round(share * 100)} %` : "Sent; the server looks at it",
        share < 1 ? share : null);
    }, this.#over.signal);
    this.id = job.id;
    if (this.cancelled) throw this.#over.signal.reason;
    return this.follow(job.id);
  }

  /** One that was begun before. @param {string} id @returns {Promise<Job>} */
  async follow(id) {
    this.id = id;
    const job = await this.#ended();
    if (job.state !== "done") throw refused(job);
    return job;
  }

  /** What came of it. */
  result() {
    this.told.say("Bringing it back", null);
    return this.api.file(this.id, "result", this.#over.signal);
  }

  /** Follows it to its end, over lost connections. @returns {Promise<Job>} */
  async #ended() {
    let seen = 0;
    for (let tries = 0; ; tries += 1) {
      try {
        for await (const job of this.api.follow(this.id, this.#over.signal)) {
          tries = 0;
          this.told.say(words(job), job.state === "running" ? job.progress || null : null);
          if (job.preview > seen) {
            seen = job.preview;
            void this.#glance();
          }
          if (["done", "failed", "cancelled"].includes(job.state)) return job;
        }
      } catch (error) {
        if (!(error instanceof NetworkError || error instanceof TypeError) || tries >= PATIENCE) throw error;
      }
      await new Promise((go) => setTimeout(go, AGAIN));
      if (this.cancelled) throw this.#over.signal.reason;
    }
  }

  async #glance() {
    try {
      const picture = await this.api.file(this.id, "preview", this.#over.signal);
      if (!this.cancelled) this.told.glance(picture);
    } catch {
      return; // the next one comes in a second
    }
  }

  /** Ends it here and on the server. */
  cancel() {
    this.#over.abort(new DOMException("cancelled", "AbortError"));
    if (this.id) void this.api.end(this.id).catch(() => undefined); // it expires by itself
  }
}

/** @param {Job} job */
function words(job) {
  if (job.state === "queued") return job.waiting ? `Waiting: ${job.waiting} before it` : "Waiting for its turn";
  const left = job.eta === null ? "" : `, ${duration(job.eta)} left`;
  const doing = job.kind === "style-train" ? "Learning" : "Painting";
  return job.message ? `${doing}: ${job.message}${left}` : doing;
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

/** @param {Job} job */
function refused(job) {
  const title = job.state === "cancelled" ? "The job was ended" : "It came to nothing";
  const { message } = new ServerError({ status: 500, title, detail: "", ...job.error }); // as a sentence
  return new AimassError(job.state, { title, message });
}
