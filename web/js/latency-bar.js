/** Where the time of one turn went, as a small bar. */

import { h } from "./dom.js";

/** @typedef {import("../types/events.js").TurnLatency} TurnLatency */

const PARTS = /** @type {const} */ ([["endpoint", "end of speech noticed"], ["recognition", "words"],
  ["brain", "answer"], ["voice", "voice"], ["wire", "sent"]]);

/** @param {TurnLatency} latency ms */
export function latencyBar(latency) {
  const whole = Math.max(1, latency.total);
  const told = PARTS.map(([part, name]) => `${name} ${Math.round(latency[part])} ms`).join(", ");
  const bar = h("span", { class: "latency-parts", "aria-hidden": "true" });
  for (const [part] of PARTS) {
    const piece = h("i", { class: `part-${part}` });
    piece.style.setProperty("flex-grow", String(Math.max(0, latency[part]) / whole));
    bar.append(piece);
  }
  return h("span", { class: "latency", title: told }, bar, h("span", {}, `${Math.round(latency.total)} ms`),
    h("span", { class: "unseen" }, `until the answer: ${told}`));
}
