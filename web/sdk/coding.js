/**
 * Pictures and sound as they travel over a websocket: WebCodecs where the browser has them, else JPEG and PCM.
 */

import { noWorklet } from "./errors.js";
import { frames, play, silent } from "./outlet.js";

/**
 * @typedef {{codec: number, key: boolean, pts: number, data: Uint8Array}} Piece `pts` in the codec's ticks
 * @typedef {(piece: Piece) => void} Give
 */

export const CODECS = { pcm_s16le: 1, opus: 2, jpeg: 16, vp8: 17, h264: 18 };
export const NAMES = { vp8: "vp8", h264: "avc1.42e034" }; // level 5.2: a lower one is refused where pictures are large
const LAST = 300; // ms that sound goes on after its end: a processor that has not ended by itself is kept for ever
const RATE = 48_000; // Hz
const BITS = 0.1; // of a pixel, 30 times a second
const JPEG_EVERY = 66; // ms: single pictures are large
const BUSY = 2; // pictures that wait for the encoder: then others are left out
const LOOK = 32; // pieces of sound after which its clock is looked at
const SLIP = 10; // ms that it may be off: each change of it is a gap for who hears
const AHEAD = 13; // ms that the two Opus encoders on the way look ahead, of which no pts tells

/** Sends one track's pictures. */
export class Camera {
  /** @type {VideoEncoder | null} */
  #encoder = null;
  #size = "";
  #last = 0;
  #stop;
  wantsKey = true;

  /**
   * @param {MediaStreamTrack} track
   * @param {"vp8" | "h264" | "jpeg"} codec
   * @param {Give} give
   * @param {() => boolean} crowded whether the way is too slow just now
   */
  constructor(track, codec, give, crowded) {
    this.codec = codec;
    this.give = give;
    this.crowded = crowded;
    this.#stop = typeof MediaStreamTrackProcessor === "function" && codec !== "jpeg"
      ? frames(track, (frame) => this.#encode(frame)) : watch(track, (video) => this.#look(video));
  }

  /** @param {HTMLVideoElement} video */
  #look(video) {
    const now = performance.now();
    if (this.codec !== "jpeg") return this.#encode(new VideoFrame(video, { timestamp: now * 1000 }));
    if (this.crowded() || now - this.#last < JPEG_EVERY) return;
    this.#last = now;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    canvas.toBlob(async (blob) => {
      if (blob) this.give({ codec: CODECS.jpeg, key: true, pts: now * 90, data: new Uint8Array(await blob.arrayBuffer()) });
    }, "image/jpeg", 0.8);
  }

  /** @param {VideoFrame} frame */
  #encode(frame) {
    let timed = frame;
    try {
      const { x, y, width, height } = /** @type {DOMRectReadOnly} */ (frame.visibleRect);
      const visibleRect = { x, y, width: width & ~1, height: height & ~1 }; // H264 has even sizes only
      if (!visibleRect.width || !visibleRect.height) return; // of a window that is minimised
      timed = new VideoFrame(frame, { timestamp: performance.now() * 1000, visibleRect }); // sound has the same clock
      const encoder = this.#encoding(timed.displayWidth, timed.displayHeight);
      if (encoder.encodeQueueSize >= BUSY || this.crowded()) return;
      encoder.encode(timed, { keyFrame: this.wantsKey });
      this.wantsKey = false;
    } finally {
      frame.close();
      timed.close();
    }
  }

  /** Another one after an error. @param {number} width px @param {number} height px */
  #encoding(width, height) {
    if (this.#encoder?.state !== "configured") {
      this.#size = "";
      this.#encoder = new VideoEncoder({ error: () => undefined, output: (chunk) => this.give({
        codec: CODECS[this.codec], key: chunk.type === "key", pts: chunk.timestamp * 0.09, data: bytesOf(chunk) }) });
    }
    const size = `${width}x${height}`;
    if (size !== this.#size) {
      this.#size = size;
      this.#encoder.configure({ codec: this.codec === "vp8" ? NAMES.vp8 : NAMES.h264, width, height,
        latencyMode: "realtime", bitrate: Math.round(width * height * 30 * BITS), framerate: 30,
        ...(this.codec === "h264" ? { avc: { format: /** @type {const} */ ("annexb") } } : {}) });
      this.wantsKey = true;
    }
    return this.#encoder;
  }

  close() {
    this.#stop();
    if (this.#encoder?.state === "configured") this.#encoder.close();
  }
}

/** @param {EncodedVideoChunk | EncodedAudioChunk} chunk */
function bytesOf(chunk) {
  const data = new Uint8Array(chunk.byteLength);
  chunk.copyTo(data);
  return data;
}

/**
 * Every picture of a track, as an element shows it.
 * @param {MediaStreamTrack} track
 * @param {(video: HTMLVideoElement) => void} seen
 */
function watch(track, seen) {
  const video = silent(track);
  let request = video.requestVideoFrameCallback(function next() {
    seen(video);
    request = video.requestVideoFrameCallback(next);
  });
  return () => {
    video.cancelVideoFrameCallback(request);
    play(video, null);
  };
}

/** By how much what leaves here is behind its capture, on the sender's clock. */
export class Lag {
  ms = NaN;

  /** @param {number} captured ms */
  add(captured) {
    const lag = performance.now() - captured;
    this.ms = this.ms + (lag - this.ms) / 16 || lag;
  }
}

/** Shows pictures as a track. */
export class Screen {
  /** @type {VideoDecoder | null} */
  #decoder = null;
  #paint;
  #done;
  #inside = 0; // pieces that the decoder has
  size = { width: 0, height: 0 };
  frames = 0;
  lag = new Lag();

  /** @param {() => void} done called for each picture that was dealt with */
  constructor(done) {
    this.#done = done;
    if (typeof MediaStreamTrackGenerator === "function") {
      const track = new MediaStreamTrackGenerator({ kind: "video" });
      const writer = track.writable.getWriter();
      writer.closed.catch(() => undefined); // stopped by us
      this.track = /** @type {MediaStreamTrack} */ (track);
      this.#paint = (/** @type {VideoFrame} */ frame) => void writer.write(frame).catch(() => frame.close());
    } else {
      const canvas = document.createElement("canvas");
      const context = canvas.getContext("2d", { alpha: false });
      this.track = /** @type {MediaStreamTrack} */ (canvas.captureStream().getVideoTracks()[0]);
      this.#paint = (/** @type {VideoFrame | ImageBitmap} */ frame) => {
        const { width, height } = this.size;
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        context?.drawImage(frame, 0, 0);
        frame.close();
      };
    }
  }

  /** @param {Piece} piece @returns {boolean} false where a key frame is needed */
  take({ codec, key, pts, data }) {
    if (codec === CODECS.jpeg) {
      void createImageBitmap(new Blob([/** @type {any} */ (data)], { type: "image/jpeg" })).then((bitmap) => {
        const painted = typeof MediaStreamTrackGenerator !== "function" ? bitmap
          : new VideoFrame(bitmap, { timestamp: (pts * 100) / 9 });
        if (painted !== bitmap) bitmap.close();
        this.#show(painted);
      }, () => this.#done());
      return true;
    }
    if (this.#decoder?.state !== "configured") {
      if (!key) return this.#done(), false;
      this.#decoder = new VideoDecoder({ output: (frame) => (this.#inside--, this.#show(frame)), error: () => {
        for (; this.#inside > 0; this.#inside--) this.#done(); // what fails takes all of them along
      } });
      this.#decoder.configure({ codec: codec === CODECS.vp8 ? NAMES.vp8 : NAMES.h264, optimizeForLatency: true });
    }
    this.#inside++;
    this.#decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: (pts * 100) / 9, data }));
    return true;
  }

  /** @param {any} frame VideoFrame or ImageBitmap */
  #show(frame) {
    this.size = { width: frame.displayWidth ?? frame.width, height: frame.displayHeight ?? frame.height };
    this.frames += 1;
    this.lag.add(frame.timestamp / 1000);
    this.#paint(frame);
    this.#done();
  }

  close() {
    if (this.#decoder?.state === "configured") this.#decoder.close();
    this.track.stop();
  }
}

/** A microphone and a loudspeaker, both mono at 48 kHz. */
export class Sound {
  /** @type {AudioWorkletNode | null} */
  #microphone = null;
  /** @type {AudioWorkletNode | null} */
  #player = null;
  /** @type {AudioEncoder | null} */
  #encoder = null;
  /** @type {AudioDecoder | null} */
  #decoder = null;
  #rate = 0; // Hz, of the encoder
  #end = NaN; // when what came so far was over, in ms
  #given = 0; // ms that the encoder was given: coders count on from their first piece, whatever the times of others
  /** @type {number[]} */
  #times = []; // of the pieces in the decoder, in ms
  #late = Infinity; // ms, the least of the last pieces
  #count = 0;
  /** @type {(() => void) | null} */
  #stop = null;
  #over = new AbortController();
  #context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  #out = this.#context.createMediaStreamDestination();
  track = /** @type {MediaStreamTrack} */ (this.#out.stream.getAudioTracks()[0]);
  lag = new Lag();

  /**
   * @param {"opus" | "pcm_s16le"} codec
   * @param {Give} give
   */
  constructor(codec, give) {
    this.codec = codec;
    this.give = give;
  }

  async open() {
    const worklet = new URL("./sound-worklet.js", import.meta.url);
    try {
      await this.#context.audioWorklet.addModule(worklet);
    } catch (error) { // pages without https have no worklets
      throw noWorklet(worklet, error);
    }
    const { signal } = this.#over;
    if (signal.aborted) return;
    for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => this.#wake(), { signal });
    this.#context.addEventListener("statechange", () => this.#start(), { signal });
    this.#start();
    if (this.codec !== "opus" || typeof MediaStreamTrackProcessor !== "function") {
      this.#microphone = new AudioWorkletNode(this.#context, "aimass-microphone", { numberOfOutputs: 0 }); // takes 20 ms
      this.#microphone.port.onmessage = ({ data }) => this.#stop && this.#heard(data, RATE);
    }
  }

  #wake() {
    if (this.#context.state === "suspended") this.#context.resume().catch(() => undefined); // closed meanwhile
  }

  /** Once the page may play sound: a processor that has never run does not end, either. */
  #start() {
    if (this.#player || this.#context.state !== "running") return;
    this.#player = new AudioWorkletNode(this.#context, "aimass-player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#player.connect(this.#out);
    this.#player.port.onmessage = ({ data }) => this.lag.add(this.codec === "opus" ? data - AHEAD : data);
  }

  /** @param {number} sampleRate @returns {AudioEncoder} another one after an error */
  #encoding(sampleRate) {
    if (this.#encoder?.state !== "configured") {
      this.#given = this.#rate = 0;
      this.#encoder = new AudioEncoder({ error: () => undefined, output: (chunk) => {
        const begun = this.#end - this.#given + chunk.timestamp / 1000;
        this.give({ codec: CODECS.opus, key: true, pts: begun * (RATE / 1000), data: bytesOf(chunk) });
      } });
    }
    if (sampleRate !== this.#rate) {
      this.#rate = sampleRate;
      this.#encoder.configure({ codec: "opus", sampleRate, numberOfChannels: 1, bitrate: 32_000 });
    }
    return this.#encoder;
  }

  /** @returns {AudioDecoder} another one after an error */
  #decoding() {
    if (this.#decoder?.state !== "configured") {
      this.#times = [];
      this.#decoder = new AudioDecoder({ error: () => undefined, output: (sound) => {
        const samples = new Float32Array(sound.numberOfFrames);
        sound.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        this.#play(samples, /** @type {number} */ (this.#times.shift()));
        sound.close();
      } });
      this.#decoder.configure({ codec: "opus", sampleRate: RATE, numberOfChannels: 1 });
    }
    return this.#decoder;
  }

  /** @param {MediaStreamTrack | null} track */
  send(track) {
    this.#stop?.();
    this.#stop = null;
    if (track && !this.#microphone) this.#stop = frames(track, (sound) => this.#take(sound));
    else if (track && this.#microphone) {
      const source = this.#context.createMediaStreamSource(new MediaStream([track]));
      source.connect(this.#microphone);
      this.#stop = () => source.disconnect();
    }
    this.#wake();
  }

  /** @param {AudioData} sound */
  #take(sound) {
    const { numberOfFrames: length, numberOfChannels: channels, sampleRate } = sound;
    const mono = new Float32Array(length);
    const one = new Float32Array(length);
    for (let planeIndex = 0; planeIndex < channels; planeIndex++) {
      sound.copyTo(one, { planeIndex, format: "f32-planar" });
      one.forEach((value, at) => (mono[at] = (mono[at] ?? 0) + value / channels));
    }
    sound.close();
    this.#heard(mono, sampleRate);
  }

  /**
   * Tells when a piece ended: pieces come in bursts, so one after the other, as long as none of the last ones came
   * earlier than that, or all of them later.
   * @param {number} long ms
   */
  #clock(long) {
    const now = performance.now();
    const late = now - (this.#end + long);
    this.#end = late >= 0 ? this.#end + long : now;
    this.#late = Math.min(this.#late, late);
    if (++this.#count % LOOK) return;
    if (this.#late > SLIP) this.#end += this.#late;
    this.#late = Infinity;
  }

  /**
   * @param {Float32Array<ArrayBuffer>} samples
   * @param {number} sampleRate
   */
  #heard(samples, sampleRate) {
    const long = (samples.length * 1000) / sampleRate;
    this.#clock(long);
    if (this.codec === "opus") {
      const encoder = this.#encoding(sampleRate);
      const sound = new AudioData({ format: "f32-planar", sampleRate, numberOfFrames: samples.length,
        numberOfChannels: 1, timestamp: this.#given * 1000, data: samples });
      encoder.encode(sound);
      this.#given += long;
      sound.close();
      return;
    }
    const data = new Uint8Array(samples.length * 2);
    const view = new DataView(data.buffer);
    samples.forEach((value, at) => view.setInt16(2 * at, Math.max(-1, Math.min(1, value)) * 32767, true));
    this.give({ codec: CODECS.pcm_s16le, key: true, pts: (this.#end - long) * (RATE / 1000), data });
  }

  /** @param {Piece} piece */
  take({ codec, pts, data }) {
    if (codec === CODECS.opus) {
      const decoder = this.#decoding();
      this.#times.push(pts / 48);
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: pts / 0.048, data }));
      return;
    }
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#play(Float32Array.from({ length: data.length / 2 }, (_, at) => view.getInt16(2 * at, true) / 32768), pts / 48);
  }

  /**
   * @param {Float32Array<ArrayBuffer>} samples
   * @param {number} captured ms
   */
  #play(samples, captured) {
    this.#player?.port.postMessage({ samples, captured }, [samples.buffer]);
  }

  close() {
    this.#over.abort();
    this.#stop?.();
    this.#stop = null;
    for (const coder of [this.#encoder, this.#decoder]) if (coder?.state === "configured") coder.close();
    for (const node of [this.#player, this.#microphone]) node?.port.postMessage(null);
    this.track.stop();
    setTimeout(() => void this.#context.close(), LAST);
  }
}
