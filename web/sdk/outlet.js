/**
 * The processed track that a page gets: one and the same over cuts, restarts and changes of device. It carries
 * what comes back from the server, and while nothing does, what was chosen to stand in for it.
 */

/**
 * @typedef {import("./link.js").Media} Media
 * @typedef {"raw" | "black" | "hold"} Fallback the unprocessed track; black or silence; the last picture or silence
 */

const BLACK_EVERY = 200; // ms between two black pictures
const MOST_HELD = 12; // pictures: a decoder may have no more

/** Frames can be passed one by one. */
export const STREAMS = typeof MediaStreamTrackGenerator === "function" && typeof MediaStreamTrackProcessor === "function";

/**
 * By processed track: ms that each of its pictures is to be held, so that it is seen with its sound.
 * @type {WeakMap<MediaStreamTrack, number>}
 */
export const holds = new WeakMap();

/**
 * @param {Media} kind
 * @param {Fallback} fallback
 * @param {number} patience s without anything processed, after which something stands in
 * @returns {Outlet}
 */
export function openOutlet(kind, fallback, patience) {
  if (STREAMS) return new StreamOutlet(kind, fallback, patience);
  return kind === "video" ? new CanvasOutlet(fallback, patience) : new SoundOutlet(fallback, patience);
}

/** What all outlets have in common: when something stands in. */
export class Outlet {
  /** @type {MediaStreamTrack | null} */
  raw = null;
  /** @type {MediaStreamTrack | null} */
  processed = null;
  /** Something stands in for the processed track. */
  away = true;
  /** How many processed frames went out. */
  frames = 0;
  #seen = 0;
  #pause = 0; // ms between two processed frames, about

  /**
   * @param {MediaStreamTrack} track that the page gets
   * @param {Fallback} fallback
   * @param {number} patience s
   */
  constructor(track, fallback, patience) {
    this.track = track;
    this.fallback = fallback;
    this.patience = patience * 1000;
  }

  /** @param {MediaStreamTrack | null} raw */
  setRaw(raw) {
    this.raw = raw;
    if (this.away) this.standIn();
  }

  /** @param {MediaStreamTrack | null} processed */
  setProcessed(processed) {
    this.processed = processed;
    if (processed) this.follow(processed);
    else this.leave();
  }

  /** A processed frame is there. */
  came() {
    const now = performance.now();
    if (!this.away) this.#pause += (now - this.#seen - this.#pause) / 8;
    this.#seen = now;
    this.frames += 1;
    if (!this.away) return;
    this.away = false;
    this.standBack();
  }

  /** From now on something stands in. */
  leave() {
    if (this.away) return;
    this.away = true;
    this.standIn();
  }

  /** Called a few times a second. */
  tick() {
    if (this.track.readyState === "ended") return;
    // a pipeline may make few frames: it is late when it is much later than usual
    if (!this.away && performance.now() - this.#seen > Math.max(this.patience, 4 * this.#pause)) this.leave();
  }

  /** @param {MediaStreamTrack} _track whose frames are to go out as they come */
  follow(_track) {}

  /** Puts what was chosen in its place. Called again where the raw track is another one. */
  standIn() {}

  standBack() {}

  /** Ends the page's track, too. */
  close() {
    this.track.stop();
  }
}

/** Frame by frame, without a copy of any. */
class StreamOutlet extends Outlet {
  #writer;
  #size = { width: 640, height: 360 };
  /** @type {{due: number, frame: VideoFrame | AudioData}[]} */
  #held = [];
  #timer = 0;
  /** @type {() => void} */
  #unfollow = () => {};
  /** @type {() => void} */
  #withdraw = () => {};

  /**
   * @param {Media} kind
   * @param {Fallback} fallback
   * @param {number} patience
   */
  constructor(kind, fallback, patience) {
    const track = new MediaStreamTrackGenerator({ kind });
    super(track, fallback, patience);
    this.#writer = track.writable.getWriter();
    this.#writer.closed.catch(() => undefined); // the page stopped it
  }

  /** @param {MediaStreamTrack} track */
  follow(track) {
    this.#unfollow();
    const stop = frames(track, (frame) => {
      this.came();
      this.#held.push({ due: performance.now() + (holds.get(track) ?? 0), frame });
      this.#release();
    });
    const player = this.track.kind === "audio" ? silent(track) : null; // it is decoded only where it is played
    this.#unfollow = () => {
      stop();
      if (player) play(player, null);
      this.#release(true);
    };
  }

  /** Frames whose time has come go out; a hidden tab's timers are late, so each new frame lets go of those before it. */
  #release(all = false) {
    clearTimeout(this.#timer);
    const now = performance.now();
    while (this.#held[0] && (all || this.#held[0].due <= now || this.#held.length > MOST_HELD)) {
      this.#write(/** @type {VideoFrame | AudioData} */ (this.#held.shift()?.frame));
    }
    if (this.#held[0]) this.#timer = setTimeout(() => this.#release(), this.#held[0].due - now);
  }

  leave() {
    if (!this.processed) this.#unfollow();
    super.leave();
  }

  standIn() {
    this.#withdraw();
    this.#withdraw = () => {};
    if (this.fallback === "raw" && this.raw?.readyState === "live") {
      this.#withdraw = frames(this.raw, (frame) => this.#write(frame));
    } else if (this.fallback === "black" && this.track.kind === "video") {
      const black = () => this.#write(blank(this.#size));
      const timer = setInterval(black, BLACK_EVERY);
      this.#withdraw = () => clearInterval(timer);
      black();
    }
  }

  standBack() {
    this.#withdraw();
    this.#withdraw = () => {};
  }

  /** @param {VideoFrame | AudioData} frame */
  #write(frame) {
    if (this.track.readyState === "ended") return frame.close();
    if ("displayWidth" in frame) this.#size = { width: frame.displayWidth, height: frame.displayHeight };
    this.#writer.write(frame).catch(() => frame.close()); // stopped meanwhile
  }

  close() {
    this.#unfollow();
    this.#withdraw();
    this.#writer.close().catch(() => undefined); // the page stopped it before
    super.close();
  }
}

/**
 * Reads a track's frames until it ends or the answered function is called. The reader is let go with the frame after that:
 * Chromium forgets to close one that comes while a reader that waits for it is cancelled.
 * @param {MediaStreamTrack} track
 * @param {(frame: any) => void} take it closes the frame
 */
export function frames(track, take) {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  let over = false;
  const read = () => {
    reader.read().then(({ done, value }) => {
      if (done) return;
      if (over) {
        value.close();
        reader.cancel().catch(() => undefined); // ended meanwhile
        return;
      }
      read();
      take(value);
    }, () => undefined); // it ended with an error
  };
  read();
  return () => {
    over = true;
  };
}

/** @param {{width: number, height: number}} size in px */
function blank({ width, height }) {
  const [w, h] = [width & ~1, height & ~1];
  const data = new Uint8Array((w * h * 3) / 2).fill(128);
  data.fill(16, 0, w * h);
  return new VideoFrame(data, { format: "I420", codedWidth: w, codedHeight: h, timestamp: performance.now() * 1000 });
}

/** For browsers without streams of frames: over a canvas. */
class CanvasOutlet extends Outlet {
  #canvas;
  #context;
  #players = { raw: player(), processed: player() };
  #timer = 0;

  /**
   * @param {Fallback} fallback
   * @param {number} patience
   */
  constructor(fallback, patience) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [640, 360];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    super(/** @type {MediaStreamTrack} */ (canvas.captureStream().getVideoTracks()[0]), fallback, patience);
    this.#canvas = canvas;
    this.#context = context;
    this.#watch("processed", () => this.came());
    this.#watch("raw", () => undefined);
  }

  /**
   * @param {"raw" | "processed"} which
   * @param {() => void} seen
   */
  #watch(which, seen) {
    const video = this.#players[which];
    const draw = () => {
      if (this.track.readyState === "ended") return;
      if (video.srcObject) seen();
      if (video.srcObject && this.away === (which === "raw")) {
        if (this.#canvas.width !== video.videoWidth) this.#canvas.width = video.videoWidth;
        if (this.#canvas.height !== video.videoHeight) this.#canvas.height = video.videoHeight;
        this.#context.drawImage(video, 0, 0);
      }
      video.requestVideoFrameCallback(draw);
    };
    video.requestVideoFrameCallback(draw);
  }

  /** @param {MediaStreamTrack} track */
  follow(track) {
    play(this.#players.processed, track);
  }

  standIn() {
    clearInterval(this.#timer);
    play(this.#players.raw, this.fallback === "raw" ? this.raw : null);
    if (this.fallback !== "black") return;
    const black = () => this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#timer = setInterval(black, BLACK_EVERY);
    black();
  }

  standBack() {
    clearInterval(this.#timer);
    play(this.#players.raw, null);
  }

  close() {
    super.close();
    clearInterval(this.#timer);
    for (const video of Object.values(this.#players)) play(video, null);
  }
}

/** @param {MediaStreamTrack} track */
export function silent(track) {
  const element = player();
  play(element, track);
  return element;
}

function player() {
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  return video;
}

/**
 * @param {HTMLMediaElement} element
 * @param {MediaStreamTrack | null} track
 */
export function play(element, track) {
  element.srcObject = track ? new MediaStream([track]) : null;
  if (track) element.play().catch(() => undefined); // another one came in its place
}

/** For browsers without streams of frames: over Web Audio, which tells of no frame, so that the link's word counts. */
class SoundOutlet extends Outlet {
  #context;
  #out;
  /** @type {AudioNode | null} */
  #source = null;
  #element = player(); // some browsers decode a remote track only where it is played

  /**
   * @param {Fallback} fallback
   * @param {number} patience
   */
  constructor(fallback, patience) {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    super(/** @type {MediaStreamTrack} */ (out.stream.getAudioTracks()[0]), fallback, patience);
    this.#context = context;
    this.#out = out;
  }

  /** @param {MediaStreamTrack} track */
  follow(track) {
    play(this.#element, track);
    this.#connect(track);
    this.away = false;
  }

  tick() {}

  standIn() {
    this.#connect(this.fallback === "raw" ? this.raw : null);
  }

  /** @param {MediaStreamTrack | null} track */
  #connect(track) {
    this.#source?.disconnect();
    this.#source = track && this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source?.connect(this.#out);
    if (this.#context.state === "suspended") this.#context.resume().catch(() => undefined); // closed meanwhile
  }

  close() {
    super.close();
    play(this.#element, null);
    this.#source?.disconnect();
    void this.#context.close();
  }
}
