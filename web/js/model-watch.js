/** How a version does: charts by day, its inputs against those of the first week, and rules that raise an alarm. */

import { daily } from "./daily.js";
import { byId, h } from "./dom.js";
import { short } from "./figures.js";
import { histogram } from "./histogram.js";
import { problem } from "./problem-words.js";
import { ask } from "./site-api.js";
import { complain, ready, values } from "./site-forms.js";
import { say } from "./site-words.js";

const MOST = 24; // inputs that are drawn

/** @typedef {{day: number, requests: number, errors: number, refused: number, latency_ms: import("./daily.js").Percentiles}} Day */
/** @typedef {{mean: number | null, std: number | null, count: number, missing: number, bins: number[]}} Values */
/** @typedef {Values & {name: string, psi: number | null, shift: number | null, edges: number[] | null, first_week: Values}} Input */

const days = byId("days", HTMLElement);
/** @type {Day[]} */
const counted = JSON.parse(days.dataset.days || "[]");
days.append(...daily(counted.map(({ day, requests, errors, latency_ms: latency }) => ({ day, fine: requests - errors, failed: errors, latency })), say("Requests"), say("Latency of requests, ms")));

/** @param {number | null} value */
const figure = (value) => (value === null ? "–" : short(value));

/** @param {Input} input */
function drawn(input) {
  const tone = input.psi === null ? "" : input.psi >= 0.25 ? "bad" : input.psi >= 0.1 ? "warn" : "good";
  const same = input.psi !== null || input.count > 0;
  return h("figure", {}, h("figcaption", {}, h("code", {}, input.name), input.psi === null ? null : h("span", { class: `tag ${tone}` }, `PSI ${input.psi.toFixed(2)}`)),
    input.edges ? histogram(say("{name}: the first week, and the last day", { name: input.name }), input.edges, input.first_week.bins, same ? input.bins : []) : h("p", { class: "soft" }, say("Too few values for a picture yet.")),
    h("p", { class: "soft" }, say("Mean {first} → {now}", { first: figure(input.first_week.mean), now: figure(input.mean) }),
      input.shift === null ? "" : ` (${input.shift >= 0 ? "+" : ""}${input.shift.toFixed(2)} σ)`,
      input.missing ? ` · ${say("{share} % missing", { share: (100 * input.missing).toFixed(1) })}` : ""));
}

const drift = document.getElementById("drift");
if (drift) {
  /** @type {Input[]} */
  const inputs = JSON.parse(drift.dataset.inputs || "[]");
  inputs.sort((one, other) => (other.psi ?? -1) - (one.psi ?? -1));
  drift.append(h("p", { class: "key" }, h("span", { class: "key-first" }, say("the first week")), h("span", { class: "key-now" }, say("the last day"))), ...inputs.slice(0, MOST).map(drawn));
  if (inputs.length > MOST) drift.append(h("p", { class: "soft" }, say("and {count} more", { count: inputs.length - MOST })));
}

const alerts = byId("alerts", HTMLElement);
/** @typedef {{id: string, metric: string, above: number, over_s: number, min_requests: number, version: number | null, webhook: string}} Rule */
/** @type {Rule[]} */
const rules = JSON.parse(alerts.dataset.rules || "[]");

/** All rules go together. @param {object[]} wanted */
async function put(wanted) {
  await ask("PUT", alerts.dataset.path ?? "", { rules: wanted });
  location.reload();
}

/** @param {Rule} rule */
const plain = ({ metric, above, over_s, min_requests, version, webhook }) => ({ metric, above, over_s, min_requests, version, webhook });

for (const button of alerts.querySelectorAll("button")) {
  if (!button.dataset.remove) continue;
  button.addEventListener("click", () => {
    const trouble = byId("alert-trouble", HTMLElement);
    put(rules.filter(({ id }) => id !== button.dataset.remove).map(plain)).catch((error) => { trouble.textContent = problem(error); trouble.hidden = false; });
  });
  button.disabled = false;
}

const form = document.getElementById("rule");
if (form instanceof HTMLFormElement) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    complain(form, null);
    put([...rules.map(plain), values(form)]).catch((error) => complain(form, error));
  });
  ready(form);
}
