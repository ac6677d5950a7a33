/** A place for a picture: dropped, pasted, chosen, or taken by the camera. */

import { explain } from "../sdk/aimass-stream.js";
import { h, icon, iconButton } from "./dom.js";
import { openCamera } from "./sources.js";

const PICTURES = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/tiff";
const FILM = /\.(mp4|m4v|mov|mkv|webm|avi|3gp|mpe?g|ts|wmv|flv|ogv)$/i; // not every browser knows their types

/** @param {File} file */
export const isVideo = (file) => file.type.startsWith("video/") || (!file.type && FILM.test(file.name));

export class Tile {
  /** @type {File | null} */
  file = null;
  #box;
  #input;
  #url = "";
  /** @type {(() => void) | null} */
  #stopCamera = null;

  /**
   * @param {HTMLElement} box @param {{what: string, video?: boolean}} options `what` it is for, in a word or two
   * @param {(file: File | null) => void} taken @param {(error: Error) => void} failed
   */
  constructor(box, options, taken, failed) {
    this.#box = box;
    this.options = options;
    this.taken = taken;
    this.failed = failed;
    this.#input = h("input", { type: "file", accept: options.video ? `${PICTURES},video/*` : PICTURES, hidden: true,
      onchange: () => this.#chosen() });
    box.addEventListener("dragover", (event) => this.#over(event, true));
    box.addEventListener("dragleave", (event) => this.#over(event, false));
    box.addEventListener("drop", (event) => this.#dropped(event));
    this.#draw();
  }

  get video() {
    return this.file !== null && isVideo(this.file);
  }

  /** @param {File | null} file */
  take(file) {
    this.#closeCamera();
    if (file && !this.options.video && isVideo(file)) {
      return this.failed(new Error("A style is taken from a picture, not from a video."));
    }
    this.file = file;
    this.#draw();
    this.taken(file);
  }

  #chosen() {
    const file = this.#input.files?.[0];
    this.#input.value = ""; // the same file may be chosen again
    if (file) this.take(file);
  }

  /** @param {DragEvent} event @param {boolean} over */
  #over(event, over) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    this.#box.classList.toggle("over", over);
  }

  /** @param {DragEvent} event */
  #dropped(event) {
    const file = event.dataTransfer?.files[0];
    this.#box.classList.remove("over");
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    document.getElementById("drop")?.classList.remove("over");
    this.take(file);
  }

  #draw() {
    URL.revokeObjectURL(this.#url);
    this.#url = this.file ? URL.createObjectURL(this.file) : "";
    this.#box.replaceChildren(...(this.file ? [this.#shown(this.file)] : this.#empty()), this.#input);
  }

  #empty() {
    const what = this.options.video ? "a picture or a video" : "a picture";
    const drop = h("button", { type: "button", class: "tile-drop", onclick: () => this.#input.click() },
      icon("picture"), h("b", {}, `Choose ${what}`), h("span", {}, "or drop it here, or paste it"));
    const camera = h("button", { type: "button", class: "button small", onclick: () => void this.#camera() },
      icon("camera"), "Take one with the camera");
    return [drop, h("div", { class: "tile-tools" }, camera)];
  }

  /** @param {File} file */
  #shown(file) {
    const size = h("span", {}, bytes(file.size));
    const shown = this.video ? h("video", { src: this.#url, muted: true, playsinline: true, preload: "metadata" })
      : h("img", { src: this.#url, alt: "" });
    shown.addEventListener(this.video ? "loadeddata" : "load", () => {
      const [width, height] = shown instanceof HTMLVideoElement ? [shown.videoWidth, shown.videoHeight]
        : [shown.naturalWidth, shown.naturalHeight];
      const length = shown instanceof HTMLVideoElement && Number.isFinite(shown.duration)
        ? `, ${shown.duration.toFixed(1)} s` : "";
      size.textContent = `${width} × ${height}${length}, ${bytes(file.size)}`;
    });
    const place = h("div", { class: "tile-picture" }, shown);
    shown.addEventListener("error", () => place.replaceChildren(icon("picture"))); // which the server may know yet
    return h("div", { class: "tile-shown" }, place,
      h("div", { class: "tile-about" }, h("b", { title: file.name }, file.name), size),
      iconButton("close", `Take away ${this.options.what}`, () => {
        this.take(null);
        this.#box.querySelector("button")?.focus();
      }));
  }

  async #camera() {
    try {
      const source = await openCamera({ microphone: "none", height: 720 });
      const player = h("video", { muted: true, playsinline: true, autoplay: true, "aria-label": "Camera" });
      player.srcObject = source.stream;
      this.#stopCamera = source.stop;
      const shoot = h("button", { type: "button", class: "button small primary", disabled: true,
        onclick: () => void this.#shoot(player) }, icon("camera"), "Take the picture");
      player.addEventListener("loadeddata", () => (shoot.disabled = false));
      this.#box.replaceChildren(h("div", { class: "tile-camera" }, player), h("div", { class: "tile-tools" }, shoot,
        h("button", { type: "button", class: "button small", onclick: () => this.#closeCamera() }, "Cancel")), this.#input);
      shoot.focus();
    } catch (error) {
      this.failed(explain(error));
    }
  }

  /** @param {HTMLVideoElement} player */
  async #shoot(player) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [player.videoWidth, player.videoHeight];
    canvas.getContext("2d")?.drawImage(player, 0, 0);
    const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ done) => canvas.toBlob(done, "image/png"));
    if (blob) this.take(new File([blob], "camera.png", { type: blob.type }));
  }

  #closeCamera() {
    if (!this.#stopCamera) return;
    this.#stopCamera();
    this.#stopCamera = null;
    this.#draw();
  }
}

/** @param {number} count */
function bytes(count) {
  if (!count) return "empty";
  return count < 1024 * 1024 ? `${Math.max(1, Math.round(count / 1024))} KB` : `${(count / 1024 / 1024).toFixed(1)} MB`;
}
