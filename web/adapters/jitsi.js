/**
 * An effect for a local track of lib-jitsi-meet, one for each track:
 *
 *     import { aimassEffect } from "https://SERVER/adapters/jitsi.js";
 *
 *     const effect = await aimassEffect({ url: "https://SERVER", pipeline: [{ stage: "mirror" }] });
 *     await jitsiTrack.setEffect(effect);
 */

import { connect, patientRetry } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../sdk/session.js").Options} Options
 * @typedef {import("../sdk/session.js").Session} Session
 */

const TRIES = 3; // before aimassEffect() rejects

export class AimassEffect {
  /** @type {MediaStreamTrack | null} */
  #raw = null;
  /** @type {MediaStreamTrack | null} */
  #processed = null;

  /** @param {Session} session which is open: startEffect() can't wait for one */
  constructor(session) {
    this.session = session;
  }

  /** Whether it can take a track. @param {unknown} [_jitsiTrack] */
  isEnabled(_jitsiTrack) {
    return this.session.status.state !== "closed";
  }

  /** @param {MediaStream} stream of one track @returns {MediaStream} */
  startEffect(stream) {
    const [raw] = stream.getTracks();
    if (!raw) throw new TypeError("The stream has no track.");
    this.#raw = raw;
    this.#processed = this.session.process(raw);
    return new MediaStream([this.#processed]);
  }

  /** The session waits for the next startEffect(); close() ends it. */
  stopEffect() {
    if (this.#raw) this.session.remove(/** @type {"audio" | "video"} */ (this.#raw.kind));
    this.#raw = this.#processed = null;
  }

  isMuted() {
    return this.#raw?.enabled === false;
  }

  /** What is muted is not sent to the server either. @param {boolean} muted */
  setMuted(muted) {
    for (const track of [this.#raw, this.#processed]) if (track) track.enabled = !muted;
  }

  async close() {
    this.stopEffect();
    await this.session.close();
  }
}

/**
 * Opens a session for an effect. Rejects with the `AimassError` that says why there is none.
 * @param {Options} options as connect() takes them
 * @returns {Promise<AimassEffect>}
 */
export async function aimassEffect({ retry = patientRetry, ...options }) {
  let live = false;
  const session = await connect({ ...options,
    retry: (attempt, error) => (live || attempt < TRIES ? retry(attempt, error) : null) });
  live = true;
  return new AimassEffect(session);
}
