/** How an app does, for those who work on it: charts by day, and its example, run when somebody asks for it. */

import { daily } from "./daily.js";
import { byId, h } from "./dom.js";
import { problem } from "./problem-words.js";
import { ask } from "./site-api.js";
import { say } from "./site-words.js";

/** @typedef {{day: number, sessions: number, runs: number, probes: number, failed: number, latency_ms: import("./daily.js").Percentiles}} Day */

/** @param {HTMLElement} place */
function draw(place) {
  /** @type {Day[]} */
  const days = JSON.parse(place.dataset.days || "[]");
  const rows = days.map(({ day, sessions, runs, probes, failed, latency_ms: latency }) => ({ day, fine: sessions + runs + probes - failed, failed, latency }));
  place.append(...daily(rows, say("Sessions, runs and probes"), say("Latency of frames, ms")));
}

/** @param {HTMLFormElement} form */
function takeProbe(form) {
  const told = byId("probed", HTMLElement);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    told.replaceChildren(say("The example runs …"));
    try {
      const { passed, detail, seconds } = await ask("POST", form.dataset.path ?? "");
      told.replaceChildren(h("span", { class: `tag ${passed ? "good" : "bad"}` }, passed ? say("passed") : say("failed")), ` ${seconds.toFixed(2)} s ${detail}`);
    } catch (error) {
      told.replaceChildren(h("span", { class: "wrong" }, problem(error)));
    }
    button.disabled = false;
  });
  button.disabled = false;
}

const charts = document.getElementById("health-charts");
if (charts) draw(charts);
const probe = document.getElementById("probe");
if (probe instanceof HTMLFormElement) takeProbe(probe);
