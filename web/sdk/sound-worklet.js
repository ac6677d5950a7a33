/**
 * Sound on the browser's audio thread: `aimass-microphone` cuts what comes into pieces of 20 ms, `aimass-player` plays pieces
 * behind a small buffer that evens out their arrival.
 */

const PIECE = 960; // samples at 48 kHz
const START = 2 * PIECE; // that are there before playing begins, and again after it ran dry
const MOST = 10 * PIECE; // then the oldest is skipped, down to START

registerProcessor("aimass-microphone", class extends AudioWorkletProcessor {
  piece = new Float32Array(PIECE);
  filled = 0;

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
    return true;
  }
});

registerProcessor("aimass-player", class extends AudioWorkletProcessor {
  /** @type {Float32Array[]} */
  pieces = [];
  waiting = 0; // samples
  at = 0; // in the first piece
  playing = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (!data) { // what was said before is not to be heard any more
        this.pieces = [];
        this.waiting = this.at = 0;
        return;
      }
      this.pieces.push(data);
      this.waiting += data.length;
      if (this.waiting > MOST) while (this.waiting > START) this.next();
    };
  }

  next() {
    this.waiting -= (this.pieces.shift()?.length ?? 0) - this.at;
    this.at = 0;
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const out = outputs[0]?.[0];
    if (!out) return true;
    if (!this.playing) this.playing = this.waiting >= START;
    for (let at = 0; this.playing && at < out.length; at++) {
      const [piece] = this.pieces;
      if (!piece) this.playing = false; // zeros follow
      else {
        out[at] = piece[this.at++] ?? 0;
        this.waiting--;
        if (this.at === piece.length) this.next();
      }
    }
    return true;
  }
});
