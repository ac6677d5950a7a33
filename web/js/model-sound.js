/** A field for sound: recorded from the microphone or out of a file, shown as a wave, and handed on as a file or as numbers. */

import { AimassError, capture } from "../sdk/aimass-stream.js";
import { complain } from "./site-forms.js";
import { say } from "./site-words.js";

const LONGEST = 20; // s of a recording, and of what goes as numbers
const COLUMNS = 200; // of the wave

/** @type {WeakMap<HTMLElement, Blob>} */
const kept = new WeakMap();

/** @param {HTMLElement} field @returns {Blob} */
export function fileOf(field) {
  const file = kept.get(field);
  if (!file) throw new AimassError("invalid", { title: say("Sound"), message: say("Record something, or choose a file.") });
  return file;
}

/** @param {Blob} file @param {number} rate Hz @returns {Promise<Float32Array>} one channel */
async function decoded(file, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  const buffer = await context.decodeAudioData(await file.arrayBuffer()).catch((cause) => {
    throw new AimassError("bad-file", { title: say("Sound"), message: say("This browser finds no sound in that file."), cause });
  });
  const mixed = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    buffer.getChannelData(channel).forEach((value, at) => (mixed[at] = (mixed[at] ?? 0) + value / buffer.numberOfChannels));
  }
  return mixed;
}

/** As the model takes it: `width` samples a row, or all of it; inside of so many lists. @param {HTMLElement} field */
export async function numbersOf(field) {
  const [rate, width, axes] = [field.dataset.rate, field.dataset.width, field.dataset.axes].map(Number);
  const sound = await decoded(fileOf(field), rate || 16000);
  const all = [...sound.subarray(0, (rate || 16000) * LONGEST)].map((value) => Math.fround(value));
  /** @param {number[]} row @returns {unknown} */
  const nested = (row) => Array.from({ length: (axes || 1) - 1 }).reduce((/** @type {unknown} */ inner) => [inner], row);
  if (!width) return nested(all);
  const rows = Array.from({ length: Math.ceil(all.length / width) }, (_, at) => all.slice(at * width, (at + 1) * width));
  rows.forEach((row) => { while (row.length < width) row.push(0); });
  return rows.map(nested);
}

/** @param {HTMLElement} field @param {Blob} file */
async function show(field, file) {
  kept.set(field, file);
  const audio = /** @type {HTMLAudioElement} */ (field.querySelector("audio"));
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(file);
  audio.hidden = false;
  const sound = await decoded(file, 8000);
  const step = Math.max(1, Math.floor(sound.length / COLUMNS));
  const peaks = Array.from({ length: Math.min(COLUMNS, sound.length) }, (_, at) => sound.subarray(at * step, (at + 1) * step).reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  const loudest = Math.max(0.05, ...peaks);
  const wave = /** @type {SVGElement} */ (field.querySelector(".wave"));
  wave.firstElementChild?.setAttribute("d", peaks.map((peak, at) => {
    const [x, half] = [(at + 0.5) * (400 / peaks.length), Math.max(0.6, (38 * peak) / loudest)];
    return `M${x.toFixed(1)} ${(40 - half).toFixed(1)}V${(40 + half).toFixed(1)}`;
  }).join(""));
  wave.removeAttribute("hidden");
  status(field, say("{seconds} s of sound", { seconds: (sound.length / 8000).toFixed(1) }));
}

/** @param {HTMLElement} field @param {string} text */
const status = (field, text) => /** @type {HTMLElement} */ (field.querySelector("[role=status]")).textContent = text;

/** @param {HTMLElement} field @param {HTMLButtonElement} button @param {(file: Blob) => Promise<void>} taken */
function recording(field, button, taken) {
  /** @type {MediaRecorder | null} */
  let recorder = null;
  const words = /** @type {HTMLElement} */ (button.querySelector("span"));
  return async () => {
    if (recorder) return recorder.stop();
    const stream = await capture({ audio: true });
    /** @type {Blob[]} */
    const parts = [];
    const made = new MediaRecorder(stream);
    recorder = made;
    const end = setTimeout(() => made.stop(), LONGEST * 1000);
    made.addEventListener("dataavailable", (event) => parts.push(event.data));
    made.addEventListener("stop", () => {
      clearTimeout(end);
      stream.getTracks().forEach((track) => track.stop());
      recorder = null;
      button.setAttribute("aria-pressed", "false");
      words.textContent = say("Record");
      void taken(new Blob(parts, { type: made.mimeType }));
    });
    made.start();
    button.setAttribute("aria-pressed", "true");
    words.textContent = say("Stop");
    status(field, say("recording …"));
  };
}

/** @param {HTMLElement} field @param {HTMLFormElement} form */
export function takeSound(field, form) {
  /** @param {() => Promise<void>} act */
  const tried = async (act) => {
    complain(form, null);
    await act().catch((error) => { status(field, ""); complain(form, error); });
  };
  /** @param {Blob} file */
  const taken = (file) => tried(() => show(field, file));
  const button = /** @type {HTMLButtonElement} */ (field.querySelector("[data-record]"));
  const record = recording(field, button, taken);
  button.addEventListener("click", () => void tried(record));
  const input = /** @type {HTMLInputElement} */ (field.querySelector("input"));
  input.addEventListener("change", () => { if (input.files?.[0]) void taken(input.files[0]); });
  field.addEventListener("dragover", (event) => event.preventDefault());
  field.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) void taken(file);
  });
}
