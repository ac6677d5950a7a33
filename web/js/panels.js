/** What is measured, in numbers: tiles, the level meter, the list of events. */

import { describeEvent, severity } from "./events.js";
import { h } from "./dom.js";

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("../types/events.js").SessionStats} SessionStats
 * @typedef {import("../sdk/aimass-stream.js").Snapshot} Snapshot
 */

/** Time in the server of one kind of track, ms. @param {SessionStats} stats @param {string} kind */
export function serverTime(stats, kind) {
  const [, hops] = Object.entries(stats.hops).find(([track]) => track.startsWith(kind)) ?? [];
  if (!hops) return null;
  return hops.total?.p50 ?? Object.values(hops).reduce((sum, hop) => sum + hop.p50, 0);
}

/** @param {number} bits per second */
function rate(bits) {
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)}M` : `${Math.round(bits / 1000)}k`;
}

export class Tiles {
  /** @type {Map<string, HTMLElement>} */
  #cells = new Map();

  /** @param {HTMLElement} root */
  constructor(root) {
    for (const cell of root.querySelectorAll("[data-tile]")) {
      if (cell instanceof HTMLElement) this.#cells.set(cell.dataset.tile ?? "", cell);
    }
  }

  /** @param {SessionStats} stats */
  server(stats) {
    const ms = serverTime(stats, "video") ?? serverTime(stats, "audio");
    this.#write("server", ms === null ? "–" : `${ms.toFixed(1)} ms`, "Time in the server, middle of the last seconds");
    const drops = Object.entries(stats.drops);
    const frames = drops.filter(([reason]) => !reason.includes("/packet_")); // packets are no frames
    this.#write("drops", String(frames.reduce((sum, [, count]) => sum + count, 0)),
      drops.map(([reason, count]) => `${reason}: ${count}`).join("\n") || "Nothing was dropped");
  }

  /** @param {Snapshot} now @param {{up: number, down: number, fps: number}} rates */
  browser(now, { up, down, fps }) {
    this.#write("rtt", now.rtt === null ? "–" : `${(now.rtt * 1000).toFixed(now.rtt < 0.01 ? 1 : 0)} ms`);
    this.#write("picture", now.width ? `${now.width}×${now.height}` : "–", now.codec, `${Math.round(fps)} fps`);
    this.#write("rate", up || down ? `↑${rate(up)}\u2002↓${rate(down)}` : "–", "bit/s to the server and back");
  }

  clear() {
    for (const cell of this.#cells.values()) cell.textContent = "–";
  }

  /** @param {string} name @param {string} text @param {string} [title] @param {string} [more] */
  #write(name, text, title = "", more = "") {
    const cell = this.#cells.get(name);
    if (!cell) return;
    cell.replaceChildren(text, ...(more && text !== "–" ? [h("small", {}, more)] : []));
    cell.title = title;
  }
}

const FLOOR = -60; // dBFS, the left end of the meter
const QUIET_AFTER = 1500; // ms without an event

export class LevelMeter {
  #root;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #quiet;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#idle();
  }

  /** @param {{rms: number, peak: number}} level dBFS */
  show({ rms, peak }) {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#idle(), QUIET_AFTER);
    this.#root.classList.add("alive");
    this.#set(share(rms), share(peak), 1);
    this.#root.title = `${rms.toFixed(1)} dBFS, peak ${peak.toFixed(1)}`;
  }

  #idle() {
    this.#set(0, 0, 0);
    this.#root.classList.remove("alive");
  }

  /** @param {number} level @param {number} peak @param {number} seen */
  #set(level, peak, seen) {
    this.#root.style.setProperty("--level", `${level}%`);
    this.#root.style.setProperty("--peak", `${Math.min(peak, 98)}%`);
    this.#root.style.setProperty("--peak-seen", String(seen));
  }
}

/** @param {number} db */
const share = (db) => Math.max(0, Math.min(100, (1 - db / FLOOR) * 100));

const KEPT = 200; // lines
const NOISE = new Set(["session.stats", "audio.level", "frame.result", "transcript.partial", "assistant.reply",
  "download.progress"]);

export class EventLog {
  #list;
  #all;
  #clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  /** @param {HTMLElement} list @param {HTMLInputElement} all show every event, also those that never end */
  constructor(list, all) {
    this.#list = list;
    this.#all = all;
    list.append(h("li", { class: "nothing" }, "Nothing yet."));
  }

  /** @param {ServerEvent} event */
  add(event) {
    if (NOISE.has(event.type) && !this.#all.checked) return;
    this.line(event.type, describeEvent(event), severity(event.type));
  }

  /** @param {string} type @param {string} text @param {string} [tone] */
  line(type, text, tone = "plain") {
    this.#list.querySelector(".nothing")?.remove();
    this.#list.prepend(h("li", { class: tone }, h("time", {}, this.#clock.format(new Date())), h("b", {}, type),
      h("span", {}, text)));
    while (this.#list.children.length > KEPT) this.#list.lastElementChild?.remove();
  }
}
