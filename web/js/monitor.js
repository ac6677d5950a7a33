/**
 * The picture and what stands below it: the source, the view, sound, recording, and words over the picture when
 * something is wrong.
 */

import { Compare } from "./compare.js";
import { DemoClip } from "./demo.js";
import { arrowTarget, byId, h, icon, save, toast } from "./dom.js";
import { Emitter, explain } from "../sdk/aimass-stream.js";
import { Recorder } from "./recorder.js";
import { listDevices, openCamera, openFile, openScreen, openVoice } from "./sources.js";

/**
 * @typedef {import("./sources.js").Source} Source
 * @typedef {import("./sources.js").SourceKind} SourceKind
 * @typedef {import("./webm.js").Recipe} Recipe
 * @typedef {import("../sdk/aimass-stream.js").AimassError} AimassError
 * @typedef {{label: string, act: () => void, primary?: boolean}} Action
 */

/** @type {SourceKind[]} */
const DEVICES = ["camera", "microphone"]; // sources that are picked further

/** @extends {Emitter<{source: Source, picture: null, gap: null}>} `gap`: the source ends before another one is there */
export class Monitor extends Emitter {
  #box = byId("monitor", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #pickers = byId("pickers", HTMLElement);
  #camera = byId("camera-select", HTMLSelectElement);
  #microphone = byId("microphone-select", HTMLSelectElement);
  #size = byId("size-select", HTMLSelectElement);
  #file = byId("file-input", HTMLInputElement);
  #soundButton = byId("sound-button", HTMLButtonElement);
  #recordButton = byId("record-button", HTMLButtonElement);
  #recordText = byId("record-text", HTMLElement);
  #recorder = new Recorder();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  #turn = 0;
  /** @type {Source | null} */
  source = null;

  /** @param {() => Recipe} recipe what a recording is signed with */
  constructor(recipe) {
    super();
    this.recipe = recipe;
    this.compare = new Compare(this.#box, () => this.emit("picture", null));
    radios("sources", "source", (kind) => void this.choose(/** @type {SourceKind} */ (kind)));
    const screen = document.querySelector("[data-source=screen]");
    const able = navigator.mediaDevices && "getDisplayMedia" in navigator.mediaDevices;
    // phones can't share a screen; where only https is missing, choosing it says so
    if (screen instanceof HTMLElement && isSecureContext && !able) screen.hidden = true;
    radios("views", "view", (view) => (this.compare.view = /** @type {any} */ (view)));
    for (const select of [this.#camera, this.#microphone, this.#size]) {
      select.addEventListener("change", () => void this.choose(this.source?.kind === "microphone" ? "microphone" : "camera"));
    }
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files ?? [];
      if (file) void this.play(file);
    });
    this.#soundButton.addEventListener("click", () => this.setSound(!this.compare.sound));
    this.#recordButton.addEventListener("click", () => void this.#record());
    byId("full-button", HTMLButtonElement).addEventListener("click", () => {
      if (document.fullscreenElement) void document.exitFullscreen();
      else void this.#box.requestFullscreen();
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#fillPickers());
  }

  /** @param {SourceKind} kind */
  async choose(kind) {
    if (kind === "file") return this.#file.click();
    await this.#take(kind, () => {
      switch (kind) {
        case "camera": return openCamera({ camera: this.#camera.value, microphone: this.#microphone.value,
          height: Number(this.#size.value) });
        case "microphone": return openVoice(this.#microphone.value);
        case "screen": return openScreen();
        default: return this.#clip();
      }
    });
  }

  /** @returns {Promise<Source>} */
  async #clip() {
    const demo = new DemoClip(() => this.source === source && this.emit("source", source));
    /** @type {Source} */
    const source = { kind: "clip", label: "Evening at sea", stream: demo.stream, stop: () => demo.stop() };
    return source;
  }

  /** @param {File} file */
  play(file) {
    return this.#take("file", () => openFile(file));
  }

  /**
   * Opens a source and puts it in the place of the one before. Where that fails, the old one goes on.
   * @param {SourceKind} kind
   * @param {() => Promise<Source>} open
   */
  async #take(kind, open) {
    const turn = ++this.#turn;
    const before = this.source;
    if (kind === "camera" && before?.kind === "camera") { // some cameras open only once
      this.emit("gap", null);
      before.stop();
    }
    try {
      const source = await open();
      if (turn !== this.#turn) return source.stop();
      before?.stop();
      this.#use(source);
    } catch (error) {
      if (turn === this.#turn) this.#refuse(kind, explain(error));
    }
  }

  /** @param {Source} source */
  #use(source) {
    this.source = source;
    this.tell(null);
    mark("sources", "source", source.kind);
    this.#pickers.hidden = !DEVICES.includes(source.kind);
    this.#pickers.classList.toggle("voice", source.kind === "microphone");
    if (DEVICES.includes(source.kind)) {
      void this.#fillPickers();
      if (this.compare.sound) this.setSound(false); // or a microphone beside a loudspeaker howls
    }
    for (const track of source.stream.getTracks()) {
      track.addEventListener("ended", () => this.source === source && this.#ended(source));
    }
    this.compare.setRaw(source.stream);
    this.emit("source", source);
  }

  /** A device was unplugged, or the person ended sharing. @param {Source} source */
  #ended(source) {
    if (source.stream.getTracks().some((track) => track.readyState === "live" && track.kind === "video")) return;
    toast(source.kind === "screen" ? "Sharing ended" : `${source.label} is gone`);
    void this.choose("clip");
  }

  /** @param {SourceKind} kind @param {AimassError} error */
  #refuse(kind, error) {
    const alive = this.source?.stream.getTracks().some((track) => track.readyState === "live");
    if (!alive && kind !== "clip") void this.choose("clip").then(() => this.#complain(kind, error));
    else this.#complain(kind, error);
  }

  /** @param {SourceKind} kind @param {AimassError} error */
  #complain(kind, error) {
    mark("sources", "source", this.source?.kind ?? "clip");
    this.tell(error, [{ label: "Try again", act: () => void this.choose(kind), primary: true },
      { label: "Close", act: () => this.tell(null) }]);
  }

  /** Another source's tracks say nothing of which devices are wanted: the choice stays as it is. */
  async #fillPickers() {
    const { cameras, microphones } = await listDevices();
    if (!this.source || !DEVICES.includes(this.source.kind)) return;
    const { kind, stream } = this.source;
    const [picture] = stream.getVideoTracks();
    const [sound] = stream.getAudioTracks();
    if (kind === "camera") options(this.#camera, cameras, picture?.getSettings().deviceId, "No camera");
    options(this.#microphone, microphones, sound?.getSettings().deviceId, kind === "camera" ? "No microphone" : null);
  }

  /** @param {boolean} on */
  setSound(on) {
    this.compare.sound = on;
    this.#soundButton.setAttribute("aria-pressed", String(on));
    this.#soundButton.replaceChildren(icon(on ? "sound" : "silent"));
  }

  /**
   * Words over the picture, or none.
   * @param {AimassError | null} error
   * @param {Action[]} [actions]
   */
  tell(error, actions = []) {
    this.#notice.hidden = error === null;
    if (!error) return;
    this.#notice.dataset.reason = error.reason;
    byId("notice-title", HTMLElement).textContent = error.title;
    byId("notice-text", HTMLElement).textContent = error.message;
    byId("notice-next", HTMLElement).textContent = error.next;
    byId("notice-actions", HTMLElement).replaceChildren(...actions.map(({ label, act, primary }) => h("button",
      { type: "button", class: primary ? "button primary" : "button", onclick: act }, label)));
  }

  get telling() {
    return this.#notice.hidden ? null : this.#notice.dataset.reason ?? null;
  }

  async #record() {
    try {
      if (this.#recorder.running) return await this.finishRecording();
      const stream = this.compare.processed;
      if (!stream) return toast("There is nothing to record yet");
      this.#recorder.start(stream);
      this.#clock = setInterval(() => this.#showTime(), 500);
      this.#showTime();
    } catch (error) {
      this.tell(explain(error), [{ label: "Close", act: () => this.tell(null) }]);
    }
  }

  /** Ends a recording, if there is one, and saves it. */
  async finishRecording() {
    if (!this.#recorder.running) return;
    clearInterval(this.#clock);
    const { blob, name } = await this.#recorder.stop(this.recipe());
    save(blob, name);
    this.#recordButton.setAttribute("aria-pressed", "false");
    this.#recordButton.querySelector("use")?.setAttribute("href", "#i-record");
    this.#recordText.textContent = "Record";
    toast(`Saved ${name}`);
  }

  #showTime() {
    const seconds = Math.floor((performance.now() - this.#recorder.begun) / 1000);
    this.#recordButton.setAttribute("aria-pressed", "true");
    this.#recordButton.querySelector("use")?.setAttribute("href", "#i-stop");
    this.#recordText.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}

/** @param {HTMLSelectElement} select @param {MediaDeviceInfo[]} devices @param {string | undefined} used @param {string | null} none */
function options(select, devices, used, none) {
  select.replaceChildren(...devices.map((device, index) => h("option", { value: device.deviceId },
    device.label || `${device.kind === "videoinput" ? "Camera" : "Microphone"} ${index + 1}`)),
    ...(none === null ? [] : [h("option", { value: "none" }, none)]));
  select.value = used && devices.some((device) => device.deviceId === used) ? used : "none";
}

/**
 * A row of buttons of which one is chosen.
 * @param {string} id
 * @param {string} name of the data attribute with the value
 * @param {(value: string) => void} choose
 */
export function radios(id, name, choose) {
  const group = byId(id, HTMLElement);
  const buttons = [...group.querySelectorAll("button")].filter((button) => !button.hidden);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      mark(id, name, button.dataset[name] ?? "");
      choose(button.dataset[name] ?? "");
    });
  }
  group.addEventListener("keydown", (event) => {
    const target = arrowTarget(event, buttons);
    target?.focus();
    if (id !== "sources") target?.click(); // a permission is not to be asked for by passing by
  });
  mark(id, name, buttons.find((button) => button.getAttribute("aria-checked") === "true")?.dataset[name] ?? "");
}

/** @param {string} id @param {string} name @param {string} value */
export function mark(id, name, value) {
  for (const button of byId(id, HTMLElement).querySelectorAll("button")) {
    const chosen = button.dataset[name] === value;
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
}
