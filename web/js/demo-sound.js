/** The clip's sound: waves, and a bell. To be made once somebody has touched the page. */

/** Partials of a small bell: [times the strike note, loudness, seconds it rings]. */
const PARTIALS = /** @type {const} */ ([[0.5, 0.5, 2.4], [1, 1, 1.8], [1.19, 0.55, 1.4], [1.56, 0.35, 1], [2, 0.5, 0.9],
  [2.66, 0.25, 0.6], [3.76, 0.16, 0.35]]);
const STRIKE = 587; // Hz

export class Bell {
  #context = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
  #out = this.#context.createMediaStreamDestination();

  constructor() {
    this.#waves();
  }

  get tracks() {
    return this.#out.stream.getAudioTracks();
  }

  /** Noise through a slowly opening filter. */
  #waves() {
    const context = this.#context;
    const noise = context.createBuffer(1, context.sampleRate * 4, context.sampleRate);
    const samples = noise.getChannelData(0);
    for (let index = 0; index < samples.length; index++) samples[index] = Math.random() * 2 - 1;
    const source = new AudioBufferSourceNode(context, { buffer: noise, loop: true });
    const filter = new BiquadFilterNode(context, { type: "lowpass", frequency: 520, Q: 0.4 });
    const gain = new GainNode(context, { gain: 0.05 });
    const swell = new OscillatorNode(context, { frequency: 0.14 });
    const depth = new GainNode(context, { gain: 0.03 });
    source.connect(filter).connect(gain).connect(this.#out);
    swell.connect(depth).connect(gain.gain);
    source.start();
    swell.start();
  }

  /** Strikes now. */
  ring() {
    const context = this.#context;
    const now = context.currentTime;
    for (const [factor, loudness, seconds] of PARTIALS) {
      const tone = new OscillatorNode(context, { frequency: STRIKE * factor });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setValueAtTime(loudness * 0.16, now);
      gain.gain.exponentialRampToValueAtTime(0.0001, now + seconds);
      tone.connect(gain).connect(this.#out);
      tone.start(now);
      tone.stop(now + seconds);
    }
  }

  close() {
    void this.#context.close();
  }
}
