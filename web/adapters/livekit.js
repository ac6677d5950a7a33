/**
 * A TrackProcessor for livekit-client: the processed track is published in place of the local one.
 *
 *     import { AimassProcessor } from "https://SERVER/adapters/livekit.js";
 *
 *     await track.setProcessor(new AimassProcessor({ url: "https://SERVER", pipeline: [{ stage: "mirror" }] }));
 */

import { connect, patientRetry } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../sdk/session.js").Options} Options
 * @typedef {import("../sdk/session.js").Session} Session
 * @typedef {{track: MediaStreamTrack, kind?: string, element?: HTMLMediaElement, audioContext?: AudioContext}} Given
 */

const TRIES = 3; // before setProcessor() rejects and the track stays as it is

export class AimassProcessor {
  name = "aimass-stream";
  /** @type {MediaStreamTrack | undefined} */
  processedTrack;
  /** Its events, update() and say(). @type {Session | null} */
  session = null;
  #options;
  #stop = new AbortController();

  /** @param {Options} options as connect() takes them */
  constructor(options) {
    this.#options = options;
  }

  /** Rejects with the `AimassError` that says why there is no session. @param {Given} given */
  async init({ track }) {
    await this.destroy();
    const { signal, retry = patientRetry } = this.#options;
    this.#stop = new AbortController();
    let live = false;
    const session = await connect({
      ...this.#options,
      signal: signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal,
      retry: (attempt, error) => (live || attempt < TRIES ? retry(attempt, error) : null),
    });
    live = true;
    this.session = session;
    this.processedTrack = session.process(track);
  }

  /** Another device, or the same one after it was muted. @param {Given} given */
  async restart({ track }) {
    if (!this.session) return this.init({ track });
    this.processedTrack = this.session.process(track);
  }

  async destroy() {
    const { session } = this;
    this.session = null;
    this.processedTrack = undefined;
    if (session) await session.close();
    else this.#stop.abort(); // it was still connecting
  }
}
