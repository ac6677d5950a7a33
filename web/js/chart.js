/** Bars and lines over time, as SVG; colours come from the style sheet. */

import { h } from "./dom.js";
import { short } from "./figures.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, FOOT, TOP] = [480, 190, 46, 22, 10]; // px of the drawing

/** @typedef {{name: string, values: (number | null)[]}} Series */

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** The smallest of 1, 2, 5, 10, 20... that is at least this. @param {number} value */
export function above(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return ([1, 2, 5, 10].find((step) => step * power >= value * 0.999999) ?? 10) * power;
}

/**
 * @param {string} title
 * @param {string[]} moments what each place along the time is called
 * @param {Series[]} series bars stand on each other, lines are what they are
 * @param {"bars" | "lines"} kind
 */
export function chart(title, moments, series, kind) {
  const sums = moments.map((_, at) => series.map(({ values }) => values[at] ?? 0));
  const most = above(Math.max(0, ...sums.map((each) => (kind === "bars" ? each.reduce((a, b) => a + b, 0) : Math.max(...each)))) || 1);
  const step = (WIDTH - LEFT) / moments.length;
  /** @param {number} value */
  const height = (value) => ((HEIGHT - FOOT - TOP) * value) / most;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${series.map(({ name, values }) => `${name} ${round(Math.max(0, ...values.map((value) => value ?? 0)))}`).join(", ")} (max)` });
  for (const share of [0, 0.5, 1]) {
    const y = HEIGHT - FOOT - height(most * share);
    drawing.append(svg("line", { class: "rule", x1: LEFT, x2: WIDTH, y1: y, y2: y }), svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, round(most * share)));
  }
  if (kind === "bars") moments.forEach((moment, at) => drawing.append(bar(moment, at)));
  else series.forEach(({ values }, index) => drawing.append(...line(values, index)));
  for (const at of new Set([0, moments.length >> 1, moments.length - 1])) {
    const anchor = at === 0 ? "start" : at === moments.length - 1 ? "end" : "middle";
    const x = at === 0 ? LEFT : at === moments.length - 1 ? WIDTH : LEFT + step * (at + 0.5);
    drawing.append(svg("text", { x, y: HEIGHT - 4, "text-anchor": anchor }, moments[at] ?? ""));
  }

  /** @param {string} moment @param {number} at */
  function bar(moment, at) {
    let floor = HEIGHT - FOOT;
    const group = svg("g", {}, svg("title", {}, `${moment}: ${series.map(({ name, values }) => `${name} ${round(values[at] ?? 0)}`).join(", ")}`));
    series.forEach(({ values }, index) => {
      const tall = height(values[at] ?? 0);
      floor -= tall;
      group.append(svg("rect", { class: `s${index}`, x: LEFT + step * at + step * 0.12, y: floor, width: step * 0.76, height: tall }));
    });
    return group;
  }

  /** Where nothing was measured the line is broken. @param {(number | null)[]} values @param {number} index */
  function line(values, index) {
    const places = values.map((value, at) => (value === null ? null : [LEFT + step * (at + 0.5), HEIGHT - FOOT - height(value)]));
    let path = "";
    places.forEach((place, at) => { if (place) path += `${places[at - 1] ? "L" : "M"}${place.map((each) => each.toFixed(1)).join(" ")}`; });
    const dots = places.flatMap((place) => (place ? [svg("circle", { class: `s${index}`, cx: place[0] ?? 0, cy: place[1] ?? 0, r: 2.5 })] : []));
    return [svg("path", { class: `line s${index}`, d: path }), ...dots];
  }

  return h("figure", { class: "panel chart" }, h("figcaption", {}, h("h2", {}, title),
    h("span", { class: "key" }, series.map(({ name }, index) => h("span", { class: `key-${index}` }, name)))), drawing);
}

/** @param {number} value */
const round = (value) => (value >= 1e6 ? `${short(value / 1e6)} M` : value >= 1e4 ? `${short(value / 1e3)} k` : short(value));
