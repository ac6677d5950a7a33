/** A video on its way: sent, painted on the server as a job, and brought back. */

import { AimassError, NetworkError } from "./errors.js";

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
   * @param {File} video @param {import("./paint-api.js").Style} style @param {number} strength
   * @returns {Promise<{job: Job, file: Blob}>} the job as it ended, and the painted video
   */
  async run(video, style, strength) {
    this.told.say("Sending the video", 0);
    const job = await this.api.video(video, style, strength, (share) => {
      this.told.say(share < 1 ? `Sending the video, ${Math.round(share * 100)} %` : "Looking at the video",
        share < 1 ? share : null);
    }, this.#over.signal);
    this.id = job.id;
    if (this.cancelled) throw this.#over.signal.reason;
    return this.follow(job.id);
  }

  /** One that was begun before. @param {string} id */
  async follow(id) {
    this.id = id;
    const job = await this.#ended();
    if (job.state !== "done") throw refused(job);
    this.told.say("Bringing it back", null);
    return { job, file: await this.api.file(id, "result", this.#over.signal) };
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
  return job.message ? `Painting: ${job.message}${left}` : "Painting";
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

/** @param {Job} job */
function refused(job) {
  const detail = job.error?.detail ?? "";
  return new AimassError(job.state, {
    title: job.state === "cancelled" ? "The job was ended" : "The video could not be painted",
    message: detail ? `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.` : "",
  });
}
