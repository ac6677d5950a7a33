/**
 * Says at a stage `detect` what looks there, and that a finder without weights is only a stopgap.
 */

import { h } from "./dom.js";

/**
 * @typedef {import("../types/events.js").DetectorReady} DetectorReady
 * @typedef {import("./pipeline.js").Entry} Entry
 */

/** @param {DetectorReady} detector */
export function words({ title, model, ap50, measured, reason }) {
  const known = measured || (ap50 === null ? "" : `AP50 ${(ap50 * 100).toFixed(1)} %`);
  return `${title || model}, ${reason}.${known ? ` Measured: ${known}.` : ""}`.replace("..", ".");
}

/**
 * @param {HTMLElement} list of stages
 * @param {Entry[]} entries the pipeline
 * @param {DetectorReady} detector
 */
export function badge(list, entries, detector) {
  const all = entries.filter(({ name }) => name === "detect");
  const entry = all.find(({ params }) => params.model === detector.model) ?? all.find(({ params }) => !params.model) ?? all[0];
  const card = entry && list.querySelector(`[data-key="${CSS.escape(entry.key)}"]`);
  if (!card) return;
  const bare = detector.tier === "no-weights";
  const told = h("p", { class: "detector" },
    bare ? h("b", { class: "tier", title: "It needs no fetched weights, and gives way by itself to a better detector whose weights "
      + "come into the server's folder of models" }, "No-weights tier") : null, " ", words(detector));
  card.querySelector(".detector")?.remove();
  card.querySelector(".stage-head")?.after(told);
}
