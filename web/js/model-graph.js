/** A network as a picture: what follows on what from top to bottom, with the shapes of what goes along. */

import { say } from "./site-words.js";

/** @typedef {{name: string, kind: string, inputs: string[], outputs: string[]}} GraphNode */
/** @typedef {{name: string, dtype: string, shape: (number | string | null)[]}} Between */
/** @typedef {{nodes?: GraphNode[], between?: Between[], tensors?: Between[], inputs?: Between[], outputs?: Between[]}} Graph */
/** @typedef {{kind: string, name: string, note: string, takes: string[], gives: string[], row: number, x: number, end: boolean}} Box */

const MOST = 160; // boxes
const [WIDE, HIGH, ACROSS, DOWN, EDGE] = [168, 50, 28, 46, 16]; // px
const MOST_LETTERS = 22;

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** @param {Between} tensor */
const shape = (tensor) => tensor.shape.map((axis) => axis ?? "n").join("×");

/** @param {string} text */
const short = (text) => (text.length > MOST_LETTERS ? `…${text.slice(1 - MOST_LETTERS)}` : text);

/** @param {Graph} graph @returns {Box[]} in an order in which nothing comes before what it needs */
function boxes(graph) {
  const weights = new Map((graph.tensors ?? []).map((tensor) => [tensor.name, tensor]));
  /** @param {Partial<Box>} given @returns {Box} */
  const box = (given) => ({ kind: "", name: "", note: "", takes: [], gives: [], row: 0, x: 0, end: false, ...given });
  const takes = (graph.inputs ?? []).filter(({ name }) => !weights.has(name)).map((tensor) => box({ kind: tensor.name, note: `${tensor.dtype} ${shape(tensor)}`, gives: [tensor.name], end: true }));
  const nodes = (graph.nodes ?? []).slice(0, MOST).map((node) => {
    const own = node.inputs.map((name) => weights.get(name)).filter((tensor) => tensor !== undefined);
    return box({ kind: node.kind, name: node.name || node.outputs[0] || "", note: own.map(shape).filter(Boolean).join(", "), takes: node.inputs, gives: node.outputs });
  });
  const made = new Set(nodes.flatMap(({ gives }) => gives));
  const gives = (graph.outputs ?? []).filter(({ name }) => made.has(name)).map((tensor) => box({ kind: tensor.name, note: `${tensor.dtype} ${shape(tensor)}`, takes: [tensor.name], end: true }));
  return [...takes, ...nodes, ...gives];
}

/** Each below all that it needs, and about below the middle of it. @param {Box[]} all @param {Map<string, Box>} makers @returns {number} the width */
function place(all, makers) {
  /** @type {Box[][]} */
  const rows = [];
  for (const box of all) {
    const before = box.takes.map((name) => makers.get(name)).filter((maker) => maker !== undefined && maker !== box);
    box.row = before.length ? Math.max(...before.map((maker) => (maker?.row ?? 0) + 1)) : 0;
    box.x = before.length ? before.reduce((sum, maker) => sum + (maker?.x ?? 0), 0) / before.length : 0;
    const row = (rows[box.row] ??= []);
    if (!before.length) box.x = row.length * (WIDE + ACROSS);
    row.push(box);
  }
  for (const row of rows) {
    row.sort((one, other) => one.x - other.x);
    row.forEach((box, at) => { const left = row[at - 1]; if (left) box.x = Math.max(box.x, left.x + WIDE + ACROSS); });
  }
  const [least, most] = [Math.min(...all.map(({ x }) => x)), Math.max(...all.map(({ x }) => x))];
  for (const box of all) box.x += EDGE - least;
  return most - least + WIDE + 2 * EDGE;
}

/** @param {Graph} graph @returns {Element[]} none, where there are no nodes: then weights are all that is known */
export function picture(graph) {
  if (!graph.nodes?.length) return [];
  const all = boxes(graph);
  const makers = new Map(all.flatMap((box) => box.gives.map((name) => /** @type {const} */ ([name, box]))));
  const between = new Map((graph.between ?? []).map((tensor) => [tensor.name, tensor]));
  const width = place(all, makers);
  const height = (Math.max(...all.map(({ row }) => row)) + 1) * (HIGH + DOWN) - DOWN + 2 * EDGE;
  const top = (/** @type {Box} */ box) => EDGE + box.row * (HIGH + DOWN);
  const left = graph.nodes.length - MOST;
  const label = say("{count} layers, from {first} to {last}", { count: graph.nodes.length, first: all[0]?.kind ?? "", last: all.at(-1)?.kind ?? "" });
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  for (const box of all) {
    for (const name of box.takes) {
      const from = makers.get(name);
      if (!from || from.row >= box.row) continue;
      const [x1, y1, x2, y2] = [from.x + WIDE / 2, top(from) + HIGH, box.x + WIDE / 2, top(box)];
      drawing.append(svg("path", { class: "edge", d: `M${x1} ${y1}C${x1} ${y1 + DOWN / 2} ${x2} ${y2 - DOWN / 2} ${x2} ${y2}` }));
      const tensor = between.get(name);
      if (tensor && box.row === from.row + 1) drawing.append(svg("text", { class: "on-edge", x: (x1 + x2) / 2 + 6, y: (y1 + y2) / 2 + 4 }, shape(tensor)));
    }
  }
  for (const box of all) {
    const middle = box.x + WIDE / 2;
    drawing.append(svg("g", { class: box.end ? "end" : "layer" }, svg("title", {}, [box.kind, box.name, box.note].filter(Boolean).join(" · ")),
      svg("rect", { x: box.x, y: top(box), width: WIDE, height: HIGH, rx: 10 }),
      svg("text", { class: "kind", x: middle, y: top(box) + 21, "text-anchor": "middle" }, short(box.kind)),
      svg("text", { x: middle, y: top(box) + 38, "text-anchor": "middle" }, short(box.note || box.name))));
  }
  return left > 0 ? [drawing, Object.assign(document.createElement("p"), { className: "soft", textContent: say("and {count} more", { count: left }) })] : [drawing];
}
