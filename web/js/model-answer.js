/** What a model answered, to be looked at: pictures, chances by their labels, else as it came. */

import { chart } from "./chart.js";
import { h } from "./dom.js";
import { say } from "./site-words.js";

const MOST_BARS = 8;
const MOST_LETTERS = 6000;
const MOST_PLACES = 240; // of a line

/** @param {unknown} value @returns {value is number[]} */
const isRow = (value) => Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "number");

/**
 * @param {unknown} output
 * @param {string[]} labels of a row of numbers
 * @returns {HTMLElement[]}
 */
export function drawn(output, labels) {
  if (typeof output === "string" && output.startsWith("data:image/")) return [h("img", { src: output, alt: say("What the model made") })];
  if (Array.isArray(output) && output.length && output.every((one) => typeof one === "string" && one.startsWith("data:image/"))) {
    return output.map((one) => h("img", { src: one, alt: say("What the model made") }));
  }
  if (output && typeof output === "object" && !Array.isArray(output)) {
    return Object.entries(output).flatMap(([name, value]) => [h("b", {}, name), ...drawn(value, labels)]);
  }
  const row = Array.isArray(output) && output.length === 1 && isRow(output[0]) ? output[0] : output;
  if (isRow(row) && row.length > 1 && (labels.length === row.length || row.length <= MOST_BARS)) return bars(row, labels);
  if (typeof output === "string") return [h("p", {}, output)];
  if (isRow(row) && row.length > MOST_BARS && row.every((value) => value >= 0)) return [line(row), ...written(row)];
  return written(output);
}

/** What comes after each other: of several that share a place the largest. @param {number[]} row */
function line(row) {
  const step = Math.ceil(row.length / MOST_PLACES);
  const values = Array.from({ length: Math.ceil(row.length / step) }, (_, at) => Math.max(...row.slice(at * step, (at + 1) * step)));
  return chart(say("{count} numbers", { count: row.length }), values.map((_, at) => String(at * step)), [{ name: say("value"), values }], "lines");
}

/** @param {unknown} output */
function written(output) {
  const row = isRow(output);
  const text = JSON.stringify(output, null, row ? undefined : 1);
  return [h("pre", { tabindex: "0" }, text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)} …` : text)];
}

/** The largest first, where there are labels; else in their order. @param {number[]} row @param {string[]} labels */
function bars(row, labels) {
  const named = row.map((value, index) => ({ value, name: labels[index] ?? String(index) }));
  if (labels.length === row.length) named.sort((a, b) => b.value - a.value);
  const most = Math.max(...row.map(Math.abs), 1e-12);
  return named.slice(0, MOST_BARS).map(({ name, value }) => h("div", { class: "bar-row" },
    h("span", { title: name }, name), bar(Math.abs(value) / most), h("span", {}, Number(value.toPrecision(4)).toString())));
}

/** @param {number} share 0 to 1 */
function bar(share) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const part = document.createElementNS(space, "rect");
  part.setAttribute("width", String(100 * share));
  part.setAttribute("height", "10");
  svg.append(part);
  return svg;
}
