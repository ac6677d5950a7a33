/**
 * A session on the server and the way to it. Makes links, comes back after a cut with the session's id and
 * resume token, hands out events in order, and carries control messages whose answers are awaited.
 */

import { AimassError, ClosedError, NetworkError, ServerError, TokenError, explain, mediaLost, serverGone } from "./errors.js";
import { Emitter, Sequence, parseEvent } from "./events.js";
import { Peer } from "./peer.js";

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {import("../types/api.js").Sync} Sync
 * @typedef {import("./link.js").Link} Link
 * @typedef {import("./link.js").Media} Media
 * @typedef {import("./rest.js").Rest} Rest
 * @typedef {"idle" | "connecting" | "live" | "reconnecting" | "failed" | "closed"} State
 * @typedef {{state: State, error: AimassError | null, retryIn: number | null}} Status `retryIn` in seconds
 * @typedef {{pipeline?: Pipeline, sync?: Sync, latency_ms?: number, app_id?: string, parameters?: Record<string, unknown>}} Wish
 *   what the session is to run
 * @typedef {(attempt: number, error: AimassError) => number | null} RetryPolicy seconds until the next try, where `attempt`
 *   ones in a row have failed for the same reason before; null gives up
 * @typedef {{id: string, fresh: boolean, epoch: number}} Opened a session was begun (`fresh`), or is gone on with;
 *   `epoch` counts those that this connection has had
 */

const SECONDS = 8; // that media may take to flow,
const AUTO_SECONDS = 4; // and WebRTC's before a websocket is taken, where either will do
const SILENCE = 4; // s without anything, after which a link is lost
const STEADY = 2000; // ms that a link has to last, or its loss counts as one more failed try
const FAREWELL = 200; // ms for the last word to leave
const QUICK = 150; // tries, about a minute
const CONFIG_SECONDS = 600; // that servers for ICE are good for: credentials may end

/**
 * At once, then twice a second for a minute, then slower, so that whoever was cut off is soon back, and many don't come at
 * the same moment; the server's own Retry-After counts. What only a person can mend ends it.
 */
/** @type {RetryPolicy} */
export function patientRetry(attempt, error) {
  const soon = (attempt < QUICK ? 0.4 : 6) * (0.75 + 0.5 * Math.random());
  if (error instanceof ServerError) {
    if (error.reason === "busy") return error.retryAfter ?? 5;
    if (error.reason === "unavailable") return error.retryAfter ?? soon;
    const lost = error.reason === "not-found" && (error.field === "session_id" || error.field === "resume");
    return attempt === 0 && (lost || error instanceof TokenError) ? 0 : null; // by another one
  }
  if (error.reason === "media-blocked") return attempt < 3 ? 3 : null;
  if (error instanceof NetworkError && error.reason !== "no-webrtc") return attempt === 0 ? 0 : soon;
  return null;
}

/**
 * @extends {Emitter<{
 *   status: Status,
 *   stream: MediaStream,
 *   event: ServerEvent,
 *   session: Opened,
 *   missed: number,
 * }>}
 */
export class Connection extends Emitter {
  /** @type {Status} */
  status = { state: "idle", error: null, retryIn: null };
  /** @type {string | null} */
  sessionId = null;
  epoch = 0;
  sequence = new Sequence();
  /** @type {string | null} */
  #token = null;
  /** @type {Link | null} */
  #link = null;
  /** @type {import("./link.js").Tracks} */
  #tracks = { audio: null, video: null };
  /** @type {RTCIceServer[]} */
  #servers = [];
  #until = 0; // in ms, that they are good
  #stop = new AbortController();
  #wake = () => {}; // ends the pause before the next try
  /** @type {Map<string, {resolve: (event: ServerEvent) => void, reject: (error: Error) => void}>} */
  #asked = new Map();
  #count = 0;
  #together = false; // the picture waits for its sound
  #blocked = false; // this network lets no WebRTC through
  #rest;
  #wish;
  #choice;
  #receive;
  #retry;

  /**
   * @param {Rest} rest
   * @param {() => Wish} wish asked for at each start of a session
   * @param {import("./link.js").Transport | "auto"} choice
   * @param {boolean} receive
   * @param {RetryPolicy} [retry]
   */
  constructor(rest, wish, choice, receive, retry = patientRetry) {
    super();
    this.#rest = rest;
    this.#wish = wish;
    this.#choice = choice;
    this.#receive = receive;
    this.#retry = retry;
  }

  /** Starts, and keeps the session alive until `close`. Safe to call again after it failed. */
  open() {
    if (!["idle", "failed", "closed"].includes(this.status.state)) return this.#wake();
    this.#stop = new AbortController();
    this.#run(this.#stop.signal).catch((error) => this.#set("failed", explain(error))); // of a policy that throws
  }

  /** Goes another way from now on. @param {import("./link.js").Transport | "auto"} choice */
  use(choice) {
    this.#choice = choice;
    this.#blocked = false;
    this.#link?.close();
  }

  /** The network is another one, or this page was asleep: looks at once whether the link still carries. */
  suspect() {
    this.#blocked = false;
    this.#link?.suspect();
    this.#wake();
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    let [attempt, reason] = [0, ""];
    this.#set("connecting");
    while (!signal.aborted) {
      /** @type {AimassError} */
      let error;
      /** @type {Link | null} */
      let link = null;
      try {
        link = await this.#connect(signal);
        signal.throwIfAborted();
        this.#link = link;
        await link.setTrack("audio", this.#tracks.audio); // it may have changed on the way
        await link.setTrack("video", this.#tracks.video);
        if (signal.aborted) return; // close() sees to the link
        link.setTogether(this.#together); // where that was said before the link was ready
        this.#rest.admitted();
        this.emit("stream", link.stream);
        this.#set("live");
        const since = performance.now();
        error = explain(await link.lost);
        if (performance.now() - since > STEADY) reason = "";
      } catch (thrown) {
        error = explain(thrown);
      }
      link?.close();
      if (signal.aborted) return;
      this.#link = null;
      if (error.reason === "not-found" || error instanceof TokenError) this.#forget();
      if (error.reason === "server-gone") this.#until = 0; // asking for it first is the cheapest look at a server
      attempt = error.reason === reason ? attempt + 1 : 0;
      reason = error.reason;
      const pause = this.#retry(attempt, error);
      if (pause === null || !(pause >= 0)) return this.#set("failed", error);
      this.#set(this.sessionId ? "reconnecting" : "connecting", error, pause);
      if (pause > 0) await this.#sleep(pause, signal);
    }
  }

  /**
   * By WebRTC, or where that is blocked, or not wished, by a websocket. The session is the same one.
   * @param {AbortSignal} signal
   * @returns {Promise<Link>}
   */
  async #connect(signal) {
    const iceServers = await this.#ice(signal);
    const auto = this.#choice === "auto";
    const options = { tracks: this.#tracks, message: (/** @type {string} */ text) => this.#message(text),
      together: this.#together, seconds: SECONDS, silence: SILENCE, signal, receive: this.#receive };
    if (this.#choice !== "websocket" && !(auto && this.#blocked)) {
      try {
        return await Peer.connect({ ...options, seconds: auto ? AUTO_SECONDS : SECONDS, iceServers,
          exchange: (sdp) => this.#exchange(sdp, signal) });
      } catch (error) {
        const { reason } = explain(error);
        if (!auto || (reason !== "media-blocked" && reason !== "no-webrtc")) throw error;
        this.#blocked = true;
      }
    }
    const { Socket } = await import("./socket.js").catch((error) => { throw serverGone(this.#rest.base, error); });
    const known = this.#known();
    const hello = known ? { resume: { session_id: known.session_id, token: known.resume_token, last_seq: known.last_seq } }
      : { ...this.#wish(), token: (await this.#rest.token()) ?? undefined };
    try {
      return await Socket.connect({ ...options, url: this.#rest.base, hello,
        welcomed: ({ session_id, resume_token }) => this.#opened(session_id, resume_token, known === null) });
    } catch (error) {
      throw this.#rest.judge(error);
    } finally {
      this.#rest.renew();
    }
  }

  /** Servers for ICE. @param {AbortSignal} signal */
  async #ice(signal) {
    if (this.#until < performance.now()) {
      try {
        this.#servers = (await this.#rest.config(signal)).iceServers ?? [];
        this.#until = performance.now() + CONFIG_SECONDS * 1000;
      } catch (error) {
        // the session's own token resumes it, where what opened it is no longer good
        if (!this.#known() || !(error instanceof ServerError)) throw error;
      }
    }
    return this.#servers;
  }

  /**
   * @param {string} sdp
   * @param {AbortSignal} signal
   */
  async #exchange(sdp, signal) {
    const known = this.#known();
    const answer = await this.#rest.offer({ sdp, type: "offer", ...(known ?? this.#wish()) }, signal);
    this.#opened(answer.session_id, answer.resume_token, known === null);
    return answer.sdp;
  }

  /** What to show for going on with the session there was, null where there is none. */
  #known() {
    return this.sessionId && this.#token
      ? { session_id: this.sessionId, resume_token: this.#token, last_seq: this.sequence.last } : null;
  }

  /**
   * @param {string} id
   * @param {string} token that resumes it
   * @param {boolean} fresh
   */
  #opened(id, token, fresh) {
    this.sessionId = id;
    this.#token = token;
    if (fresh) this.epoch += 1;
    this.emit("session", { id, fresh, epoch: this.epoch });
  }

  /** @param {string} text */
  #message(text) {
    const event = parseEvent(text);
    const missed = this.sequence.missed;
    if (!event || !this.sequence.admit(event)) return;
    if (this.sequence.missed > missed) this.emit("missed", this.sequence.missed - missed);
    if (event.type === "session.ended") this.#forget();
    if (event.type === "session.created" || event.type === "session.updated") {
      this.#together = event.data.sync === "lips";
      this.#link?.setTogether(this.#together);
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
      if (this.tell({ ...message, id })) this.#asked.set(id, { resolve, reject });
      else reject(mediaLost());
    });
  }

  /**
   * Sends a control message that has no answer.
   * @param {Record<string, unknown>} message
   * @returns {boolean} false where there is no way to the server just now
   */
  tell(message) {
    return this.#link?.send(JSON.stringify(message)) ?? false;
  }

  /**
   * @param {Media} kind
   * @param {MediaStreamTrack | null} track
   */
  setTrack(kind, track) {
    this.#tracks[kind] = track;
    this.#link?.setTrack(kind, track).catch(() => undefined); // this link is gone: the next one carries it
  }

  /** What the browser measures of this connection, null while there is none. */
  async stats() {
    return (await this.#link?.stats()) ?? null;
  }

  /** By what it is connected now. */
  get transport() {
    return this.#link?.name ?? null;
  }

  /**
   * Ends the session here and on the server.
   * @param {boolean} [leaving] the page goes: nothing can be waited for
   * @param {AimassError} [error] why, where the page did not ask for it
   */
  close(leaving, error) {
    this.#stop.abort();
    const [known, link] = [this.#known(), this.#link];
    if (this.tell({ type: "session.close" }) && !leaving) setTimeout(() => link?.close(), FAREWELL);
    else {
      link?.close();
      if (known) this.#rest.end(known.session_id, known.resume_token).catch(() => undefined); // gone already: as it is to be
    }
    this.#link = null;
    this.#forget();
    this.#set("closed", error);
  }

  #forget() {
    this.sessionId = this.#token = null;
    this.sequence = new Sequence();
    this.#until = 0; // the server may be another one
  }

  /**
   * @param {State} state
   * @param {AimassError | null} [error]
   * @param {number | null} [retryIn]
   */
  #set(state, error = null, retryIn = null) {
    if (state !== "live") {
      for (const { reject } of this.#asked.values()) reject(error ?? new ClosedError());
      this.#asked.clear();
    }
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
      const now = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", now);
        resolve();
      };
      const timer = setTimeout(now, seconds * 1000);
      this.#wake = now;
      signal.addEventListener("abort", now);
    });
  }
}
