/** Files that are dragged onto the page, and onto places of it that want them for themselves. */

/** @typedef {(file: File) => void} Take */

/** @type {WeakMap<Element, Take>} */
const places = new WeakMap();

/** A file that is dropped on this element goes there and nowhere else. @param {Element} element @param {Take} take */
export function dropPlace(element, take) {
  places.set(element, take);
}

/** @param {DragEvent} event @returns {Element | null} the innermost place that it is over */
function placeOf({ target }) {
  let place = target instanceof Element ? target : null;
  while (place && !places.has(place)) place = place.parentElement;
  return place;
}

/** Shows `sign` while a file hangs over the page, and gives away the one that is dropped.
 * @param {HTMLElement} sign @param {Take} take */
export function filesDropped(sign, take) {
  /** @type {Element} what shows that it would take the file */
  let shown = sign;
  /** @param {DragEvent} event */
  const files = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    const over = placeOf(event) ?? sign;
    if (over !== shown) shown.classList.remove("over");
    shown = over;
    shown.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || shown.classList.remove("over"));
  addEventListener("drop", (event) => {
    shown.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    const place = placeOf(event);
    (place && places.get(place) || take)(file);
  });
}
