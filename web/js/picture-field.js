/** A picture in a parameter: dropped, pasted or chosen, made small here, and sent as a data: URL. */

import { dropPlace } from "./drop.js";
import { h, iconButton, toast } from "./dom.js";

/**
 * @typedef {import("./schema-form.js").Control} Control
 * @typedef {import("./schema-form.js").About} About
 */

const SCHEME = "data:image/";
const QUALITIES = [0.85, 0.7, 0.55];
const LONGEST = 30_000; // characters: two such pictures fit into one message to the server

/** A control for nothing but a picture. @param {number} side as for `pictured` @param {About} about @returns {Control} */
export const onlyPictured = (side, about) => pictured(null, side, about);

/**
 * The control `inner` of a parameter that may be a picture instead, with a place for one below it.
 * @param {Control | null} inner @param {number} side px that the picture's longer side has at most @param {About} about
 * @returns {Control}
 */
export function pictured(inner, side, { id, words, change }) {
  const image = h("img", { alt: "", hidden: true });
  const input = h("input", { type: "file", accept: "image/*", class: "unseen", id: `${id}-file`,
    "aria-label": `${words}: a picture of your own` });
  const asked = inner ? "or drop a picture here" : "Choose a picture, or drop it here";
  const hint = h("span", {}, asked);
  const choose = h("label", { class: "picture-choose", for: `${id}-file` }, image, hint);
  const remove = iconButton("close", "Remove the picture", () => show(null, true));
  const place = h("div", { class: "picture-field" }, input, choose, remove);
  const native = inner?.element instanceof HTMLSelectElement ? inner.element : null;
  native?.append(h("option", { value: -1, hidden: true }, "your picture"));
  /** @type {unknown} what it was before the picture */
  let before;

  /** @param {string | null} url @param {boolean} tell */
  function show(url, tell) {
    image.hidden = remove.hidden = url === null;
    if (url === null) image.removeAttribute("src");
    else image.src = url;
    hint.textContent = url === null ? asked : "your picture; drop another";
    if (tell) change(url ?? before);
    if (tell) inner?.set(url ?? before);
  }

  /** @param {File} file */
  async function take(file) {
    try {
      show(await asUrl(file, side), true);
    } catch {
      toast(`${file.name} is no picture that this browser can read.`);
    }
  }

  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) void take(file);
    input.value = ""; // the same one may be chosen again
  });
  place.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) void take(file);
  });
  dropPlace(place, (file) => void take(file));
  return {
    element: h("div", { class: "with-picture" }, inner?.element ?? null, place),
    set: (value) => {
      const url = typeof value === "string" && value.startsWith(SCHEME) ? value : null;
      if (url === null) before = value;
      inner?.set(value);
      show(url, false);
    },
    take: (file) => void take(file),
  };
}

/** A picture's file as a small JPEG; what is transparent becomes white. @param {Blob} file @param {number} side */
async function asUrl(file, side) {
  const picture = await createImageBitmap(file);
  try {
    for (let longest = side; ; longest *= 0.8) {
      const canvas = shrunk(picture, longest);
      const url = QUALITIES.map((quality) => canvas.toDataURL("image/jpeg", quality)).find(({ length }) => length <= LONGEST);
      if (url) return url;
    }
  } finally {
    picture.close();
  }
}

/** @param {ImageBitmap} picture @param {number} side */
function shrunk(picture, side) {
  const factor = Math.min(1, side / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * factor));
  canvas.height = Math.max(1, Math.round(picture.height * factor));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}
