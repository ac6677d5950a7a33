/**
 * Sound on the browser's audio thread: `aimass-microphone` cuts what comes into pieces of 20 ms, `aimass-player` plays pieces
 * behind a small buffer that evens out their arrival.
 */

const PIECE = 960; // samples at 48 kHz
const START = 2 * PIECE; // that are there before playing begins, and again after it ran dry
const MOST = 10 * PIECE; // then the oldest is skipped, down to START
const LOOK = 2 * 48_000; // samples after which the buffer's depth is looked at
const SPARE = PIECE / 2; // that may always be left in it
const HURRY = 32; // one sample of so many is left out until no more is

registerProcessor("aimass-microphone", class extends AudioWorkletProcessor {
  piece = new Float32Array(PIECE);
  filled = 0;
  over = false;

  constructor() {
    super();
    this.port.onmessage = () => (this.over = true);
  }

  /** @param {Float32Array[][]} inputs */
  process([input = []]) {
    const channels = input.length;
    for (let at = 0; at < 128; at++) { // without a source there is silence, and a clock
      let sum = 0;
      for (const channel of input) sum += channel[at] ?? 0;
      this.piece[this.filled++] = channels ? sum / channels : 0;
      if (this.filled < PIECE) continue;
      this.port.postMessage(this.piece, [this.piece.buffer]);
      this.piece = new Float32Array(PIECE);
      this.filled = 0;
    }
    return !this.over;
  }
});

registerProcessor("aimass-player", class extends AudioWorkletProcessor {
  /** @type {{samples: Float32Array, captured: number}[]} */
  pieces = [];
  waiting = 0; // samples
  at = 0; // in the first piece
  playing = false;
  played = 0;
  least = MOST; // that were waiting since the last look
  surplus = 0;
  over = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (!data) return void (this.over = true);
      this.pieces.push(data);
      this.waiting += data.samples.length;
      if (this.waiting > MOST) while (this.waiting > START) this.next();
    };
  }

  next() {
    this.waiting -= (this.pieces.shift()?.samples.length ?? 0) - this.at;
    this.at = 0;
  }

  /** @returns {number} the next sample, 0 where there is none */
  take() {
    const [piece] = this.pieces;
    if (!piece) {
      this.playing = false;
      return 0;
    }
    if (!this.at) this.port.postMessage(piece.captured);
    const sample = piece.samples[this.at++] ?? 0;
    this.waiting--;
    if (this.at === piece.samples.length) this.next();
    return sample;
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const out = outputs[0]?.[0];
    if (!out) return !this.over;
    if (!this.playing) this.playing = this.waiting >= START;
    for (let at = 0; this.playing && at < out.length; at++) {
      out[at] = this.take();
      if (++this.played % HURRY || this.surplus <= 0) continue;
      this.surplus--;
      this.take();
    }
    this.least = Math.min(this.least, this.waiting);
    if (this.played < LOOK) return !this.over;
    this.surplus = this.least - SPARE; // a burst leaves more than is needed, and without this the delay would stay
    this.least = MOST;
    this.played = 0;
    return !this.over;
  }
});
