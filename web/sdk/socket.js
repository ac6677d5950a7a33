/**
 * A link over a websocket, for networks that let no UDP through.
 */

import { Camera, CODECS, NAMES, Screen, Sound } from "./coding.js";
import { ServerError, VersionError, mediaLost, serverGone } from "./errors.js";
import { holds } from "./outlet.js";
import { PROTOCOL } from "./rest.js";

/**
 * @typedef {import("./link.js").Link} Link
 * @typedef {{session_id: string, resume_token: string, version: number}} Welcome
 * @typedef {import("./link.js").LinkOptions & {
 *   url: URL,
 *   hello: Record<string, unknown>,
 *   welcomed: (welcome: Welcome) => void,
 * }} SocketOptions `hello` is what goes beside the formats: the pipeline, or what resumes a session
 */

const HEADER = 12; // bytes
const CROWDED = 200_000; // bytes that wait to be sent, from which pictures are left out
const ACK_EVERY = 50; // ms
const RATE = 48_000; // Hz
const MOST = 400; // ms that pictures may be held: where more is measured, the tracks have different clocks

/** @implements {Link} */
export class Socket {
  name = /** @type {const} */ ("websocket");
  stream = new MediaStream();
  #socket;
  #closed = false;
  #options;
  #screen = new Screen(() => this.#done++);
  /** @type {Sound | null} */
  #sound = null;
  /** @type {Camera | null} */
  #camera = null;
  /** @type {Awaited<ReturnType<typeof supported>>} */
  #formats = { audio: "pcm_s16le", video: "jpeg" };
  #done = 0;
  #told = 0;
  #bytes = { sent: 0, received: 0 };
  #heard = performance.now();
  #patience;
  #together = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {(error: Error) => void} */
  #end = () => {};
  /** @type {ServerError | null} */
  #refusal = null;

  /** @param {SocketOptions} options */
  constructor(options) {
    this.#options = options;
    this.#patience = options.silence;
    this.lost = new Promise((/** @type {(error: Error) => void} */ resolve) => (this.#end = resolve));
    const url = new URL("v1/stream", options.url);
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
  }

  /**
   * Resolves when the server has said its hello.
   * @param {SocketOptions} options
   * @returns {Promise<Socket>}
   */
  static async connect(options) {
    options.signal.throwIfAborted();
    const socket = new Socket(options);
    try {
      await socket.#connect();
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  async #connect() {
    const { hello, seconds, signal, receive, welcomed } = this.#options;
    const welcome = this.#greeted(seconds, signal);
    welcome.catch(() => undefined); // it is awaited below, and may fail before
    this.#formats = await supported();
    this.#sound = new Sound(this.#formats.audio, (piece) => this.#give(0, piece));
    const sound = this.#sound.open();
    sound.catch(() => undefined); // where the server is away, that is told first
    const ways = { audio: { codec: this.#formats.audio, rate: RATE }, video: { codec: this.#formats.video } };
    await new Promise((resolve, reject) => {
      this.#socket.addEventListener("open", resolve);
      if (this.#socket.readyState === WebSocket.OPEN) resolve(null);
      welcome.catch(reject);
    });
    await sound;
    this.send(JSON.stringify({ type: "hello", version: PROTOCOL, ...hello, in: ways, out: receive === false ? {} : ways }));
    const answer = await welcome;
    if (answer.version !== PROTOCOL) throw new VersionError(answer.version, PROTOCOL);
    welcomed(answer);
    for (const track of [this.#screen.track, this.#sound.track]) this.stream.addTrack(track);
    this.#timer = setInterval(() => this.#look(), ACK_EVERY);
  }

  /**
   * @param {number} seconds
   * @param {AbortSignal} signal
   * @returns {Promise<Welcome>}
   */
  #greeted(seconds, signal) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(serverGone(this.#options.url)), seconds * 1000);
      const aborted = () => reject(signal.reason);
      signal.addEventListener("abort", aborted);
      const settled = () => {
        clearTimeout(late);
        signal.removeEventListener("abort", aborted);
      };
      this.#socket.addEventListener("message", ({ data }) => this.#message(data, (welcome) => {
        settled();
        resolve(welcome);
      }));
      this.#socket.addEventListener("close", ({ code, reason }) => {
        settled();
        const error = this.#refusal
          ?? (code >= 4400 ? new ServerError({ status: code - 4000, title: reason, detail: reason }) : null);
        reject(error ?? serverGone(this.#options.url));
        this.close(error ?? mediaLost());
      });
    });
  }

  /**
   * @param {string | ArrayBuffer} data
   * @param {(welcome: Welcome) => void} welcomed
   */
  #message(data, welcomed) {
    this.#heard = performance.now();
    this.#patience = this.#options.silence;
    if (typeof data !== "string") return this.#media(data);
    this.#bytes.received += data.length;
    this.#done += 1;
    const message = JSON.parse(data);
    if (message.type === "hello") welcomed(message);
    else if (message.type === "keyframe.request") {
      if (this.#camera) this.#camera.wantsKey = true;
    } else if (message.type === "error" && message.seq === 0) this.#refusal = new ServerError(message.data);
    else this.#options.message(data);
  }

  /** @param {ArrayBuffer} message */
  #media(message) {
    if (this.#closed) return; // it would open another decoder
    this.#bytes.received += message.byteLength;
    const view = new DataView(message);
    const [codec, track] = [view.getUint8(0), view.getUint8(2)];
    const piece = { codec, key: (view.getUint8(1) & 1) === 1, pts: Number(view.getBigInt64(4)),
      data: new Uint8Array(message, HEADER) };
    if (track === 0) this.#sound?.take(piece);
    if (track !== 1) this.#done += 1; // what stages make beside the two is for others
    else if (!this.#screen.take(piece)) this.send(JSON.stringify({ type: "keyframe.request", track: "video-0" }));
  }

  /**
   * @param {number} track
   * @param {import("./coding.js").Piece} piece
   */
  #give(track, { codec, key, pts, data }) {
    if (this.#closed || this.#socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(HEADER + data.length);
    const view = new DataView(message.buffer);
    view.setUint8(0, codec);
    view.setUint8(1, key && codec >= CODECS.jpeg ? 1 : 0);
    view.setUint8(2, track);
    view.setBigInt64(4, BigInt(Math.round(pts)));
    message.set(data, HEADER);
    this.#bytes.sent += message.length;
    this.#socket.send(message);
  }

  #look() {
    if (this.#done !== this.#told) {
      this.#told = this.#done;
      this.send(JSON.stringify({ type: "ack", received: this.#done }));
    }
    const ahead = (this.#sound?.lag.ms ?? 0) - this.#screen.lag.ms; // sound waits to be played
    holds.set(this.#screen.track, this.#together && ahead < MOST ? Math.max(0, ahead) : 0);
    if (performance.now() - this.#heard > this.#patience * 1000) this.close();
  }

  suspect() {
    this.#heard = performance.now();
    this.#patience = Math.min(2, this.#options.silence); // the server tells its statistics once a second
  }

  /** @param {string} text */
  send(text) {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async setTrack(kind, track) {
    if (this.#closed) return;
    if (kind === "audio") return this.#sound?.send(track);
    this.#camera?.close();
    this.#camera = track && new Camera(track, this.#formats.video, (piece) => this.#give(1, piece),
      () => this.#socket.bufferedAmount > CROWDED);
  }

  /** @param {boolean} together */
  setTogether(together) {
    this.#together = together;
  }

  async stats() {
    const { width, height } = this.#screen.size;
    return { at: performance.now() / 1000, rtt: null, ...this.#bytes, width, height, frames: this.#screen.frames,
      decode: 0, buffer: 0, emitted: 0, freezes: 0, lost: 0, codec: this.#formats.video };
  }

  /** @param {Error} [error] */
  close(error = mediaLost()) {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#camera?.close();
    this.#screen.close();
    this.#sound?.close();
    this.#socket.close(...(this.#options.signal.aborted ? [1000] : [])); // 1000 ends the session, without it waits
    this.#end(error);
  }
}

/**
 * What this browser sends and shows.
 * @returns {Promise<{audio: "opus" | "pcm_s16le", video: "vp8" | "h264" | "jpeg"}>}
 */
async function supported() {
  /** @type {"vp8" | "h264" | "jpeg"} */
  let video = "jpeg";
  if (typeof VideoEncoder === "function" && typeof VideoDecoder === "function") {
    for (const name of /** @type {const} */ (["h264", "vp8"])) {
      const config = { codec: NAMES[name], width: 640, height: 360 };
      const both = await Promise.all([VideoEncoder.isConfigSupported(config), VideoDecoder.isConfigSupported(config)]);
      if (both.every((each) => each.supported)) video = name;
    }
  }
  const opus = { codec: "opus", sampleRate: RATE, numberOfChannels: 1 };
  const sound = typeof AudioEncoder === "function" && typeof AudioDecoder === "function"
    && (await AudioEncoder.isConfigSupported(opus)).supported;
  return { video, audio: sound ? "opus" : "pcm_s16le" };
}
