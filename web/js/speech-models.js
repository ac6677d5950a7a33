/** What hears and speaks on this server, and the weights that it could fetch: a window, and a line while it fetches. */

import { byId, h, toast } from "./dom.js";
import { explain } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../types/api.js").ModelList} ModelList
 * @typedef {import("../types/api.js").WeightsInfo} WeightsInfo
 * @typedef {import("../types/events.js").DownloadProgress} DownloadProgress
 * @typedef {import("./server.js").Server} Server
 */

const EVERY = 2000; // ms between two looks while something is being fetched
const TITLES = { hearing: "Hearing", voice: "Speaking" };

export class SpeechModels {
  #dialog = byId("models-dialog", HTMLDialogElement);
  #body = byId("models", HTMLElement);
  #line = byId("fetching", HTMLElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Map<string, DownloadProgress>} */
  #news = new Map();

  /** @param {Server} server */
  constructor(server) {
    this.server = server;
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  /** Looks whether the server is fetching something, and goes on looking while it is. */
  async look() {
    clearTimeout(this.#timer);
    try {
      const { open } = this.#dialog;
      const found = await (open ? this.server.models() : this.server.weights());
      for (const { progress } of found.weights) if (progress) this.progress(progress);
      if (open) this.#draw(found);
      if (found.weights.some(({ state }) => state === "running")) this.#timer = setTimeout(() => void this.look(), EVERY);
    } catch {
      this.#line.hidden = true; // the connection says what is wrong
    }
  }

  async open() {
    this.#body.replaceChildren(h("p", {}, "One moment…"));
    this.#dialog.showModal();
    byId("models-title", HTMLElement).focus();
    try {
      this.#draw(await this.server.models());
    } catch (error) {
      this.#body.replaceChildren(h("p", {}, explain(error).message));
    }
  }

  /** @param {DownloadProgress} news */
  progress(news) {
    const before = this.#news.get(news.name)?.state;
    this.#news.set(news.name, news);
    const running = [...this.#news.values()].filter(({ state }) => state === "running");
    this.#line.hidden = running.length === 0;
    this.#line.replaceChildren(...running.map((each) => this.#bar(each)));
    if (before === "running" && news.state === "ready") toast(`${news.name} is here: it is used from the next session on`);
    if (before !== "running" || news.state === "running") return;
    if (this.#dialog.open) void this.look(); // its row says it
    else if (news.state === "failed") toast(`${news.name} could not be fetched: ${news.detail}`);
  }

  /** @param {DownloadProgress} news */
  #bar({ name, done, total }) {
    const share = total ? Math.floor((done / total) * 100) : null;
    const bar = h("progress", { "aria-label": `Fetching ${name}`, ...(total ? { max: total, value: done } : {}) });
    return h("span", { class: "fetching-one" }, `Fetching ${name}`, bar,
      share === null ? megabytes(done) : `${share} % of ${megabytes(total ?? 0)}`);
  }

  /** @param {ModelList} found */
  #draw(found) {
    this.#body.replaceChildren(.../** @type {const} */ (["hearing", "voice"]).map((purpose) => this.#part(purpose, found)));
  }

  /** @param {"hearing" | "voice"} purpose @param {ModelList} found */
  #part(purpose, found) {
    const best = found.data.find((model) => model.purpose === purpose);
    const engines = found.engines.filter((engine) => engine.purpose === purpose);
    const weights = found.weights.filter((each) => each.for === purpose);
    return h("section", {}, h("h3", {}, TITLES[purpose]),
      h("p", { class: "soft" }, best ? `Now: ${best.engine}${best.reason && `, ${best.reason}`}.` : "Nothing yet."),
      h("ul", { class: "engines" }, engines.map((engine) => this.#engine(engine))),
      h("ul", { class: "weights" }, weights.map((each) => this.#weights(each))));
  }

  /** @param {import("../types/api.js").EngineInfo} found */
  #engine({ engine, available, reason, languages: codes, models = [] }) {
    if (!available) return h("li", {}, h("b", {}, engine), " ", h("span", { class: "soft" }, reason));
    return h("li", {}, h("b", {}, engine), " ", languages(codes), models.map(({ name, title, wer_real: wer, general }) => {
      const about = [title, general ? "" : "for tests only", wer === null ? ""
        : `${Math.round(wer * 100)}\u00a0% of people's words wrong (WER)`].filter(Boolean).join(", ");
      return h("p", { class: "soft" }, h("code", {}, name), about && ` ${about}`);
    }));
  }

  /** @param {WeightsInfo} each */
  #weights(each) {
    const name = h("code", {}, `aimass models pull ${each.name}`);
    return h("li", { "data-weights": each.name },
      h("div", {}, h("b", {}, each.title), h("p", {}, each.description), h("p", { class: "soft" },
        `${each.bytes === null ? "" : `${megabytes(each.bytes)}, `}${each.licence}, from ${each.source.replace(/ at .*/, "")}`), name,
      each.progress?.state === "failed" ? h("p", { class: "bad", role: "alert" }, `Not fetched: ${each.progress.detail}`) : null),
      this.#action(each));
  }

  /** @param {WeightsInfo} each */
  #action(each) {
    if (each.state === "ready") return h("span", { class: "good" }, "here");
    if (!each.usable) return h("span", { class: "soft" }, `needs ${each.needs}`);
    if (each.state === "running") return h("span", { class: "soft" }, "being fetched");
    return h("button", { type: "button", class: "button small", "aria-label": `Fetch ${each.title}`,
      onclick: () => void this.#fetch(each.name) }, each.state === "partial" ? "Go on" : "Fetch");
  }

  /** @param {string} name */
  async #fetch(name) {
    try {
      this.progress(await this.server.pull(name));
      await this.look();
    } catch (error) {
      const row = this.#body.querySelector(`[data-weights="${CSS.escape(name)}"] div`);
      row?.querySelector(".bad")?.remove();
      row?.append(h("p", { class: "bad", role: "alert" }, explain(error).message));
    }
  }
}

/** @param {number} bytes */
const megabytes = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`);

/** @param {string[]} codes */
function languages(codes) {
  if (codes.length > 8) return `${codes.length} languages`;
  return codes.join(", ");
}
