/**
 * A session on the server and the way to it. Makes peers, comes back after a cut with the session's id and
 * resume token, hands out events in order, and carries control messages whose answers are awaited.
 */

import { Emitter } from "./emitter.js";
import { AimassError, NetworkError, ServerError, explain } from "./errors.js";
import { Sequence, parseEvent } from "./events.js";
import { Peer } from "./peer.js";
import { snapshot } from "./rtc-stats.js";

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {import("../types/api.js").Sync} Sync
 * @typedef {import("./signalling.js").Signalling} Signalling
 * @typedef {"idle" | "connecting" | "live" | "reconnecting" | "failed" | "closed"} State
 * @typedef {{state: State, error: AimassError | null, retryIn: number | null}} Status `retryIn` in seconds
 * @typedef {{pipeline: Pipeline, sync: Sync, latency_ms?: number}} Wish what the session is to run
 * @typedef {(attempt: number, error: AimassError) => number | null} RetryPolicy seconds until the next try; null
 *   gives up
 */

/** At once, then slower and slower; the server's own Retry-After counts. What only a person can mend ends it. */
/** @type {RetryPolicy} */
export function patientRetry(attempt, error) {
  if (error instanceof ServerError) {
    if (error.reason === "not-found") return 0;
    if (error.reason === "busy" || error.reason === "unavailable") return error.retryAfter ?? 5;
    return null;
  }
  if (error.reason === "media-blocked") return attempt < 3 ? 3 : null;
  if (error instanceof NetworkError && error.reason !== "no-webrtc") {
    return attempt === 0 ? 0 : Math.min(8, 0.5 * 2 ** (attempt - 1));
  }
  return null;
}

/**
 * @extends {Emitter<{
 *   status: Status,
 *   stream: MediaStream,
 *   event: ServerEvent,
 *   session: {id: string, fresh: boolean},
 * }>}
 */
export class Connection extends Emitter {
  /** @type {Status} */
  status = { state: "idle", error: null, retryIn: null };
  /** @type {string | null} */
  sessionId = null;
  /** @type {string | null} */
  #token = null;
  /** @type {Peer | null} */
  #peer = null;
  /** @type {import("./peer.js").Tracks} */
  #tracks = { audio: null, video: null };
  /** @type {RTCIceServer[] | null} */
  #iceServers = null;
  #sequence = new Sequence();
  #stop = new AbortController();
  #wake = () => {};
  /** @type {Map<string, {resolve: (event: ServerEvent) => void, reject: (error: Error) => void}>} */
  #asked = new Map();
  #count = 0;
  #together = false; // the picture waits for its sound

  /**
   * @param {Signalling} signalling
   * @param {() => Wish} wish asked for at each start of a session
   * @param {{retry?: RetryPolicy, seconds?: number, silence?: number}} [options]
   */
  constructor(signalling, wish, { retry = patientRetry, seconds = 8, silence = 4 } = {}) {
    super();
    this.signalling = signalling;
    this.wish = wish;
    this.retry = retry;
    this.seconds = seconds;
    this.silence = silence;
  }

  /** Starts, and keeps the session alive until `close`. Safe to call again after it failed. */
  open() {
    if (!["idle", "failed", "closed"].includes(this.status.state)) return this.retryNow();
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  /** Does not wait out the pause before the next try. */
  retryNow() {
    this.#wake();
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    let attempt = 0;
    this.#set("connecting");
    while (!signal.aborted) {
      /** @type {AimassError} */
      let error;
      try {
        const peer = await this.#attempt(signal);
        attempt = 0;
        this.#peer = peer;
        peer.setTogether(this.#together); // where that was said before the peer was ready
        this.emit("stream", peer.stream);
        this.#set("live");
        error = explain(await peer.lost);
      } catch (thrown) {
        error = explain(thrown);
      }
      if (signal.aborted) return;
      this.#peer = null;
      this.#refuseAll(error);
      if (error.reason === "not-found") this.#forget();
      const pause = this.retry(attempt, error);
      attempt += 1;
      if (pause === null) return this.#set("failed", error);
      this.#set(this.sessionId ? "reconnecting" : "connecting", error, pause);
      if (pause > 0) await this.#sleep(pause, signal);
    }
  }

  /** @param {AbortSignal} signal */
  async #attempt(signal) {
    this.#iceServers ??= (await this.signalling.config()).iceServers ?? [];
    const peer = await Peer.connect({
      tracks: { ...this.#tracks },
      iceServers: this.#iceServers,
      exchange: (sdp) => this.#exchange(sdp, signal),
      message: (text) => this.#message(text),
      together: this.#together,
      seconds: this.seconds,
      silence: this.silence,
      signal,
    });
    await peer.setTrack("audio", this.#tracks.audio); // it may have changed on the way
    await peer.setTrack("video", this.#tracks.video);
    return peer;
  }

  /**
   * @param {string} sdp
   * @param {AbortSignal} signal
   */
  async #exchange(sdp, signal) {
    const known = this.sessionId && this.#token
      ? { session_id: this.sessionId, resume_token: this.#token, last_seq: this.#sequence.last } : null;
    const answer = await this.signalling.offer({ sdp, type: "offer", ...(known ?? this.wish()) }, signal);
    this.sessionId = answer.session_id;
    this.#token = answer.resume_token;
    this.emit("session", { id: answer.session_id, fresh: known === null });
    return answer.sdp;
  }

  /** @param {string} text */
  #message(text) {
    const event = parseEvent(text);
    if (!event || !this.#sequence.admit(event)) return;
    if (event.type === "session.ended") this.#forget();
    if (event.type === "session.created" || event.type === "session.updated") {
      this.#together = event.data.sync === "lips";
      this.#peer?.setTogether(this.#together);
    }
    const id = event.type === "session.updated" || event.type === "error" ? event.data.request_id : null;
    const asked = id ? this.#asked.get(id) : undefined;
    if (asked && id) {
      this.#asked.delete(id);
      if (event.type === "error") asked.reject(new ServerError(event.data));
      else asked.resolve(event);
    }
    this.emit("event", event);
  }

  /**
   * Sends a control message and waits for its answer. Rejects with the `ServerError` that refused it.
   * @param {Record<string, unknown>} message
   * @returns {Promise<ServerEvent>}
   */
  request(message) {
    const id = `r${++this.#count}`;
    return new Promise((resolve, reject) => {
      if (!this.#peer?.send(JSON.stringify({ ...message, id }))) {
        reject(new NetworkError("media-lost", { title: "Not connected", message: "The change was not sent." }));
        return;
      }
      this.#asked.set(id, { resolve, reject });
    });
  }

  /**
   * Sends a control message that has no answer.
   * @param {Record<string, unknown>} message
   */
  tell(message) {
    this.#peer?.send(JSON.stringify(message));
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async setTrack(kind, track) {
    this.#tracks[kind] = track;
    await this.#peer?.setTrack(kind, track);
  }

  /** What the browser measures of this connection, null while there is none. */
  async stats() {
    const peer = this.#peer;
    return peer ? snapshot(await peer.stats()) : null;
  }

  /** Ends the session here and on the server. */
  close() {
    const id = this.sessionId;
    this.#stop.abort();
    this.#peer?.close();
    this.#peer = null;
    this.#forget();
    this.#set("closed");
    if (id) this.signalling.end(id).catch(() => undefined); // gone already: that is what we want
  }

  #forget() {
    this.sessionId = this.#token = null;
    this.#sequence = new Sequence();
  }

  /** @param {Error} error */
  #refuseAll(error) {
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }

  /**
   * @param {State} state
   * @param {AimassError | null} [error]
   * @param {number | null} [retryIn]
   */
  #set(state, error = null, retryIn = null) {
    this.status = { state, error, retryIn };
    this.emit("status", this.status);
  }

  /**
   * @param {number} seconds
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  #sleep(seconds, signal) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(), seconds * 1000);
      const now = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#wake = now;
      signal.addEventListener("abort", now, { once: true });
    });
  }
}
