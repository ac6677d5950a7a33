/** Two histograms over the same edges, one behind the other, each as shares of its own sum. */

import { short } from "./figures.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, FOOT] = [300, 110, 18]; // px of the drawing

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** @param {number[]} counts */
function shares(counts) {
  const sum = counts.reduce((all, count) => all + count, 0);
  return counts.map((count) => (sum ? count / sum : 0));
}

/**
 * @param {string} title
 * @param {number[]} edges the bins are those up to each of them, and above the last
 * @param {number[]} before drawn wide and light
 * @param {number[]} now drawn narrow before it; empty: nothing yet
 */
export function histogram(title, edges, before, now) {
  const [first, last] = [shares(before), shares(now)];
  const most = Math.max(...first, ...last, 1e-9);
  const step = WIDTH / (edges.length + 1);
  const drawing = svg("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  /** @param {number[]} values @param {string} name @param {number} width */
  const bars = (values, name, width) => values.forEach((value, at) => {
    const tall = ((HEIGHT - FOOT - 4) * value) / most;
    const span = [at ? `> ${round(edges[at - 1])}` : "", at < edges.length ? `≤ ${round(edges[at])}` : ""].join(" ");
    drawing.append(svg("rect", { class: name, x: step * (at + 0.5 - width / 2), y: HEIGHT - FOOT - tall, width: step * width, height: tall },
      svg("title", {}, `${span}: ${(100 * value).toFixed(1)} %`)));
  });
  bars(first, "first", 0.9);
  bars(last, "now", 0.45);
  drawing.append(svg("line", { class: "rule", x1: 0, x2: WIDTH, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT }));
  const places = edges.length > 1 ? [0, edges.length - 1] : [0];
  for (const at of places) drawing.append(svg("text", { x: step * (at + 1), y: HEIGHT - 4, "text-anchor": "middle" }, round(edges[at])));
  return drawing;
}

/** @param {number | undefined} value */
const round = (value) => (value === undefined ? "" : short(value, 2));
