/**
 * A session as a page has it: tracks in, processed tracks and events out, over whatever link there is.
 */

import { Connection } from "./connection.js";
import { ClosedError, invalid, oneOf, trackEnded } from "./errors.js";
import { Emitter } from "./events.js";
import { openOutlet } from "./outlet.js";
import { Rest } from "./rest.js";
import { rates } from "./stats.js";

/**
 * @typedef {import("../types/events.js").EventMap} EventMap
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {import("../types/api.js").Sync} Sync
 * @typedef {import("./connection.js").Status} Status
 * @typedef {import("./connection.js").Wish} Wish
 * @typedef {import("./errors.js").AimassError} AimassError
 * @typedef {import("./link.js").Media} Media
 * @typedef {import("./link.js").Transport} Transport
 * @typedef {import("./aimass-stream.js").Options} Options
 *
 * @typedef {{pipeline?: Pipeline, sync?: Sync, latency?: number, parameters?: Record<string, unknown>}} Change
 * @typedef {{epoch: number, sessionId: string, resumed: boolean, previous: {sessionId: string, lastSeq: number} | null}} Epoch
 *   a session was begun or gone on with. Where it could not be gone on with, `previous` is the one that is lost: what
 *   it said behind `lastSeq` is missing, and so is what stages remembered
 * @typedef {{[Type in keyof EventMap]: Extract<ServerEvent, {type: Type}>}} ServerEvents
 * @typedef {ServerEvents & {
 *   event: ServerEvent,
 *   status: Status,
 *   epoch: Epoch,
 *   missed: number,
 *   ended: {kind: Media, error: AimassError},
 *   away: {kind: Media, away: boolean},
 * }} Events `event` is each one of the server, which are also told by their types; `missed` how many of them are gone for
 *   good; `ended`: a track that was sent has ended; `away`: something stands in for the processed track, or no longer
 */

const CLOCK = 90_000; // of RTP timestamps, in Hz
const TURN = 2 ** 32 / CLOCK; // s, then they begin anew
const TICK = 200; // ms between two looks at the tracks
const MOST_HELD = 1000;
const FAREWELL = 300; // ms that the server may take to say that the session is over

const KINDS = ["audio", "video"];
const TRANSPORTS = ["auto", "webrtc", "websocket"];

/** @extends {Emitter<Events>} */
export class Session extends Emitter {
  #connection;
  /** @type {Wish} */
  #wish;
  #carried = false; // the server was asked for what is wished now
  #options;
  /** @type {Map<Media, {raw: MediaStreamTrack | null, outlet: import("./outlet.js").Outlet | null, away: boolean}>} */
  #sent = new Map();
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {{sessionId: string, lastSeq: number} | null} */
  #before = null;
  /** @type {EventMap["session.stats"] | null} */
  #serverStats = null;
  /** @type {import("./stats.js").Snapshot | null} */
  #last = null;
  #pts = 0; // s, of what was told last
  #timer;
  #over = new AbortController();
  /** @type {[any, any][] | null} what was told before somebody could listen */
  #held = [];

  /**
   * It begins with open().
   * @param {Options} options
   */
  constructor({ url, token = null, pipeline, sync, latency, app, parameters, signal: stop, fallback = "raw", patience = 1,
    receive = true, retry, transport = "auto", fetch }) {
    super();
    stop?.throwIfAborted();
    oneOf("transport", transport, ...TRANSPORTS);
    oneOf("fallback", fallback, "raw", "black", "hold");
    /** For other routes of the server, with this session's token. */
    this.rest = new Rest(url, token, fetch);
    this.#wish = { pipeline, sync, latency_ms: latency, app_id: app, parameters };
    this.#options = { fallback, patience, receive };
    const connection = new Connection(this.rest, () => ((this.#carried = true), this.#wish), transport, receive, retry);
    this.#connection = connection;
    connection.on("event", (event) => this.#told(event));
    connection.on("missed", (count) => this.emit("missed", count));
    connection.on("status", (status) => this.#became(status));
    connection.on("stream", (stream) => this.#follow(stream));
    connection.on("session", ({ id, fresh, epoch }) => {
      this.emit("epoch", { epoch, sessionId: id, resumed: !fresh, previous: fresh ? this.#before : null });
      this.#before = { sessionId: id, lastSeq: connection.sequence.last };
    });
    this.#timer = setInterval(() => this.#look(), TICK);
    const { signal } = this.#over;
    stop?.addEventListener("abort", () => this.#end(), { signal });
    addEventListener("pagehide", ({ persisted }) => (persisted ? connection.close(true) : this.#end(true)), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.open(), { signal });
    addEventListener("online", () => connection.suspect(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || connection.suspect(), { signal });
    /** @type {any} */ (navigator).connection?.addEventListener?.("change", () => connection.suspect(), { signal });
  }

  /** @override @type {Emitter<Events>["on"]} */
  on(name, listener) {
    if (this.#held) setTimeout(() => this.#release()); // who listens to one thing may listen to others next
    return super.on(name, listener);
  }

  /** @override @type {Emitter<Events>["emit"]} */
  emit(name, detail) {
    if (!this.#held) super.emit(name, detail);
    else if (this.#held.push([name, detail]) > MOST_HELD) this.#held.shift();
  }

  #release() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const [name, detail] of held) if (name !== "status" || detail === this.status) this.emit(name, detail);
  }

  /** Begins it. Where it waits for its next try, or has failed, it is tried again now. How it does is told as `status`. */
  open() {
    if (!this.#over.signal.aborted) this.#connection.open();
  }

  /**
   * Goes another way from now on; the session goes on.
   * @param {Transport | "auto"} transport
   */
  use(transport) {
    oneOf("transport", transport, ...TRANSPORTS);
    this.#connection.use(transport);
    if (this.status.state !== "idle") this.open();
  }

  /** The server's name for it; another one in each epoch. */
  get id() {
    return this.#connection.sessionId;
  }

  /** How many sessions the server has had to begin for this one. */
  get epoch() {
    return this.#connection.epoch;
  }

  get status() {
    return this.#connection.status;
  }

  /** By what it is connected now, null while it is not. @returns {Transport | null} */
  get transport() {
    return this.#connection.transport;
  }

  /** What runs, as the server said last. @returns {Pipeline} */
  get pipeline() {
    return this.#wish.pipeline ?? [];
  }

  /**
   * Sends a track and answers the processed one, which stays the same for each kind: called again with the track of
   * another device, a screen or another size, that one is sent from then on. Called with "audio" or "video", nothing is
   * sent, and the answered track has what stages make.
   * @param {MediaStreamTrack | Media} track
   * @returns {MediaStreamTrack}
   */
  process(track) {
    if (!this.#options.receive) throw invalid("receive", false, "Leave it out, or use send().");
    const kind = this.#take(track, KINDS);
    const raw = typeof track === "string" ? null : track;
    const { fallback, patience } = this.#options;
    let outlet = this.#sent.get(kind)?.outlet ?? null;
    if (outlet?.track.readyState === "ended") outlet.close();
    if (!outlet || outlet.track.readyState === "ended") outlet = openOutlet(kind, fallback, patience);
    this.#sent.set(kind, { raw, outlet, away: true });
    outlet.setRaw(raw);
    this.#wire(kind);
    this.#connection.setTrack(kind, raw);
    return outlet.track;
  }

  /**
   * Sends a track for what its events say: nothing is made of what comes back.
   * @param {MediaStreamTrack} track
   */
  send(track) {
    const kind = this.#take(track);
    const outlet = this.#sent.get(kind)?.outlet ?? null;
    outlet?.setRaw(track);
    this.#sent.set(kind, { raw: track, outlet, away: true });
    this.#connection.setTrack(kind, track);
  }

  /**
   * Sends nothing of this kind any more; its processed track ends.
   * @param {Media} kind
   */
  remove(kind) {
    oneOf("kind", kind, ...KINDS);
    this.#sent.get(kind)?.outlet?.close();
    this.#sent.delete(kind);
    this.#connection.setTrack(kind, null);
  }

  /**
   * Has the server run another pipeline; what differs from before begins anew, all else goes on.
   * While the connection is away it waits for it; a session that has not begun, or has failed, is tried with it at once.
   * Rejects with the `ServerError` that names the `field`.
   * @param {Pipeline | Change} change
   */
  async update(change) {
    const wish = Array.isArray(change) ? /** @type {Change} */ ({ pipeline: change }) : change;
    for (const name of wish && typeof wish === "object" ? Object.keys(wish) : [wish]) {
      oneOf("change", name, "pipeline", "sync", "latency", "parameters");
    }
    const { latency, ...rest } = wish;
    const wanted = { ...rest, ...(latency === undefined ? {} : { latency_ms: latency }) };
    const set = rest.parameters && { parameters: { ...this.#wish.parameters, ...rest.parameters } };
    if (!this.id || this.status.state === "failed") {
      this.#carried = false;
      Object.assign(this.#wish, wanted, set);
      this.open();
      await this.ready().catch((error) => {
        if (this.#carried) throw error;
        this.open(); // what failed was on its way before
        return this.ready();
      });
      if (this.#carried) return;
    }
    await this.#request({ type: "session.update", ...wanted });
    Object.assign(this.#wish, set);
  }

  /**
   * Changes some parameters of one stage.
   * @param {number} index its place in the pipeline, from 0
   * @param {Record<string, unknown>} params
   */
  async adjust(index, params) {
    if (!Number.isInteger(index)) throw invalid("index", index, "Count from 0.");
    await this.#request({ type: "stage.update", index, params });
  }

  /**
   * Words into the pipeline: a stage `tts` speaks them.
   * @param {string} text
   */
  async say(text) {
    await this.ready();
    this.#connection.tell({ type: "text", text });
  }

  /** Throws away what is on its way out: who speaks falls silent. */
  hush() {
    this.#connection.tell({ type: "output.flush" });
  }

  /**
   * The pts of a picture of the processed track, by what an element's requestVideoFrameCallback tells of it: the
   * `frame.result` of that pts says what is in it.
   * @param {VideoFrameCallbackMetadata} metadata
   * @returns {number | null} s; null for a picture that stands in, and where the browser does not tell
   */
  ptsOf({ rtpTimestamp, mediaTime }) {
    if (rtpTimestamp === undefined) {
      return this.transport === "websocket" && !this.#sent.get("video")?.outlet?.away ? mediaTime : null;
    }
    const pts = rtpTimestamp / CLOCK;
    return pts + TURN * Math.round((this.#pts - pts) / TURN);
  }

  /** How it does: here, on the way, and on the server, hop by hop. */
  async stats() {
    const now = await this.#connection.stats();
    const rate = now ? rates(this.#last, now) : null;
    this.#last = now;
    return {
      id: this.id, epoch: this.epoch, state: this.status.state, transport: this.transport,
      link: now, rates: rate,
      /** hops by track in ms, drops, what the transport measures; once a second */
      server: this.#serverStats,
      tracks: Object.fromEntries([...this.#sent].map(([kind, { outlet }]) =>
        [kind, outlet && { away: outlet.away, frames: outlet.frames }])),
      missed: this.#connection.sequence.missed,
    };
  }

  /** Ends it here and on the server. Processed tracks end, those that were sent are left alone. */
  async close() {
    if (this.#over.signal.aborted) return;
    if (this.#connection.tell({ type: "session.close" })) {
      await new Promise((resolve) => {
        setTimeout(resolve, FAREWELL);
        this.#connection.on("status", resolve);
      });
    }
    this.#end();
  }

  /** @param {boolean} [leaving] @param {ClosedError} [error] */
  #end(leaving, error) {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    clearInterval(this.#timer);
    this.#connection.close(leaving, error);
    for (const { outlet } of this.#sent.values()) outlet?.close();
    this.#sent.clear();
    this.#stream = null;
  }

  /**
   * Resolves once media can flow; rejects where the policy gives up.
   * @returns {Promise<void>}
   */
  ready() {
    return new Promise((resolve, reject) => {
      /** @param {Status} status */
      const look = ({ state, error }) => {
        if (state === "live") resolve();
        else if (state === "failed" || state === "closed") reject(error ?? new ClosedError());
        else return;
        stop();
      };
      const stop = this.#connection.on("status", look);
      look(this.status);
    });
  }

  /** @param {Record<string, unknown>} message */
  async #request(message) {
    await this.ready();
    await this.#connection.request(message);
  }

  /** @param {any} track @param {string[]} [kinds] that will do in its place @returns {Media} */
  #take(track, kinds = []) {
    if (this.#over.signal.aborted) throw new ClosedError();
    if (kinds.includes(track)) return track;
    if (!/MediaStreamTrack/.test(track)) throw invalid("track", track, "Give a MediaStreamTrack."); // maybe of another frame's class
    if (track.readyState === "ended") throw trackEnded(track.kind);
    return track.kind;
  }

  /** @param {MediaStream | null} stream that comes back */
  #follow(stream) {
    this.#stream = stream;
    for (const kind of this.#sent.keys()) this.#wire(kind);
  }

  /** What comes back goes to the track that the page has. @param {Media} kind */
  #wire(kind) {
    const [track] = this.#stream?.getTracks().filter((one) => one.kind === kind) ?? [];
    const outlet = this.#sent.get(kind)?.outlet;
    if (outlet && outlet.processed !== (track ?? null)) outlet.setProcessed(track ?? null);
  }

  /** @param {Status} status */
  #became(status) {
    if (status.state !== "live") this.#follow(null);
    this.emit("status", status);
  }

  /** @param {ServerEvent} event */
  #told(event) {
    if (this.#before) this.#before.lastSeq = event.seq;
    if (event.pts !== null) this.#pts = event.pts;
    if (event.type === "session.stats") this.#serverStats = event.data;
    if (event.type === "session.created" || event.type === "session.updated") {
      const { pipeline, sync, latency_ms } = event.data; // an app's pipeline is its own
      if (!this.#wish.app_id) this.#wish.pipeline = /** @type {Pipeline} */ (pipeline);
      Object.assign(this.#wish, { sync, latency_ms: latency_ms ?? 0 });
    }
    this.emit("event", event);
    this.emit(event.type, /** @type {any} */ (event));
    if (event.type !== "session.ended") return;
    if (event.data.by === "client") this.#end();
    if (event.data.by === "request") this.#end(false, new ClosedError(event.data.reason));
  }

  #look() {
    for (const [kind, sent] of this.#sent) {
      if (sent.raw?.readyState === "ended") { // its own stop() fires no event
        this.remove(kind);
        this.emit("ended", { kind, error: trackEnded(kind) });
        continue;
      }
      sent.outlet?.tick();
      if (!sent.outlet || sent.outlet.away === sent.away) continue;
      sent.away = sent.outlet.away;
      this.emit("away", { kind, away: sent.away });
    }
  }
}
