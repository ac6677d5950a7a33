/** A style of one's own: learned on the server from a picture, shown while it becomes better. */

import { byId, h, prose, toast } from "./dom.js";
import { PaintJob } from "./paint-job.js";

/** @typedef {import("./paint-api.js").PaintApi} PaintApi */

const KIND = "style-train";

export class LessonPanel {
  /** @type {File | null} */
  #picture = null;
  /** @type {PaintJob | null} */
  #job = null;
  #shown = "";
  #unable = "";

  /** @param {PaintApi} api @param {(error: unknown) => void} failed @param {(name: string) => void} learned */
  constructor(api, failed, learned) {
    this.api = api;
    this.failed = failed;
    this.learned = learned;
    byId("lesson-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const name = byId("lesson-name", HTMLInputElement).value.trim();
      if (name && this.#picture) void this.#begin(this.#picture, name);
    });
    byId("lesson-cancel", HTMLButtonElement).addEventListener("click", () => this.#cancel());
  }

  /** The picture that could be learned from. @param {File | null} picture */
  offer(picture) {
    this.#picture = picture;
    this.#draw();
  }

  /** Whether the server learns at all. @param {string} unable why not; empty: it does */
  able(unable) {
    this.#unable = unable;
    this.#draw();
  }

  /** A lesson goes on while nobody looks: the page may have been closed meanwhile. */
  async resume() {
    if (this.#job) return;
    try {
      const job = (await this.api.jobs()).find(({ kind, state }) => kind === KIND && (state === "running" || state === "queued"));
      if (job && !this.#job) await this.#follow((lesson) => lesson.follow(job.id));
    } catch (error) {
      this.failed(error);
    }
  }

  /** @param {File} picture @param {string} name */
  async #begin(picture, name) {
    this.failed(null);
    await this.#follow((lesson) => lesson.run((_sent, signal) => this.api.train(picture, name, signal)));
  }

  /** @param {(lesson: PaintJob) => Promise<import("../types/paint.js").Job>} follow */
  async #follow(follow) {
    const lesson = new PaintJob(this.api, { say: (text, share) => this.#job === lesson && this.#say(text, share),
      glance: (picture) => void (this.#job === lesson && this.#glance(picture)) });
    this.#job = lesson;
    this.#draw();
    try {
      const { facts } = await follow(lesson);
      if (this.#job !== lesson) return;
      toast(`${facts.title} is a style now`);
      this.#over();
      this.learned(String(facts.style));
    } catch (error) {
      if (!lesson.cancelled) this.failed(error);
      if (this.#job === lesson) this.#over();
    }
  }

  #cancel() {
    this.#job?.cancel();
    this.#over();
  }

  #over() {
    this.#job = null;
    byId("lesson-name", HTMLInputElement).value = "";
    byId("lesson-preview", HTMLImageElement).hidden = true;
    this.#draw();
  }

  #draw() {
    const busy = this.#job !== null;
    byId("lesson", HTMLElement).hidden = !busy && !this.#picture;
    byId("lesson-form", HTMLElement).hidden = busy || this.#unable !== "";
    byId("lesson-about", HTMLElement).hidden = busy || this.#unable !== "";
    const unable = byId("lesson-unable", HTMLElement);
    unable.hidden = busy || !this.#unable;
    unable.replaceChildren(h("span", {}, "Not on this server: ", ...prose(this.#unable), "."));
    byId("lesson-doing", HTMLElement).hidden = !busy;
  }

  /** @param {string} text @param {number | null} share */
  #say(text, share) {
    byId("lesson-text", HTMLElement).textContent = text;
    const bar = byId("lesson-bar", HTMLProgressElement);
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  /** @param {Blob} picture */
  #glance(picture) {
    URL.revokeObjectURL(this.#shown);
    this.#shown = URL.createObjectURL(picture);
    const preview = byId("lesson-preview", HTMLImageElement);
    preview.src = this.#shown;
    preview.hidden = false;
  }
}
