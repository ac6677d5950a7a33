/**
 * Two pictures of the same thing: one over the other with a line to drag between them, or side by side.
 */

import { Split } from "./split.js";

/** @typedef {"slider" | "side" | "result"} View */

const ROUNDING = 0.02; // pictures whose shapes differ by less are shown as one shape: encoders round sizes

/** NaN without a picture. @param {HTMLVideoElement} video */
const shape = ({ videoWidth, videoHeight }) => videoWidth / videoHeight;

/** @param {number} one @param {number} other */
const alike = (one, other) => Math.abs(one / other - 1) < ROUNDING;

export class Compare {
  #raw;
  #processed;
  #split;
  #seen = 0;

  /**
   * @param {HTMLElement} box with `video.raw`, `video.processed` and `input.split` inside
   * @param {() => void} onPicture the first processed picture of a stream is there
   */
  constructor(box, onPicture) {
    this.box = box;
    this.onPicture = onPicture;
    this.#raw = /** @type {HTMLVideoElement} */ (box.querySelector("video.raw"));
    this.#processed = /** @type {HTMLVideoElement} */ (box.querySelector("video.processed"));
    this.#split = new Split(box, ({ target }) => (
      this.view === "slider" && !(/** @type {HTMLElement} */ (target).closest("button, .notice"))));
    for (const video of [this.#raw, this.#processed]) {
      video.addEventListener("resize", () => this.#fit());
    }
    new ResizeObserver(() => this.#fit()).observe(box);
  }

  /** The box takes the picture's shape; a turned one stays within the same height. */
  #fit() {
    const shown = this.#raw.videoWidth ? this.#raw : this.#processed;
    if (shown.videoWidth) this.box.style.setProperty("--shape", String(shape(shown)));
    // only where the box has that shape too: not in full screen, side by side, or cut off by a low window
    const box = this.box.clientWidth / this.box.clientHeight;
    this.box.classList.toggle("alike", alike(shape(this.#raw), shape(this.#processed)) && alike(shape(shown), box));
  }

  /** @param {MediaStream | null} stream */
  setRaw(stream) {
    this.#raw.srcObject = stream;
    const blind = stream !== null && stream.getVideoTracks().length === 0;
    const was = this.box.classList.contains("blind");
    this.box.classList.toggle("blind", blind);
    if (blind) this.lose(); // the last picture of another source is not what comes back of this one
    else if (was) this.#await();
    if (stream) void this.#raw.play().catch(() => undefined); // replaced while it was starting: the next one plays
  }

  /** @param {MediaStream} stream that something comes back in from now on */
  setProcessed(stream) {
    if (this.#processed.srcObject !== stream) this.#processed.srcObject = stream;
    void this.#processed.play().catch(() => undefined);
    if (!this.box.classList.contains("blind")) this.#await();
  }

  /** Shows what comes back as soon as its next picture is there. */
  #await() {
    const turn = ++this.#seen;
    this.#processed.requestVideoFrameCallback(() => {
      if (turn !== this.#seen) return;
      this.box.classList.add("has-picture");
      if (turn === 1) this.box.classList.add("reveal");
      this.onPicture();
    });
  }

  /** Nothing new comes: show what is sent, rather than a picture that stands still. */
  lose() {
    this.#seen += 1;
    this.box.classList.remove("has-picture");
  }

  /** @returns {MediaStream | null} */
  get processed() {
    return /** @type {MediaStream | null} */ (this.#processed.srcObject);
  }

  /** @returns {View} */
  get view() {
    return /** @type {View} */ (this.box.dataset.view ?? "slider");
  }

  set view(view) {
    this.box.dataset.view = view;
    this.#split.able = view === "slider";
  }

  get sound() {
    return !this.#processed.muted;
  }

  set sound(on) {
    this.#processed.muted = !on;
    if (on) void this.#processed.play().catch(() => undefined);
  }
}
