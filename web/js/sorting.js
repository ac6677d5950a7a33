/** Reordering a list by dragging, with a mouse, a pen or a finger; what makes room glides to its new place. */

const GLIDE = 180; // ms
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Sorting {
  /** @type {Map<Element, number>} */
  #tops = new Map();
  /** @type {Element | null} */
  #held = null;

  /**
   * @param {HTMLElement} list
   * @param {(key: string, to: number) => void} drop
   */
  constructor(list, drop) {
    this.list = list;
    this.drop = drop;
  }

  /** @param {HTMLElement} grip @param {HTMLElement} item @param {string} key */
  handle(grip, item, key) {
    grip.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      grip.focus();
      this.#drag(event, grip, item, key);
    });
  }

  /** @param {PointerEvent} start @param {HTMLElement} grip @param {HTMLElement} item @param {string} key */
  #drag(start, grip, item, key) {
    const over = new AbortController();
    const origin = start.clientY + scrollY;
    let offset = 0; // how far the list itself has moved the item since
    grip.setPointerCapture(start.pointerId);
    item.classList.add("dragged");
    this.#held = item;
    /** @param {PointerEvent} move */
    const follow = (move) => {
      const shift = move.clientY + scrollY - origin - offset;
      item.style.transform = `translateY(${shift}px)`;
      const to = this.#place(item);
      const items = [...this.list.children];
      if (to === items.indexOf(item)) return;
      const before = item.offsetTop;
      this.drop(key, to);
      offset += item.offsetTop - before;
      item.style.transform = `translateY(${move.clientY + scrollY - origin - offset}px)`;
    };
    const end = () => {
      over.abort();
      item.classList.remove("dragged");
      item.style.transform = "";
      this.#held = null;
    };
    grip.addEventListener("pointermove", follow, { signal: over.signal });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      grip.addEventListener(type, end, { signal: over.signal });
    }
  }

  /** Where the middle of the dragged item lies among the others. @param {HTMLElement} item */
  #place(item) {
    const rect = item.getBoundingClientRect();
    const others = [...this.list.children].filter((other) => other !== item);
    const index = [...this.list.children].indexOf(item);
    return others.filter((other, at) => {
      const { top, height } = other.getBoundingClientRect();
      // an item below has to be passed by our lower edge, one above by our upper edge
      return at < index ? rect.top > top + height / 2 : rect.bottom > top + height / 2;
    }).length;
  }

  /** Before the list changes: where everything is. */
  remember() {
    this.#tops = new Map([...this.list.children].map((item) => [item, item.getBoundingClientRect().top]));
  }

  /** After it: let everything glide from where it was. */
  play() {
    if (calm.matches) return;
    for (const item of this.list.children) {
      const from = this.#tops.get(item);
      if (from === undefined || item === this.#held) continue;
      const shift = from - item.getBoundingClientRect().top;
      if (Math.abs(shift) < 1) continue;
      item.animate([{ transform: `translateY(${shift}px)` }, { transform: "none" }], { duration: GLIDE, easing: "ease-out" });
    }
  }
}
