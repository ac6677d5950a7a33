/** The page of one model: trying it, and looking at its layers. */

import { h } from "./dom.js";
import { picture } from "./model-graph.js";
import { takeTrial } from "./model-try.js";
import { problem } from "./problem-words.js";
import { ask } from "./site-api.js";
import { say } from "./site-words.js";

const MOST_ROWS = 300;

/** @typedef {import("./model-graph.js").Between} Between */
/** @typedef {import("./model-graph.js").Graph} Graph */

/** @param {Between | undefined} tensor */
const shape = (tensor) => (tensor ? `${tensor.dtype} ${tensor.shape.map((axis) => axis ?? "n").join("×")}` : "");

/** @param {Graph} graph */
function table(graph) {
  const known = new Map([...(graph.between ?? []), ...(graph.tensors ?? [])].map((each) => [each.name, each]));
  const nodes = graph.nodes ?? [];
  const rows = nodes.length
    ? nodes.map((node) => [node.name || node.outputs[0] || "", node.kind,
      [...node.inputs, ...node.outputs].map((name) => known.get(name)).filter(Boolean).map(shape).join(" → ")])
    : (graph.tensors ?? []).map((tensor) => [tensor.name, say("weights"), shape(tensor)]);
  const left = rows.length - MOST_ROWS;
  return h("div", {}, h("table", {}, h("thead", {}, h("tr", {}, [say("Layer"), say("Kind"), say("Shapes")].map((text) => h("th", {}, text)))),
    h("tbody", {}, rows.slice(0, MOST_ROWS).map((row) => h("tr", {}, row.map((text, index) => h("td", {}, index === 1 ? h("span", { class: "tag" }, text) : h("code", {}, text))))))),
  left > 0 ? h("p", { class: "soft" }, say("and {count} more", { count: left })) : null);
}

const graph = document.getElementById("graph");
graph?.addEventListener("toggle", async () => {
  const place = /** @type {HTMLElement} */ (graph.querySelector(".scroll"));
  if (place.childElementCount) return;
  try {
    const found = await ask("GET", graph.dataset.path ?? "");
    /** @type {HTMLElement} */ (graph.querySelector(".graph")).replaceChildren(...picture(found));
    place.replaceChildren(table(found));
  } catch (error) {
    place.replaceChildren(h("p", { class: "wrong" }, problem(error)));
  }
});

const trial = document.getElementById("try");
if (trial instanceof HTMLFormElement) takeTrial(trial);
