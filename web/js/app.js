/** The page: puts the parts together and says what follows from what. */

import { explain, ServerError, Session, TokenError } from "../sdk/aimass-stream.js";
import { Arrivals } from "./arrivals.js";
import { Builders } from "./builders.js";
import { CodePanel } from "./code-panel.js";
import { KeyDialog, StagePicker } from "./dialogs.js";
import { badge } from "./detector-badge.js";
import { byId, copy, toast } from "./dom.js";
import { filesDropped } from "./drop.js";
import { describeEvent, describeFault } from "./events.js";
import { LatencyGraph } from "./graph.js";
import { LiveChanges } from "./live.js";
import { Monitor, mark, radios } from "./monitor.js";
import { EventLog, LevelMeter, Tiles, serverTime } from "./panels.js";
import { PipelineEditor } from "./pipeline-editor.js";
import { PipelineModel, readLink, writeLink } from "./pipeline.js";
import { People } from "./people.js";
import { PromiseView } from "./promise.js";
import { Placing } from "./placing.js";
import { ResultsView } from "./results.js";
import { SessionRecord } from "./record.js";
import { Server } from "./server.js";
import { SignBadge } from "./sign-badge.js";
import { changeSnippet, startSnippet } from "./snippets.js";
import { Speech } from "./speech.js";
import { SpeechModels } from "./speech-models.js";
import { apiKey, recall, remember } from "./storage.js";
import { TransportChoice } from "./transport.js";
import { readRecipe } from "./webm.js";

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("../sdk/aimass-stream.js").Status} Status
 * @typedef {import("../sdk/aimass-stream.js").AimassError} AimassError
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {import("../types/api.js").Sync} Sync
 */

const DEMO = [{ stage: "cartoon" }, { stage: "level" }];
const MOVERS = new Set(["mirror", "rotate", "crop"]); // after these, places in the picture are others
const WATCHERS = new Set(["detect", "motion", "faces", "hands"]); // these tell places, and may have zones
const CONNECTION_REASONS = ["server-gone", "media-blocked", "media-lost", "busy", "unavailable", "unauthorized",
  "no-webrtc", "forbidden", "invalid", "unexpected"];

export class App {
  model = new PipelineModel();
  transport = new TransportChoice((transport) => this.session.use(transport));
  session = new Session({ url: location.origin, token: apiKey, fallback: "hold", transport: this.transport.choice });
  server = new Server(this.session.rest);
  processed = new MediaStream([this.session.process("video"), this.session.process("audio")]);
  live = new LiveChanges(this.model, this.session, (error, at) => this.#report(error, at));
  monitor = new Monitor(() => ({ pipeline: this.model.plain(), sync: this.model.sync }));
  results = new ResultsView(byId("monitor", HTMLElement), (picture) => this.session.ptsOf(picture), () => this.#moved(),
    () => this.#ground());
  placing = new Placing(byId("monitor", HTMLElement), () => this.#moved());
  picker = new StagePicker((name) => this.#add(name));
  key = new KeyDialog(() => void this.#enter());
  tiles = new Tiles(byId("tiles", HTMLElement));
  meter = new LevelMeter(byId("meter", HTMLElement));
  graph = new LatencyGraph(byId("graph", HTMLElement));
  log = new EventLog(byId("log", HTMLElement), byId("log-all", HTMLInputElement));
  editor = new PipelineEditor(byId("stages", HTMLOListElement), this.model,
    (language, index, params) => changeSnippet(language, this.#place(), { stage: { index, params } }),
    byId("add-button", HTMLButtonElement));
  arrivals = new Arrivals(this.model, this.editor, this.server, (name) => this.#add(name));
  promise = new PromiseView(this.model);
  models = new SpeechModels(this.server);
  people = new People(byId("stages", HTMLElement), /** @type {HTMLVideoElement} */ (
    byId("monitor", HTMLElement).querySelector("video.raw")), this.server);
  record = new SessionRecord(byId("stages", HTMLElement), this.server, () => this.session.id);
  signs = new SignBadge(byId("monitor", HTMLElement));
  builders = new Builders(apiKey);
  speech = new Speech(this.model, this.session, this.monitor, this.server);
  #what = "change"; // what the code for the whole pipeline does; or "start"
  code = new CodePanel((language) => this.#wholeCode(language));
  /** @type {number | null} ms there and back */
  #network = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;

  async start() {
    byId("code", HTMLElement).append(this.code.element);
    this.#wire();
    this.#theme(recall("aimass.theme"));
    await this.monitor.choose("clip");
    await this.#enter();
  }

  /** Learns what the server can do, then connects; again after a key was given. */
  async #enter() {
    try {
      const [stages, config] = await Promise.all([this.server.stages(), this.server.config()]);
      this.model.learn(stages);
      byId("version", HTMLElement).textContent = `version ${config.version}`;
      const linked = readLink(location.hash);
      this.model.setSync(linked?.sync ?? "lowest", { remote: true });
      this.model.setLatency(linked?.latency ?? 0, { remote: true });
      this.model.set(linked?.pipeline ?? demoOf(stages), { remote: true });
      this.speech.talk.able = this.#has("assistant");
      byId("captions-button", HTMLButtonElement).hidden = !this.#has("asr");
      this.builders.refresh();
      this.live.begin();
      void this.models.look();
    } catch (thrown) {
      const error = explain(thrown);
      this.#trouble(error);
      const pause = error instanceof ServerError && error.reason === "unauthorized" ? null : 3;
      if (pause !== null) setTimeout(() => void this.#enter(), pause * 1000);
    }
  }

  #wire() {
    const { model, session, monitor } = this;
    model.on("structure", () => this.#refreshCode());
    model.on("param", () => this.#refreshCode());
    model.on("sync", () => {
      mark("sync", "sync", model.sync);
      this.#refreshCode();
    });
    session.on("status", (status) => this.#status(status));
    session.on("epoch", ({ resumed }) => {
      this.#refreshCode();
      if (!resumed) this.signs.clear();
    });
    session.on("event", (event) => this.#event(event));
    monitor.on("source", ({ kind, stream }) => {
      byId("intro", HTMLElement).hidden = kind !== "clip";
      session.process(stream.getVideoTracks()[0] ?? "video");
    });
    monitor.on("gap", () => {
      session.process("video");
      session.process("audio");
    });
    radios("sync", "sync", (sync) => model.setSync(sync === "lips" ? "lips" : "lowest"));
    radios("code-what", "what", (what) => {
      this.#what = what;
      this.code.refresh();
    });
    this.#button("add-button", () => this.picker.open(model.catalogue));
    this.#button("camera-link", () => void monitor.choose("camera"));
    byId("embed-link", HTMLAnchorElement).addEventListener("click", ({ currentTarget }) => Object.assign(currentTarget ?? {}, { hash: location.hash }));
    this.#button("share-button", () => void copy(new URL(this.#link ?? location.hash, location.href).href, "Link"));
    this.#button("theme-button", () => this.#theme(nextTheme()));
    this.#button("captions-button", () => void this.speech.caption());
    this.#button("models-button", () => void this.models.open());
    this.#button("key-button", () => this.key.open(false));
    addEventListener("hashchange", () => this.#follow());
    setInterval(() => void this.#measure(), 1000);
    byId("stages", HTMLElement).addEventListener("place", (event) => (
      this.placing.start(/** @type {CustomEvent<import("./zones-form.js").Wish>} */ (event).detail)));
    filesDropped(byId("drop", HTMLElement), (file) => void this.#dropped(file));
  }

  /** @param {string} id @param {() => void} act */
  #button(id, act) {
    byId(id, HTMLButtonElement).addEventListener("click", act);
  }

  /** @param {string} name */
  #add(name) {
    const entry = this.model.add(name);
    const card = document.querySelector(`[data-key="${CSS.escape(entry.key)}"]`);
    card?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    card?.querySelector("input, select, .segmented button")?.dispatchEvent(new Event("focus"));
  }

  /** @type {string | null} */
  #link = null;

  /**
   * The address names what the server runs, never what it refused.
   * @param {{pipeline: object[], sync: Sync, latency_ms: number | null}} session
   */
  #accepted({ pipeline, sync, latency_ms: latency }) {
    this.#link = writeLink(this.model.plainOf(/** @type {Pipeline} */ (pipeline)), sync, latency ?? 0);
    if (this.#link !== location.hash) history.replaceState(null, "", this.#link);
    if (!pipeline.some((stage) => /** @type {{stage: string}} */ (stage).stage === "hands")) this.signs.clear();
  }

  /** Somebody pasted another link into this tab, or went back. */
  #follow() {
    const linked = readLink(location.hash);
    if (!linked || location.hash === writeLink(this.model.plain(), this.model.sync, this.model.latency)) return;
    this.model.setSync(linked.sync);
    this.model.setLatency(linked.latency);
    this.model.set(linked.pipeline);
  }

  /** @param {string} stage */
  #has(stage) {
    const info = this.model.info(stage);
    return info !== null && !info.error;
  }

  /** Whether a stage behind one that tells places moves them. */
  #moved() {
    const at = this.model.entries.findIndex(({ name }) => WATCHERS.has(name));
    return at >= 0 && this.model.entries.slice(at).some(({ name }) => MOVERS.has(name));
  }

  /** The zones and lines of all stages, by name. @returns {Map<string, import("./zones-form.js").Spot[]>} */
  #ground() {
    const all = this.model.entries.filter(({ name }) => WATCHERS.has(name)).flatMap(({ params }) => (
      [.../** @type {any[]} */ (params.zones ?? []), .../** @type {any[]} */ (params.lines ?? [])]));
    return new Map(all.map(({ name, points, start, end }) => [name, points ?? [start, end]]));
  }

  #place() {
    return { origin: location.origin, session: this.session.id, secured: apiKey() !== null };
  }

  /** @param {import("./snippets.js").Language} language */
  #wholeCode(language) {
    const pipeline = this.model.plain();
    return this.#what === "start" ? startSnippet(language, this.#place(), pipeline)
      : changeSnippet(language, this.#place(), { pipeline, sync: this.model.sync });
  }

  #refreshCode() {
    this.code.refresh();
    this.editor.refreshCode();
  }

  /** @param {ServerError | null} error @param {{key: string | null, name: string | null}} at */
  #report(error, at) {
    if (error?.reason === "busy" && error.field === null) {
      if (this.speech.deaf(error.message)) return;
      at = this.speech.place;
    }
    const shown = this.editor.blame(error && error.message, at);
    if (error && !shown) toast(error.message);
  }

  /** @param {ServerEvent} event */
  #event(event) {
    this.log.add(event);
    this.speech.event(event);
    switch (event.type) {
      case "session.created":
      case "session.updated": return this.#accepted(event.data);
      case "frame.result": return this.results.add(event);
      case "hand.digit": return this.signs.show(event.data);
      case "detector.ready": return badge(byId("stages", HTMLElement), this.model.entries, event.data);
      case "session.stats": return this.#stats(event.data);
      case "download.progress": return this.models.progress(event.data);
      case "models.changed": return void this.arrivals.models(event.data);
      case "audio.level": return this.meter.show(event.data);
      case "stage.failed":
      case "stage.bypassed": return this.editor.fault(event.data.index, describeFault(event));
      case "stage.reloaded": return void this.arrivals.stage(event.data);
      case "session.closing": return toast(describeEvent(event).replace(/^./, (letter) => letter.toUpperCase()));
      default: return undefined;
    }
  }

  /** @param {import("../types/events.js").SessionStats} stats */
  #stats(stats) {
    this.tiles.server(stats);
    this.editor.times(stats.hops);
    this.graph.push(stats.hops, this.model.entries.map(({ name }) => name),
      { network: this.#network, browser: this.#browser }, stats.latency?.latency_ms ?? 0);
    this.editor.rungs(stats.latency?.stages ?? []);
    this.promise.show(stats.latency);
    const ms = serverTime(stats, "video");
    if (this.session.status.state === "live" && ms !== null) this.#say("live", `Live, ${ms.toFixed(0)} ms`);
  }

  /** @type {number | null} */
  #browser = null;

  async #measure() {
    const { link, rates, state } = await this.session.stats();
    this.#network = typeof link?.rtt === "number" ? link.rtt * 1000 : null;
    this.#browser = rates?.browser ?? null;
    if (link && rates && state === "live") this.tiles.browser(link, rates);
  }

  /** @param {Status} status */
  #status({ state, error: told, retryIn }) {
    const error = told instanceof TokenError ? /** @type {ServerError} */ (told.cause) : told; // a person has to enter one
    clearInterval(this.#countdown);
    document.body.dataset.state = state;
    this.transport.show(this.session.transport);
    if (state === "live") {
      this.results.clear();
      this.monitor.compare.setProcessed(this.processed); // not before: pages are not loaded until their videos have something
      if (CONNECTION_REASONS.includes(this.monitor.telling ?? "")) this.monitor.tell(null);
      return this.#say("live", "Live");
    }
    this.monitor.compare.lose();
    void this.monitor.finishRecording(); // nothing comes that could be recorded
    this.tiles.clear(); // nothing is measured
    this.editor.times({});
    this.editor.rungs([]);
    if (!error) return this.#say(state, { connecting: "Connecting", closed: "Closed" }[String(state)] ?? state);
    this.log.line(`page.${error.reason}`, error.message, state === "failed" ? "bad" : "warn");
    if (error.reason === "media-lost") return this.#say(state, "Connection cut, coming back");
    this.#trouble(error, retryIn);
    return undefined;
  }

  /** @param {AimassError} error @param {number | null} [retryIn] s */
  #trouble(error, retryIn = null) {
    if (error.reason === "unauthorized") {
      byId("key-button", HTMLButtonElement).hidden = false;
      this.key.open(apiKey() !== null);
    }
    if (error.reason === "not-found" && retryIn !== null) return; // a new session is being made already
    this.monitor.tell(error, this.#remedies(error));
    this.#say(retryIn === null ? "failed" : "reconnecting", error.title);
    if (retryIn !== null && retryIn >= 1) this.#count(error.title, retryIn);
  }

  /** What to do about it. @param {AimassError} error @returns {import("./monitor.js").Action[]} */
  #remedies(error) {
    if (error.reason === "no-webrtc") return [{ label: "Use any transport", primary: true, act: () => this.transport.choose("auto") }];
    if (error.reason === "closed") return [{ label: "Connect again", primary: true, act: () => location.reload() }];
    if (error.reason === "unauthorized") return [{ label: "Enter key", primary: true, act: () => this.key.open(false) }];
    const { key } = error instanceof ServerError ? this.live.blame(error.field) : { key: null };
    if (key !== null) return [{ label: "Remove it", primary: true, act: () => this.model.remove(key) }];
    return [{ label: "Try now", primary: true, act: () => this.#again() }];
  }

  #again() {
    if (this.session.status.state === "idle") void this.#enter();
    else this.session.open();
  }

  /** @param {string} title @param {number} seconds */
  #count(title, seconds) {
    const end = performance.now() + seconds * 1000;
    const show = () => {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      this.#say("reconnecting", left ? `${title}, next try in ${left} s` : "Connecting");
    };
    show();
    this.#countdown = setInterval(show, 500);
  }

  /** @param {string} state @param {string} text */
  #say(state, text) {
    byId("status", HTMLElement).dataset.state = state;
    const span = byId("status-text", HTMLElement);
    if (span.textContent !== text) span.textContent = text;
  }

  /** @param {string | null} theme */
  #theme(theme) {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    remember("aimass.theme", theme);
    this.graph.redraw();
  }

  /** A recording of ours brings its pipeline back; any other file becomes the source. @param {File} file */
  async #dropped(file) {
    const recipe = await readRecipe(file);
    if (!recipe) return this.monitor.play(file);
    this.model.setSync(recipe.sync);
    this.model.set(recipe.pipeline);
    toast("The recording's pipeline is back", { label: "Play it as the source", act: () => void this.monitor.play(file) });
  }
}

/** What runs first: what this server has of it. @param {import("../types/api.js").StageInfo[]} stages */
function demoOf(stages) {
  return DEMO.filter(({ stage }) => stages.some(({ name, error }) => name === stage && !error));
}

function nextTheme() {
  const set = document.documentElement.dataset.theme;
  const dark = set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return dark ? "light" : "dark";
}
