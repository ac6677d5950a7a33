/** The line between before and after: an `input.split` in a box, which the pointer drags from anywhere in the picture. */

export class Split {
  #box;
  #input;

  /**
   * @param {HTMLElement} box takes `--split` and the classes all-before and all-after
   * @param {(event: PointerEvent) => boolean} free whether the line is to follow this pointer
   */
  constructor(box, free) {
    this.#box = box;
    this.#input = /** @type {HTMLInputElement} */ (box.querySelector("input.split"));
    this.#input.addEventListener("input", () => this.#place());
    box.addEventListener("pointerdown", (event) => {
      box.classList.remove("reveal");
      if (event.button === 0 && free(event)) this.#grab(event);
    });
    this.#place();
  }

  /** @param {boolean} on */
  set able(on) {
    this.#input.disabled = !on;
  }

  /** The line follows the pointer wherever in the picture it was put down. @param {PointerEvent} event */
  #grab(event) {
    const rect = this.#box.getBoundingClientRect();
    /** @param {PointerEvent} move */
    const follow = (move) => {
      this.#input.valueAsNumber = ((move.clientX - rect.left) / rect.width) * 100;
      this.#place();
    };
    const stop = new AbortController();
    addEventListener("pointermove", follow, { signal: stop.signal });
    addEventListener("pointerup", () => stop.abort(), { signal: stop.signal });
    addEventListener("pointercancel", () => stop.abort(), { signal: stop.signal });
    follow(event);
    this.#input.focus({ preventScroll: true });
    event.preventDefault();
  }

  #place() {
    const value = this.#input.valueAsNumber;
    this.#box.style.setProperty("--split", `${value}%`);
    this.#box.classList.toggle("all-after", value < 13); // no room for the word
    this.#box.classList.toggle("all-before", value > 88);
    this.#input.setAttribute("aria-valuetext", `${Math.round(value)} % before, ${Math.round(100 - value)} % after`);
  }
}
