/** Files that are dragged onto the page. */

/** Shows `sign` while a file hangs over the page, and gives away the one that is dropped.
 * @param {HTMLElement} sign @param {(file: File) => void} take */
export function filesDropped(sign, take) {
  /** @param {DragEvent} event */
  const files = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    sign.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || sign.classList.remove("over"));
  addEventListener("drop", (event) => {
    sign.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}
