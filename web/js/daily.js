/** Charts of the last days: what went well and what failed, and how long it took. */

import { chart } from "./chart.js";
import { say } from "./site-words.js";

const DAY = 86400; // s
const SHOWN = 30; // days

/** @typedef {{p50: number | null, p95: number | null, p99: number | null}} Percentiles */
/** @typedef {{day: number, fine: number, failed: number, latency: Percentiles}} Day */

/** @param {Day[]} days `day`: its beginning in UTC, s since the epoch @param {string} counted what is counted @param {string} timed what took so long */
export function daily(days, counted, timed) {
  const today = Math.floor(Date.now() / 1000 / DAY) * DAY;
  const known = new Map(days.map((day) => [day.day, day]));
  const times = Array.from({ length: SHOWN }, (_, at) => today - (SHOWN - 1 - at) * DAY);
  const spoken = new Intl.DateTimeFormat(document.documentElement.lang, { month: "short", day: "numeric", timeZone: "UTC" });
  const moments = times.map((at) => spoken.format(new Date(at * 1000)));
  /** @template T @param {(day: Day) => T} read @param {T} none */
  const along = (read, none) => times.map((at) => { const day = known.get(at); return day ? read(day) : none; });
  return [
    chart(counted, moments, [{ name: say("fine"), values: along((day) => day.fine, 0) }, { name: say("errors"), values: along((day) => day.failed, 0) }], "bars"),
    chart(timed, moments, /** @type {const} */ (["p50", "p95", "p99"]).map((name) => ({ name, values: along((day) => day.latency[name], /** @type {number | null} */ (null)) })), "lines")];
}
