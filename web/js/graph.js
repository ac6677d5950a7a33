/**
 * Where the time goes: the hops of a track on top of each other, a point a second over the last minute, and a
 * table with the middle and the 95th percentile of each.
 */

import { h } from "./dom.js";

/**
 * @typedef {import("../types/events.js").HopStats} HopStats
 * @typedef {{name: string, p50: number, p95: number | null, own: boolean}} Hop ms; `own` ones happen outside the server
 */

const SECONDS = 60;
const FAR = 8; // times the highest point: a bound beyond is not drawn, it would flatten everything else
const WAITING = "waiting in between";
const BROWSER = "this browser";
const FIRST = ["jitter", "decode"]; // then the stages
const LAST = ["encode", "send"];
const COLOURS = 8; // --hop-1 to --hop-8 in the style sheet

export class LatencyGraph {
  /** @type {Map<string, Hop[][]>} track -> a minute of hops */
  #history = new Map();
  /** @type {string | null} */
  #chosen = null;
  #bound = 0; // ms that are promised
  #canvas;
  #tabs;
  #table;
  #total;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#canvas = h("canvas", { role: "img", "aria-label": "Delay of each hop over the last minute" });
    this.#tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Track" });
    this.#table = h("tbody");
    this.#total = h("output", { class: "total" });
    root.append(
      h("div", { class: "graph-head" }, this.#tabs, this.#total),
      h("div", { class: "plot" }, this.#canvas),
      h("div", { class: "spans", "aria-hidden": "true" }, h("span", {}, "ms, a minute ago"), h("span", {}, "now")),
      h("table", { class: "hops" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "hop"), h("th", { scope: "col" }, "p50"),
          h("th", { scope: "col" }, "p95"))), this.#table));
    new ResizeObserver(() => this.#plot()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot());
  }

  /**
   * One second more.
   * @param {Record<string, Record<string, HopStats>>} hops of the server, by track
   * @param {string[]} stages in their order
   * @param {{network: number | null, browser: number | null}} own ms, what is measured here
   * @param {number} [bound] ms that are promised of the server's hops; 0: nothing is
   */
  push(hops, stages, { network, browser }, bound = 0) {
    this.#bound = bound;
    for (const [track, stats] of Object.entries(hops)) {
      /** @type {Hop[]} */
      const row = [];
      if (network !== null) row.push({ name: "network", p50: network, p95: null, own: true });
      row.push(...serverHops(stats, stages));
      if (browser !== null && track.startsWith("video")) {
        row.push({ name: BROWSER, p50: browser, p95: null, own: true });
      }
      const history = this.#history.get(track) ?? [];
      history.push(row);
      if (history.length > SECONDS) history.shift();
      this.#history.set(track, history);
    }
    for (const track of this.#history.keys()) if (!(track in hops)) this.#history.delete(track);
    if (!this.#chosen || !this.#history.has(this.#chosen)) {
      this.#chosen = [...this.#history.keys()].sort().reverse()[0] ?? null; // pictures first: video-0
    }
    this.#draw();
  }

  /** The colours may have changed. */
  redraw() {
    this.#plot();
  }

  #draw() {
    const tracks = [...this.#history.keys()].sort().reverse();
    if ([...this.#tabs.children].map((tab) => tab.textContent).join() !== tracks.join()) {
      this.#tabs.replaceChildren(...tracks.map((track) => h("button", { type: "button", role: "tab",
        onclick: () => { this.#chosen = track; this.#draw(); } }, track)));
    }
    for (const tab of this.#tabs.children) {
      tab.setAttribute("aria-selected", String(tab.textContent === this.#chosen));
    }
    const last = this.#history.get(this.#chosen ?? "")?.at(-1) ?? [];
    this.#table.replaceChildren(...last.map((hop) => h("tr", { class: hop.own ? "own" : "" },
      h("th", { scope: "row" }, h("i", { class: `swatch hop-${colour(hop, last)}` }), hop.name),
      h("td", {}, figure(hop.p50)), h("td", {}, hop.p95 === null ? "" : figure(hop.p95)))));
    const sum = last.reduce((total, hop) => total + hop.p50, 0);
    this.#total.textContent = last.length ? `${sum.toFixed(1)} ms in all` : "";
    this.#plot();
  }

  #plot() {
    const canvas = this.#canvas;
    const history = this.#history.get(this.#chosen ?? "") ?? [];
    const { clientWidth: width, clientHeight: height } = canvas;
    const context = canvas.getContext("2d");
    if (!context || !width) return;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    context.scale(scale, scale);
    // canvases don't know light-dark(): the colours are read from where the style sheet has resolved them
    const style = getComputedStyle(canvas);
    const swatches = [...this.#table.querySelectorAll("i")].map((swatch) => getComputedStyle(swatch).backgroundColor);
    const most = Math.max(4, ...history.map((row) => row.reduce((sum, hop) => sum + hop.p50, 0)));
    const shown = this.#bound > 0 && this.#bound <= FAR * most;
    const top = ceiling(shown ? Math.max(most, this.#bound) : most);
    const area = { left: 34, right: width - 2, top: 8, bottom: height - 6 };
    axis(context, area, top, style);
    const names = [...new Set(history.flatMap((row) => row.map((hop) => hop.name)))];
    const order = history.at(-1)?.map((hop) => hop.name) ?? [];
    names.sort((a, b) => order.indexOf(a) - order.indexOf(b));
    /** @param {number} index */
    const x = (index) => area.right - ((history.length - 1 - index) / (SECONDS - 1)) * (area.right - area.left);
    /** @param {number} ms */
    const y = (ms) => area.bottom - (ms / top) * (area.bottom - area.top);
    let below = history.map(() => 0);
    names.forEach((name) => {
      const above = history.map((row, at) => (below[at] ?? 0) + (row.find((hop) => hop.name === name)?.p50 ?? 0));
      layer(context, below.map((ms, at) => [x(at), y(ms)]), above.map((ms, at) => [x(at), y(ms)]),
        swatches[order.indexOf(name)] ?? style.borderTopColor); // grey for a stage that is gone
      below = above;
    });
    if (shown) line(context, area, y(this.#bound), `${this.#bound} ms promised`, style.caretColor);
    canvas.dataset.bound = shown ? String(this.#bound) : "";
  }
}

/**
 * The server's hops, and as one more what its total has above their sum: the time frames waited in between.
 * @param {Record<string, HopStats>} stats
 * @param {string[]} stages
 * @returns {Hop[]}
 */
function serverHops({ total, ...stats }, stages) {
  const order = [...FIRST, ...stages];
  /** @param {string} name where a frame comes by; a stage that was just removed still has its place */
  const place = (name) => (LAST.includes(name) ? order.length + 1 + LAST.indexOf(name)
    : order.includes(name) ? order.indexOf(name) : order.length);
  const hops = Object.entries(stats).map(([name, { p50, p95 }]) => ({ name, p50, p95, own: false }));
  hops.sort((a, b) => place(a.name) - place(b.name));
  const rest = total ? total.p50 - hops.reduce((sum, hop) => sum + hop.p50, 0) : 0;
  return rest > 0.05 ? [...hops, { name: WAITING, p50: rest, p95: null, own: true }] : hops;
}

/** @type {Record<string, string>} */
const GREYS = { network: "own", [WAITING]: "wait", [BROWSER]: "browser" };

/** @param {Hop} hop @param {Hop[]} row */
function colour(hop, row) {
  if (hop.own) return GREYS[hop.name] ?? "own";
  return String((row.filter(({ own }) => !own).indexOf(hop) % COLOURS) + 1);
}

/** @param {number} ms */
const figure = (ms) => (ms < 10 ? ms.toFixed(2) : ms.toFixed(1));

/** The next round number. @param {number} value */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 6, 8, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{left: number, right: number, top: number, bottom: number}} area
 * @param {number} top ms
 * @param {CSSStyleDeclaration} style
 */
function axis(context, area, top, style) {
  context.font = `11px ${style.fontFamily}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.lineWidth = 1;
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(area.bottom - share * (area.bottom - area.top)) + 0.5;
    context.strokeStyle = style.borderTopColor;
    context.beginPath();
    context.moveTo(area.left, y);
    context.lineTo(area.right, y);
    context.stroke();
    context.fillStyle = style.color;
    context.fillText(String(Number((top * share).toPrecision(2))), area.left - 8, y);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{left: number, right: number}} area
 * @param {number} y
 * @param {string} text
 * @param {string} paint
 */
function line(context, area, y, text, paint) {
  context.strokeStyle = context.fillStyle = paint;
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.beginPath();
  context.moveTo(area.left, y);
  context.lineTo(area.right, y);
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "left";
  context.textBaseline = y < 20 ? "top" : "bottom";
  context.fillText(text, area.left + 4, y < 20 ? y + 4 : y - 3);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number[][]} lower
 * @param {number[][]} upper
 * @param {string} paint
 */
function layer(context, lower, upper, paint) {
  context.beginPath();
  for (const [x = 0, y = 0] of upper) context.lineTo(x, y);
  for (const [x = 0, y = 0] of lower.toReversed()) context.lineTo(x, y);
  context.closePath();
  context.fillStyle = paint;
  context.fill();
}
