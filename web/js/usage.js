/** The page of what was used: charts of what the server put into it. */

import { chart } from "./chart.js";
import { byId } from "./dom.js";
import { say } from "./site-words.js";

/** @typedef {{p50: number, p95: number, p99: number} | null} Percentiles */
/** @typedef {{value: string, requests: number, errors: number, latency: Percentiles, frame_latency: Percentiles, first_words_latency?: Percentiles, session_minutes: number}} Row */
/** @typedef {{begin: number, end: number, span: "hour" | "day", rows: Row[]}} Usage */

const place = byId("charts", HTMLElement);
/** @type {Usage} */
const usage = JSON.parse(place.dataset.usage || "{}");
const length = usage.span === "hour" ? 3600 : 86400;
const spoken = new Intl.DateTimeFormat(document.documentElement.lang, usage.span === "hour" ? { hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric", timeZone: "UTC" });
const known = new Map(usage.rows.map((row) => [Number(row.value), row]));
/** @type {number[]} */
const times = [];
for (let at = usage.begin; at < usage.end; at += length) times.push(at);
const moments = times.map((at) => spoken.format(new Date(at * 1000)));
/** @template T @param {(row: Row) => T} read @param {T} none */
const along = (read, none) => times.map((at) => { const row = known.get(at); return row ? read(row) : none; });

/** @param {(row: Row) => Percentiles} read */
const percentiles = (read) => /** @type {const} */ (["p50", "p95", "p99"]).map((name) => ({
  name, values: along((row) => read(row)?.[name] ?? null, /** @type {number | null} */ (null)) }));

place.append(
  chart(say("Requests"), moments, [
    { name: say("fine"), values: along((row) => row.requests - row.errors, 0) },
    { name: say("errors"), values: along((row) => row.errors, 0) }], "bars"),
  chart(say("Latency of requests, ms"), moments, percentiles((row) => row.latency), "lines"),
  chart(say("Session minutes"), moments, [{ name: say("minutes"), values: along((row) => row.session_minutes, 0) }], "bars"),
  chart(say("Latency of frames, ms"), moments, percentiles((row) => row.frame_latency), "lines"));
if (usage.rows.some((row) => row.first_words_latency)) {
  place.append(chart(say("Latency until the first words, ms"), moments, percentiles((row) => row.first_words_latency ?? null), "lines"));
}
