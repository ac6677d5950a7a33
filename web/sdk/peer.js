/**
 * A link over WebRTC: from an offer to the first packets, until it is closed or lost.
 */

import { mediaBlocked, mediaLost, noWebRtc } from "./errors.js";
import { holds, STREAMS } from "./outlet.js";
import { snapshot } from "./stats.js";

/**
 * @typedef {import("./link.js").Link} Link
 * @typedef {import("./link.js").LinkOptions & {
 *   iceServers: RTCIceServer[],
 *   exchange: (sdp: string) => Promise<string>,
 * }} PeerOptions `exchange` trades our offer for the server's answer
 */

const GATHER_SECONDS = 1; // candidates of this machine are there at once; a slow STUN server is not waited for
const GRACE_SECONDS = 2.5; // "disconnected" often heals by itself
const LABEL = "aimass"; // of the data channel for events and control

/** @implements {Link} */
export class Peer {
  #pc;
  #channel;
  name = /** @type {const} */ ("webrtc");
  #closed = false;
  #answer = "";
  #together;
  #settling = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #grace;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;
  #heard = { bytes: 0, at: 0 };
  #waits = { audio: new Wait(), video: new Wait() };
  #patience; // s
  /** @type {(error: Error) => void} */
  #end = () => {};

  /** @param {PeerOptions} options */
  constructor(options) {
    if (typeof RTCPeerConnection === "undefined") throw noWebRtc();
    this.options = options;
    this.#together = options.together;
    this.#patience = options.silence;
    /** @type {Promise<Error>} resolves once, when this peer is gone */
    this.lost = new Promise((resolve) => (this.#end = resolve));
    this.#pc = new RTCPeerConnection({ iceServers: options.iceServers, bundlePolicy: "max-bundle" });
    this.#channel = this.#pc.createDataChannel(LABEL);
    const direction = options.receive === false ? "sendonly" : "sendrecv";
    this.audio = this.#pc.addTransceiver(options.tracks.audio ?? "audio", { direction });
    this.video = this.#pc.addTransceiver(options.tracks.video ?? "video", { direction });
    // what comes back, in one stream; the tracks are there before the first packet is
    this.stream = new MediaStream([this.video.receiver.track, this.audio.receiver.track]);
    for (const { receiver } of [this.audio, this.video]) {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // ms: live beats smooth here
    }
  }

  /**
   * Resolves when media can flow both ways and the data channel is open.
   * @param {PeerOptions} options
   * @returns {Promise<Peer>}
   */
  static async connect(options) {
    const peer = new Peer(options);
    try {
      await peer.#connect();
      return peer;
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  async #connect() {
    const { exchange, message, seconds, signal } = this.options;
    this.#channel.addEventListener("message", (event) => message(event.data));
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    await gathered(this.#pc, GATHER_SECONDS);
    this.#answer = await exchange(this.#pc.localDescription?.sdp ?? "");
    await this.#pc.setRemoteDescription({ type: "answer", sdp: grouped(this.#answer, this.#together && !STREAMS) });
    signal.throwIfAborted();
    await opened(this.#pc, this.#channel, seconds, signal);
    this.#guard();
  }

  /** Notices when the peer is gone: by ICE's word, by the channel's end, or because nothing arrives any more. */
  #guard() {
    const lose = () => this.close();
    this.#channel.addEventListener("close", lose);
    this.#pc.addEventListener("connectionstatechange", () => {
      clearTimeout(this.#grace);
      const state = this.#pc.connectionState;
      if (state === "failed" || state === "closed") lose();
      if (state === "disconnected") this.#grace = setTimeout(lose, GRACE_SECONDS * 1000);
    });
    this.#heard.at = performance.now();
    this.#watch = setInterval(() => void this.#listen(), 1000);
  }

  async #listen() {
    const report = await this.#pc.getStats();
    let bytes = 0;
    for (const entry of report.values()) {
      if (entry.type === "transport") bytes += entry.bytesReceived ?? 0;
      if (entry.type !== "inbound-rtp") continue;
      if (entry.kind === "audio") this.#waits.audio.add(entry.jitterBufferDelay, entry.jitterBufferEmittedCount);
      else this.#waits.video.add(entry.totalProcessingDelay, entry.framesDecoded);
    }
    const { audio, video } = this.#waits;
    holds.set(this.video.receiver.track, this.#together ? Math.max(0, audio.ms - video.ms) : 0);
    const now = performance.now();
    if (bytes !== this.#heard.bytes) {
      this.#heard = { bytes, at: now };
      this.#patience = this.options.silence;
    } else if (now - this.#heard.at > this.#patience * 1000) this.close();
  }

  /** The network changed: what is not heard soon will not be heard any more. */
  async suspect() {
    await this.#listen(); // what came before does not count
    this.#heard.at = performance.now();
    this.#patience = Math.min(1.5, this.options.silence);
  }

  /** @param {string} text @returns {boolean} false where the channel is shut */
  send(text) {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  /**
   * Sends another track from now on, without a new offer.
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async setTrack(kind, track) {
    if (!this.#closed) await this[kind].sender.replaceTrack(track);
  }

  /**
   * Sound waits in the browser tens of milliseconds longer than pictures, and with `together` they wait for it. Where
   * frames are passed one by one they are held by what is measured. Elsewhere the browser does that, for tracks of one
   * stream, so this settles, between this browser and itself, how many streams there are. The server need not know.
   *
   * @param {boolean} together
   */
  setTogether(together) {
    if (together === this.#together) return;
    this.#together = together;
    if (!STREAMS) this.#settling = this.#settling.then(() => this.#settle(together)); // one after the other
  }

  /** @param {boolean} together */
  async #settle(together) {
    try {
      if (this.#closed) return;
      await this.#pc.setLocalDescription(await this.#pc.createOffer());
      await this.#pc.setRemoteDescription({ type: "answer", sdp: grouped(this.#answer, together) });
    } catch (error) {
      if (!this.#closed) throw error; // closed in the middle of it: nothing is left to settle
    }
  }

  async stats() {
    return snapshot(await this.#pc.getStats());
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#grace);
    clearInterval(this.#watch);
    this.#channel.close();
    this.#pc.close();
    this.#end(mediaLost());
  }
}

/** What a track's frames wait in the browser, from sums that it keeps. */
class Wait {
  ms = 0;
  #sum = 0;
  #count = 0;

  /**
   * @param {number} [sum] s
   * @param {number} [count] frames or samples that it is of
   */
  add(sum = 0, count = 0) {
    if (count > this.#count) this.ms = (1000 * (sum - this.#sum)) / (count - this.#count);
    [this.#sum, this.#count] = [sum, count];
  }
}

/**
 * The answer with its picture in the stream of its sound, as it came, or in one of its own.
 *
 * @param {string} sdp
 * @param {boolean} together
 */
function grouped(sdp, together) {
  if (together) return sdp;
  const [head, ...sections] = sdp.split(/^(?=m=)/m);
  return [head, ...sections.map((section) => (section.startsWith("m=video")
    ? section.replace(/^(a=(?:ssrc:\d+ )?msid:)(?!- )/gm, "$1video-") : section))].join("");
}

/**
 * @param {RTCPeerConnection} pc
 * @param {number} seconds after which the candidates so far have to do
 * @returns {Promise<void>}
 */
function gathered(pc, seconds) {
  return new Promise((resolve) => {
    const done = () => {
      if (pc.iceGatheringState === "complete") resolve();
    };
    pc.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, seconds * 1000);
    done();
  });
}

/**
 * @param {RTCPeerConnection} pc
 * @param {RTCDataChannel} channel
 * @param {number} seconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function opened(pc, channel, seconds, signal) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => settle(mediaBlocked()), seconds * 1000);
    const look = () => {
      if (pc.connectionState === "failed") settle(mediaBlocked());
      if (pc.connectionState === "connected" && channel.readyState === "open") settle(null);
    };
    const aborted = () => settle(signal.reason);
    /** @param {unknown} error */
    const settle = (error) => {
      clearTimeout(late);
      pc.removeEventListener("connectionstatechange", look);
      channel.removeEventListener("open", look);
      signal.removeEventListener("abort", aborted);
      if (error === null) resolve();
      else reject(error);
    };
    pc.addEventListener("connectionstatechange", look);
    channel.addEventListener("open", look);
    signal.addEventListener("abort", aborted);
    look();
  });
}
