/** The page of one model: trying it, and looking at its layers. */

import { h } from "./dom.js";
import { explain } from "./errors.js";
import { takeTrial } from "./model-try.js";
import { ask } from "./site-api.js";
import { say } from "./site-words.js";

const MOST_ROWS = 300;

/** @typedef {{name: string, kind: string, inputs: string[], outputs: string[]}} GraphNode */
/** @typedef {{name: string, dtype: string, shape: (number | string | null)[]}} Between */
/** @typedef {{nodes?: GraphNode[], between?: Between[], tensors?: Between[], count?: Record<string, number>}} Graph */

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
    place.replaceChildren(table(await ask("GET", graph.dataset.path ?? "")));
  } catch (error) {
    place.replaceChildren(h("p", { class: "wrong" }, explain(error).message));
  }
});

const trial = document.getElementById("try");
if (trial instanceof HTMLFormElement) takeTrial(trial);
