/** The page that paints: puts its parts together and says what follows from what. */

import { CodePanel } from "./code-panel.js";
import { scene } from "./demo.js";
import { KeyDialog } from "./dialogs.js";
import { byId, h, icon, save } from "./dom.js";
import { filesDropped } from "./drop.js";
import { PaintApi } from "./paint-api.js";
import { DistanceChart } from "./paint-chart.js";
import { PaintJob } from "./paint-job.js";
import { LessonPanel } from "./paint-lesson.js";
import { inline, mixed, mixedToMeasure, toMeasure, written } from "./paint-pixels.js";
import { choice, mark } from "./paint-radios.js";
import { paintSnippet } from "./paint-snippets.js";
import { StyleChoice } from "./paint-styles.js";
import { isVideo, Tile } from "./paint-tile.js";
import { Wipe } from "./paint-wipe.js";
import { Words } from "./paint-words.js";
import { apiKey } from "./storage.js";
import { recallTheme, switchTheme } from "./theme.js";

/**
 * @typedef {import("./paint-chart.js").Role} Role
 * @typedef {import("./paint-api.js").Style} Style
 */

const SETTLED = 500; // ms after which the result is measured at another strength

export class PaintPage {
  how = "name"; // or "picture"
  by = "nearest"; // or "picture": what of the second picture is taken
  #strength = byId("strength", HTMLInputElement);
  /** What was painted, and in which style, or like which picture.
   * @type {{file: Blob, style: string, name: string, like: File | null} | null} */
  #done = null;
  words = new Words();
  api = new PaintApi(apiKey);
  key = new KeyDialog(() => void this.#enter());
  wipe = new Wipe(byId("wipe", HTMLElement));
  chart = new DistanceChart(byId("measured", HTMLElement), byId("distances", HTMLTableElement),
    byId("legend", HTMLElement), byId("meaning", HTMLElement));
  yours = new Tile(byId("yours", HTMLElement), { what: "your picture", video: true }, () => void this.#began(),
    (error) => this.#trouble(error));
  like = new Tile(byId("like", HTMLElement), { what: "the style's picture" }, () => void this.#run(),
    (error) => this.#trouble(error));
  lesson = new LessonPanel(this.api, (error) => this.#trouble(error), (name) => void this.#learned(name));
  styles = new StyleChoice(byId("style-input", HTMLInputElement), byId("style-list", HTMLElement),
    byId("meant", HTMLElement), this.api, () => void this.#run(), (error) => this.#trouble(error));
  code = new CodePanel((language) => paintSnippet(language, this.#wish()));
  #turn = new AbortController();
  /** @type {PaintJob | null} */
  #job = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  async start() {
    byId("code", HTMLElement).append(this.code.element);
    recallTheme();
    this.#wire();
    this.#slide();
    await this.#enter();
  }

  /** Again after a key was given. */
  async #enter() {
    try {
      await this.styles.load();
      byId("by", HTMLElement).hidden = !this.styles.any;
      this.#trouble(null);
      void this.lesson.resume();
      void this.#run();
    } catch (error) {
      this.#trouble(error);
    }
  }

  #wire() {
    choice("how", (how) => this.#chooseHow(how));
    choice("by", (by) => {
      this.by = by;
      mark("by", by);
      void this.#run();
    });
    this.#strength.addEventListener("input", () => this.#slide());
    this.#button("scene-button", () => void this.#scene());
    this.#button("video-button", () => void this.#video());
    this.#button("cancel-button", () => this.#cancel());
    this.#button("download-button", () => void this.#download());
    this.#button("play-button", () => this.#play());
    this.#button("key-button", () => this.key.open(false));
    this.#button("theme-button", switchTheme);
    filesDropped(byId("drop", HTMLElement), (file) => this.#given(file));
    addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find((each) => /^(image|video)\//.test(each.type));
      if (!file) return;
      event.preventDefault();
      this.#given(file);
    });
  }

  /** @param {string} id @param {() => void} act */
  #button(id, act) {
    byId(id, HTMLButtonElement).addEventListener("click", act);
  }

  /** A file that nobody said what it is for. @param {File} file */
  #given(file) {
    const style = this.how === "picture" && this.yours.file && !this.like.file && !isVideo(file);
    (style ? this.like : this.yours).take(file);
  }

  async #scene() {
    const blob = await written(scene(4.2));
    this.yours.take(new File([blob], "evening at sea.png", { type: blob.type }));
    const [first] = this.styles.styles;
    if (this.how === "name" && !this.styles.chosen && first) this.styles.pick(first.name);
  }

  /** @param {string} how */
  #chooseHow(how) {
    this.how = how;
    mark("how", how);
    byId("by-name", HTMLElement).hidden = how !== "name";
    byId("by-picture", HTMLElement).hidden = how !== "picture";
    void this.#run();
  }

  // pictures ----------------------------------------------------------------------------------------

  /** There is another picture, or none. */
  async #began() {
    this.#over();
    this.#cancel();
    this.#trouble(null);
    this.#done = null;
    this.wipe.clear();
    this.chart.clear();
    this.#results();
    const { file, video } = this.yours;
    if (!file) return;
    const turn = this.#turn;
    this.#say("Looking at it");
    if (!(await this.wipe.show(file, video)) && !video) await this.#asServerSees(file, turn.signal);
    if (turn.signal.aborted) return;
    this.#say(null);
    void this.#run();
  }

  /** What this browser can't show, a TIFF file, the server can turn. @param {File} file @param {AbortSignal} signal */
  async #asServerSees(file, signal) {
    const [any] = this.styles.styles;
    if (!any) return;
    try {
      const { picture } = await this.api.paint(file, { style: any.name }, 0, signal);
      if (!signal.aborted) await this.wipe.show(picture, false);
    } catch (error) {
      if (!signal.aborted) this.#trouble(error);
    }
  }

  /** What was asked for is no longer wanted. */
  #over() {
    this.#turn.abort(new DOMException("something else is wanted", "AbortError"));
    this.#turn = new AbortController();
    this.#say(null);
  }

  get #style() {
    if (this.how === "name") return this.styles.chosen ? { style: this.styles.chosen } : null;
    return this.like.file ? { style_image: this.like.file, by: this.by } : null;
  }

  /** There is another style now. @param {string} name */
  async #learned(name) {
    try {
      await this.styles.load();
      this.#chooseHow("name");
      this.styles.pick(name);
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** Measures, paints, measures again. */
  async #run() {
    const { file, video } = this.yours;
    this.lesson.offer(this.how === "picture" ? this.like.file : null);
    this.lesson.able(this.styles.unable);
    byId("video-button", HTMLButtonElement).hidden = !video;
    byId("video-button", HTMLButtonElement).disabled = this.#style === null;
    if (this.#job) return; // it goes on with what it was begun with
    this.#over();
    const style = this.#style;
    const { signal } = this.#turn;
    byId("found", HTMLElement).replaceChildren();
    try {
      this.#trouble(null);
      if (this.how === "picture" && this.like.file) await this.#measure(signal);
      if (!file || !style || video) return;
      this.#say("Painting");
      this.chart.stale(true);
      this.wipe.reveal();
      const painted = await this.api.paint(file, style, 1, signal);
      this.#done = { file: painted.picture, style: painted.style, name: `${stem(file.name)}-${painted.style}.png`,
        like: likeOf(style, painted.style) };
      await this.wipe.paint(painted.picture, false);
      if (signal.aborted) return;
      this.#results();
      await this.#measure(signal);
    } catch (error) {
      if (!signal.aborted) this.#trouble(error);
    } finally {
      if (!signal.aborted) {
        this.#say(null);
        this.chart.stale(false);
      }
    }
  }

  /** How far what there is is from every style. @param {AbortSignal} signal */
  async #measure(signal) {
    const { file, video } = this.yours;
    /** @type {[Role, Promise<Blob>][]} */
    const wanted = [];
    if (file && !video) wanted.push(["before", toMeasure(file)]);
    if (this.how === "picture" && this.like.file) wanted.push(["like", toMeasure(this.like.file)]);
    const { before, after } = this.wipe;
    if (this.#done && !video && after instanceof HTMLImageElement) {
      wanted.push(["after", before instanceof HTMLImageElement ? mixedToMeasure(before, after, this.#share)
        : toMeasure(this.#done.file)]);
    }
    if (!wanted.length) return;
    this.#say("Measuring how each is painted");
    const match = await this.api.match(await Promise.all(wanted.map(([, blob]) => blob)), signal);
    const roles = wanted.map(([role]) => role);
    this.chart.show(match, roles, this.#done?.style ?? "");
    const likes = match.pictures[roles.indexOf("like")];
    const nearest = likes?.distances.find(({ name }) => name === likes.nearest);
    if (nearest) {
      byId("found", HTMLElement).replaceChildren("Nearest style here: ", h("b", {}, nearest.title),
        `, ${nearest.distance.toFixed(2)} away`);
    }
  }

  // the result --------------------------------------------------------------------------------------

  get #share() {
    return this.#strength.valueAsNumber / 100;
  }

  #slide() {
    const value = this.#strength.valueAsNumber;
    this.#strength.style.setProperty("--fill", `${value}%`);
    byId("strength-out", HTMLOutputElement).value = `${value} %`;
    this.wipe.strength = this.yours.video ? 1 : this.#share;
    this.#results();
    clearTimeout(this.#pause);
    if (!this.#done || this.yours.video) return;
    const { signal } = this.#turn;
    this.chart.stale(true);
    this.#pause = setTimeout(() => void this.#measure(signal).catch((error) => signal.aborted || this.#trouble(error))
      .finally(() => {
        if (signal.aborted) return;
        this.#say(null);
        this.chart.stale(false);
      }), SETTLED);
  }

  #results() {
    const done = this.#done;
    byId("result-bar", HTMLElement).hidden = !done;
    byId("code-section", HTMLElement).hidden = !done;
    byId("play-button", HTMLElement).hidden = !(this.wipe.after instanceof HTMLVideoElement);
    if (!done) return;
    const info = this.styles.info(done.style);
    byId("result-title", HTMLElement).replaceChildren(info?.title ?? (done.like ? `Like ${done.like.name}` : done.style),
      info?.painter ? h("small", {}, `, ${info.painter}`) : "");
    void this.#link(done);
    this.code.refresh();
  }

  /** The live page takes a picture in place of a style's name. @param {{style: string, like: File | null}} done */
  async #link({ style, like }) {
    const name = like ? await inline(like).catch(() => "") : style;
    const pipeline = [{ stage: "style", name, ...(this.#share < 1 ? { strength: this.#share } : {}) }];
    const link = byId("live-link", HTMLAnchorElement);
    link.hidden = !name;
    link.href = `/#pipeline=${encodeURIComponent(JSON.stringify(pipeline))}`;
  }

  #wish() {
    return { origin: location.origin, secured: apiKey() !== null, video: this.yours?.video ?? false,
      file: this.yours?.file?.name ?? "picture.jpg", strength: this.#share,
      style: this.how === "picture" ? "" : this.#done?.style ?? "starry-night", by: this.by };
  }

  async #download() {
    if (!this.#done) return;
    const { before, after } = this.wipe;
    const mix = this.#share < 1 && before instanceof HTMLImageElement && after instanceof HTMLImageElement;
    const file = mix ? await written(mixed(before, after, this.#share)) : this.#done.file;
    save(file, this.#done.name);
  }

  #play() {
    const { after } = this.wipe;
    if (!(after instanceof HTMLVideoElement)) return;
    if (after.paused) void after.play().catch(() => undefined);
    else after.pause();
    this.#plays(!after.paused);
  }

  /** @param {boolean} on */
  #plays(on) {
    const button = byId("play-button", HTMLButtonElement);
    button.replaceChildren(icon(on ? "pause" : "play"));
    button.title = on ? "Pause" : "Play";
    button.setAttribute("aria-label", button.title);
  }

  // videos ------------------------------------------------------------------------------------------

  async #video() {
    const { file } = this.yours;
    const style = this.#style;
    if (!file || !style) return;
    this.#cancel();
    this.#over();
    this.#trouble(null);
    const job = new PaintJob(this.api, { say: (text, share) => this.#job === job && this.#say(text, share),
      glance: (picture) => void (this.#job === job && this.wipe.glance(picture)) });
    this.#job = job;
    this.#busy(true);
    try {
      const ended = await job.run((sent, signal) => this.api.video(file, style, this.#share, sent, signal));
      const painted = await job.result();
      const name = ended.result?.name ?? "painted.mp4";
      const made = String(ended.facts.style ?? "");
      this.#done = { file: painted, style: made, name, like: likeOf(style, made) };
      await this.wipe.show(file, true);
      if (!(await this.wipe.paint(painted, true))) this.#trouble(new Error("This browser can't play it; download it."));
      this.#plays(true);
      if (ended.facts.cut_off) this.#trouble(new Error("The file is cut off; it was painted as far as it goes."));
    } catch (error) {
      if (!job.cancelled) this.#trouble(error);
      if (this.#job === job) await this.wipe.show(file, true);
    } finally {
      if (this.#job === job) {
        this.#job = null;
        this.#busy(false);
        this.#say(null);
        this.#results();
      }
    }
  }

  #cancel() {
    const job = this.#job;
    this.#job = null;
    job?.cancel();
    if (!job) return;
    this.#busy(false);
    this.#say(null);
    if (this.yours.file) void this.wipe.show(this.yours.file, this.yours.video);
  }

  /** @param {boolean} busy */
  #busy(busy) {
    byId("video-button", HTMLButtonElement).disabled = busy || this.#style === null;
    byId("cancel-button", HTMLElement).hidden = !busy;
    if (busy) {
      this.#done = null;
      this.#results();
    }
  }

  /** @param {string | null} text null: nothing is being done @param {number | null} [share] */
  #say(text, share = null) {
    this.words.say(text, share, this.#job === null);
  }

  /** @param {unknown} thrown null: all is well */
  #trouble(thrown) {
    if (this.words.trouble(thrown, () => void this.#again())) this.key.open(apiKey() !== null);
  }

  #again() {
    if (!this.styles.styles.length) return this.#enter();
    return this.yours.video ? this.#video() : this.#run();
  }
}

/** The picture itself, where its own style was taken. @param {Style} asked @param {string} made */
const likeOf = (asked, made) => (made === "picture" && "style_image" in asked ? asked.style_image : null);

/** @param {string} name */
const stem = (name) => name.replace(/\.[^.]*$/, "") || "picture";
