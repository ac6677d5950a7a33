/** Pictures as pixels: mixed, shrunk, written as files. */

/** @typedef {ImageBitmap | HTMLImageElement | HTMLCanvasElement} Drawable */

const INLINE = 320; // px of the longer side; strokes are looked at in this size
const MEASURED = 640; // px of the longer side; how a picture is painted shows in one of this size

/**
 * One picture over the other, of which `share` is seen.
 * @param {Drawable} under @param {Drawable} over @param {number} share 0 to 1 @param {number} [side] px of the longer
 *   side at most
 */
export function mixed(under, over, share, side = Infinity) {
  const [width, height] = over instanceof HTMLImageElement ? [over.naturalWidth, over.naturalHeight]
    : [over.width, over.height];
  const factor = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * factor));
  canvas.height = Math.max(1, Math.round(height * factor));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (share < 1) context.drawImage(under, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = share;
  context.drawImage(over, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @param {string} [kind] @returns {Promise<Blob>} */
export function written(canvas, kind = "image/png") {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture can't be written."))), kind, 0.95);
  });
}

/** Small enough to be measured at once; what the browser can't read goes as it is. @param {Blob} file @returns {Promise<Blob>} */
export async function toMeasure(file) {
  try {
    const bitmap = await createImageBitmap(file);
    if (Math.max(bitmap.width, bitmap.height) <= MEASURED) return file;
    return await written(mixed(bitmap, bitmap, 1, MEASURED));
  } catch {
    return file;
  }
}

/** @param {Drawable} under @param {Drawable} over @param {number} share */
export const mixedToMeasure = (under, over, share) => written(mixed(under, over, share, MEASURED));

/** Small enough for an address. @param {Blob} file @returns {Promise<string>} a data: URL */
export async function inline(file) {
  const bitmap = await createImageBitmap(file);
  return mixed(bitmap, bitmap, 1, INLINE).toDataURL("image/jpeg", 0.85);
}
