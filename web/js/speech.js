/**
 * Who speaks to the server, and what is shown of it: captions, the conversation, and the microphone that takes the
 * place of the source's sound for either.
 */

import { Captions } from "./captions.js";
import { byId } from "./dom.js";
import { explain } from "../sdk/aimass-stream.js";
import { openMicrophone } from "./sources.js";
import { Talk } from "./talk.js";
import { Transcript } from "./transcript.js";

/**
 * @typedef {import("../sdk/aimass-stream.js").Session} Session
 * @typedef {import("./monitor.js").Monitor} Monitor
 * @typedef {import("./pipeline.js").PipelineModel} PipelineModel
 * @typedef {import("./server.js").Server} Server
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 */

const HEARING = ["asr", "assistant"]; // stages that recognise speech

export class Speech {
  transcript = new Transcript();
  captions;
  talk;
  /** @type {{pressed: boolean, dictated: boolean} | null} captions before the conversation, which brings its own */
  #captioned = null;
  #pressed = false; // the captions' button put `asr` there
  #asking = false; // for a microphone, for captions
  #words = ""; // the session whose words the transcript has; the server keeps them when it is over
  /** @type {MediaStreamTrack | null} */
  #microphone = null; // sent in place of the source's sound
  /** @type {MediaStreamTrack | null} */
  #dictated = null; // the same, where it is that of captions

  /**
   * @param {PipelineModel} model
   * @param {Session} session
   * @param {Monitor} monitor
   * @param {Server} server
   */
  constructor(model, session, monitor, server) {
    this.model = model;
    this.session = session;
    this.monitor = monitor;
    this.captions = new Captions(this.transcript, (format) => server.transcript(this.#words, format));
    this.talk = new Talk(this.transcript, {
      device: () => this.#device,
      use: (track) => this.#listen(track, track !== null), // its answer is to be heard; the browser keeps it out of the microphone
      stop: () => session.hush(),
      tell: (error) => monitor.tell(error, [{ label: "Close", act: () => monitor.tell(null) }]),
      arrange: (on) => this.#converse(on),
    });
    model.on("structure", () => this.#look());
    monitor.on("source", ({ stream }) => {
      if (this.talk.on) monitor.setSound(true); // its answers are still to be heard
      if (this.#dictated && !this.#mute) return this.#listen(null, false); // it has a voice of its own
      session.process(this.#microphone ?? stream.getAudioTracks()[0] ?? "audio");
      return this.#sounds();
    });
    session.on("status", ({ state }) => (this.talk.connected = state === "live"));
    session.on("epoch", ({ sessionId, resumed }) => {
      this.#words = sessionId;
      if (!resumed) this.transcript.clear();
    });
  }

  /** @param {ServerEvent} event */
  event(event) {
    this.transcript.hear(event);
    this.talk.event(event);
    if (event.type === "hearing.ready") this.captions.engine(event.data);
  }

  /**
   * The server listens to others already: nothing that was begun here goes on looking as if it did.
   * @param {string} text
   * @returns {boolean} false where nobody began it with a button
   */
  deaf(text) {
    if (this.talk.on) this.talk.refuse(text);
    else if (this.#pressed) {
      this.#arrange("asr", false);
      this.captions.refuse(text);
    } else return false;
    return true;
  }

  /** The stage that listens. */
  get place() {
    return { key: this.model.entries.find(({ name }) => HEARING.includes(name))?.key ?? null, name: null };
  }

  /** @param {string} stage */
  #runs(stage) {
    return this.model.entries.some(({ name }) => name === stage);
  }

  /** Puts a stage behind all others, or takes it out. @param {string} stage @param {boolean} on */
  #arrange(stage, on) {
    if (on === this.#runs(stage)) return;
    if (on) this.model.add(stage);
    else for (const { key, name } of [...this.model.entries]) if (name === stage) this.model.remove(key);
  }

  /** The assistant hears by itself: a second recogniser beside it would only take its time. @param {boolean} on */
  #converse(on) {
    const before = this.#captioned;
    this.#captioned = on && this.#runs("asr") ? { pressed: this.#pressed, dictated: this.#dictated !== null } : null;
    this.#arrange("assistant", on); // first: without it there is no conversation
    if (on) return this.#arrange("asr", false);
    if (!before) return;
    this.#pressed = before.pressed;
    this.#arrange("asr", true);
    if (before.dictated) void this.#dictate();
  }

  async caption() {
    if (this.#runs("assistant")) this.captions.over = !this.captions.over;
    else if (this.#runs("asr")) this.#arrange("asr", false);
    else if (!this.#mute || (await this.#dictate())) {
      this.#pressed = true;
      this.#arrange("asr", true);
    }
    this.#look();
  }

  /** Nobody can be heard: the clip is waves and a bell, and some sources have no sound at all. */
  get #mute() {
    const { source } = this.monitor;
    return !source || source.kind === "clip" || !source.stream.getAudioTracks().length;
  }

  /** The microphone that was picked, where one was. */
  get #device() {
    const { source } = this.monitor;
    const picked = source?.kind === "microphone" || source?.kind === "camera";
    return (picked && source.stream.getAudioTracks()[0]?.getSettings().deviceId) || "";
  }

  /** Sends a microphone for captions. @returns {Promise<boolean>} whether there is one now */
  async #dictate() {
    if (this.#asking) return false;
    this.#asking = true;
    try {
      const track = await openMicrophone(this.#device);
      if (!this.#mute || this.talk.on) return track.stop(), !this.talk.on; // another way was taken meanwhile
      track.addEventListener("ended", () => this.#dictated === track && this.#listen(null, false));
      this.#listen(track, false); // or a microphone beside a loudspeaker howls
      this.#dictated = track;
      return true;
    } catch (error) {
      this.monitor.tell(explain(error), [{ label: "Close", act: () => this.monitor.tell(null) }]);
      return false;
    } finally {
      this.#asking = false;
    }
  }

  /** What runs says what of speech there is to see. */
  #look() {
    const stages = this.model.entries.map(({ name }) => name);
    this.captions.show(stages);
    const shown = stages.includes("assistant") ? this.captions.over : stages.includes("asr");
    byId("captions-button", HTMLButtonElement).setAttribute("aria-pressed", String(shown));
    if (this.talk.on && !stages.includes("assistant")) this.talk.end(); // taken out by hand
    if (!stages.includes("asr")) {
      this.#pressed = false;
      if (this.#dictated) this.#listen(null, false);
    }
    this.#sounds();
  }

  /** Says whose voice is sent. */
  #sounds() {
    const { source } = this.monitor;
    if (!this.#microphone && this.#mute) {
      this.captions.hint(source?.kind === "clip" ? "Nobody speaks in the clip." : "This source has no sound.",
        { label: "Use your microphone", act: () => void this.#dictate() });
    } else this.captions.hint(this.#microphone || source?.kind === "camera" || source?.kind === "microphone" ? "Say something." : "Nobody has spoken yet.", null);
    const own = source?.kind === "clip" ? "Clip, made in this page" : source?.label;
    const two = this.#microphone && source?.kind !== "microphone";
    byId("line-in", HTMLElement).textContent = two ? `${own?.replace(/,.*/, "")}, with your microphone` : own ?? "";
  }

  /**
   * Sends a microphone, or the source's own sound again.
   * @param {MediaStreamTrack | null} track
   * @param {boolean} aloud whether what comes back is to be heard
   */
  #listen(track, aloud) {
    this.#dictated?.stop();
    this.#dictated = null;
    this.#microphone = track;
    this.session.process(track ?? this.monitor.source?.stream.getAudioTracks()[0] ?? "audio");
    this.monitor.setSound(aloud);
    this.#sounds();
  }
}
