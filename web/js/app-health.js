/** How an app does, for those who work on it: charts by day, and its example, run when somebody asks for it. */

import { chart } from "./chart.js";
import { byId, h } from "./dom.js";
import { problem } from "./problem-words.js";
import { ask } from "./site-api.js";
import { say } from "./site-words.js";

const DAY = 86400; // s
const SHOWN = 30; // days

/** @typedef {{p50: number | null, p95: number | null, p99: number | null}} Percentiles */
/** @typedef {{day: number, sessions: number, runs: number, probes: number, failed: number, latency_ms: Percentiles}} Day */

/** @param {HTMLElement} place */
function draw(place) {
  /** @type {Day[]} */
  const days = JSON.parse(place.dataset.days || "[]");
  const today = Math.floor(Date.now() / 1000 / DAY) * DAY;
  const known = new Map(days.map((day) => [day.day, day]));
  const times = Array.from({ length: SHOWN }, (_, back) => today - (SHOWN - 1 - back) * DAY);
  const spoken = new Intl.DateTimeFormat(document.documentElement.lang, { month: "short", day: "numeric", timeZone: "UTC" });
  const moments = times.map((at) => spoken.format(new Date(at * 1000)));
  /** @template T @param {(day: Day) => T} read @param {T} none */
  const along = (read, none) => times.map((at) => { const day = known.get(at); return day ? read(day) : none; });
  place.append(
    chart(say("Sessions, runs and probes"), moments, [
      { name: say("fine"), values: along((day) => day.sessions + day.runs + day.probes - day.failed, 0) },
      { name: say("errors"), values: along((day) => day.failed, 0) }], "bars"),
    chart(say("Latency of frames, ms"), moments, /** @type {const} */ (["p50", "p95", "p99"]).map((name) => ({
      name, values: along((day) => day.latency_ms[name], /** @type {number | null} */ (null)) })), "lines"));
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
