/**
 * Events of a session in words. How they are read and put in order is the SDK's.
 */

/** @typedef {import("../types/events.js").ServerEvent} ServerEvent */

/**
 * A line for people.
 * @param {ServerEvent} event
 */
export function describeEvent(event) {
  switch (event.type) {
    case "session.created": return `session ${event.data.session_id}`;
    case "session.updated": return event.data.pipeline.map((stage) => stage.stage).join(" → ") || "empty pipeline";
    case "session.closing": return `${event.data.reason}, ${Math.round(event.data.seconds)} s left`;
    case "session.ended": return event.data.reason;
    case "error": return event.data.detail;
    case "stage.failed": return `${event.data.stage}: ${event.data.detail} (${event.data.failures} in a row)`;
    case "stage.bypassed": return `${event.data.stage} is passed by: ${event.data.detail}`;
    case "stage.reloaded": return `${event.data.stage} ${event.data.ok ? "was loaded" : event.data.detail}`;
    case "audio.level": return `${event.data.rms.toFixed(1)} dBFS, peak ${event.data.peak.toFixed(1)}`;
    case "governor.stepped": return `${event.data.stage} ${event.data.down ? "works with less" : "works with more again"}: `
      + `${event.data.before} → ${event.data.after}; ${event.data.why}, ${Math.round(event.data.p95_ms)} of ${event.data.latency_ms} ms`;
    case "latency.missed": return `${event.data.latency_ms} ms can't be kept (${Math.round(event.data.p95_ms)} ms): ${event.data.why}`;
    case "bitrate.changed": return `${Math.round(event.data.bits_per_second / 1000)} kbit/s, ${event.data.reason}`;
    case "media.dropped": return `${event.data.frames} frames, ${event.data.reason}`;
    case "media.refused": return `${event.data.reason}: ${event.data.detail}`;
    case "person.arrived": return `${event.data.name} came`;
    case "person.left": return `${event.data.name || "somebody who was deleted"} left after ${event.data.stayed.toFixed(1)} s`;
    case "hand.gesture": return `${event.data.side} hand ${event.data.hand}: ${event.data.gesture}`;
    case "hand.digit": return `${event.data.side} hand ${event.data.hand} shows ${event.data.digit ?? "no digit"}`;
    case "text.read": return `“${event.data.text}”`;
    case "zone.entered": return `${event.data.label} ${event.data.id} came into ${event.data.zone}`;
    case "zone.left": return `${event.data.label} ${event.data.id} left ${event.data.zone} after ${event.data.dwell.toFixed(1)} s`;
    case "line.crossed": return `${event.data.label} ${event.data.id} crossed ${event.data.line}, ${event.data.direction}`;
    case "detector.ready": return `${event.data.model}: ${event.data.reason}`;
    case "motion.started": return `${event.data.zone || "picture"}, ${(event.data.share * 100).toFixed(1)} % of it`;
    case "motion.stopped": return `${event.data.zone || "picture"}, after ${event.data.duration.toFixed(1)} s`;
    case "rule.fired": return `${event.data.rule}${event.data.zone ? ` in ${event.data.zone}` : ""}, for ${event.data.seconds.toFixed(1)} s`;
    case "rule.over": return `${event.data.rule}, after ${event.data.seconds.toFixed(1)} s`;
    case "webhook.failed": return `${event.data.url}: ${event.data.detail}`;
    case "hearing.ready": return `${event.data.engine} ${event.data.model}: ${event.data.reason}`;
    case "speech.started": return `at ${event.data.at.toFixed(2)} s`;
    case "speech.stopped": return `at ${event.data.at.toFixed(2)} s, after ${event.data.duration.toFixed(2)} s`;
    case "transcript.partial":
    case "transcript.committed": return event.data.text || "(no words)";
    case "speech.spoken": return event.data.text;
    case "assistant.state": return event.data.state;
    case "assistant.reply": return event.data.delta || "(end)";
    case "assistant.interrupted": return `heard so far: ${event.data.heard || "nothing"}`;
    case "assistant.resumed": return "goes on";
    case "assistant.understood": return event.data.text;
    case "assistant.action": return `${event.data.name}: ${event.data.result}`;
    case "turn.latency": return `${Math.round(event.data.total)} ms from the end of speech to the answer`;
    case "models.changed": return [...event.data.added.map(({ title }) => `${title} is new`),
      ...event.data.changed.map(({ title }) => `${title} changed`), ...event.data.removed.map((name) => `${name} is gone`)].join(", ");
    case "download.progress": return `${event.data.name}: ${event.data.state} ${event.data.detail}`;
    default: return JSON.stringify(/** @type {{data: unknown}} */ (event).data);
  }
}

/** How bad an event is: it colours its line. @param {string} type */
export function severity(type) {
  if (["error", "stage.bypassed", "session.ended"].includes(type)) return "bad";
  if (["stage.failed", "latency.missed", "assistant.interrupted", "media.dropped", "media.refused", "session.closing", "rule.fired", "webhook.failed"].includes(type)) return "warn";
  return "plain";
}

/** @param {Extract<ServerEvent, {type: "stage.failed" | "stage.bypassed"}>} event */
export function describeFault(event) {
  return event.type === "stage.bypassed" ? `Passed by until it is changed. ${event.data.detail}` : event.data.detail;
}
