/** Records what comes back from the server, with the recipe that made it inside the file. */

import { AimassError } from "../sdk/aimass-stream.js";
import { sign } from "./webm.js";

/** @typedef {import("./webm.js").Recipe} Recipe */

const TYPES = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const CHUNK = 1000; // ms

export class Recorder {
  /** @type {MediaRecorder | null} */
  #recorder = null;
  /** @type {Blob[]} */
  #chunks = [];
  begun = 0;

  get running() {
    return this.#recorder !== null;
  }

  /** @param {MediaStream} stream */
  start(stream) {
    const mimeType = typeof MediaRecorder === "undefined" ? undefined
      : TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    if (!mimeType) {
      throw new AimassError("unsupported", { title: "This browser can't record",
        message: "It has no MediaRecorder for WebM or MP4.", next: "aimass stream writes files from a terminal." });
    }
    this.#chunks = [];
    // a clone of the stream: the tracks stay while the page swaps its own
    this.#recorder = new MediaRecorder(new MediaStream(stream.getTracks()), { mimeType });
    this.#recorder.addEventListener("dataavailable", ({ data }) => data.size && this.#chunks.push(data));
    this.#recorder.start(CHUNK);
    this.begun = performance.now();
  }

  /**
   * @param {Recipe} recipe
   * @returns {Promise<{blob: Blob, name: string}>}
   */
  async stop(recipe) {
    const recorder = this.#recorder;
    if (!recorder) throw new Error("nothing is being recorded");
    this.#recorder = null;
    if (recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
      recorder.stop();
      await stopped;
    }
    const type = recorder.mimeType.split(";")[0] ?? "video/webm";
    const blob = await sign(new Blob(this.#chunks, { type }), recipe);
    const stamp = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
    return { blob, name: `AI Mass ${stamp}.${type.includes("mp4") ? "mp4" : "webm"}` };
  }
}
