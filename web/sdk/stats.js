/**
 * What the browser measures, boiled down. Rates come from the difference of two snapshots.
 */

/**
 * @typedef {{
 *   at: number, rtt: number | null,
 *   sent: number, received: number,
 *   width: number, height: number,
 *   frames: number, decode: number, buffer: number, emitted: number, freezes: number, lost: number,
 *   codec: string,
 * }} Snapshot times in s, `sent`/`received` in bytes, `decode`/`buffer` summed over `frames`/`emitted`
 */

/**
 * @param {RTCStatsReport} report
 * @returns {Snapshot}
 */
export function snapshot(report) {
  /** @type {Snapshot} */
  const now = { at: performance.now() / 1000, rtt: null, sent: 0, received: 0, width: 0, height: 0,
    frames: 0, decode: 0, buffer: 0, emitted: 0, freezes: 0, lost: 0, codec: "" };
  for (const entry of report.values()) {
    if (entry.type === "candidate-pair" && entry.nominated) now.rtt = entry.currentRoundTripTime ?? now.rtt;
    if (entry.type === "outbound-rtp") now.sent += entry.bytesSent ?? 0;
    if (entry.type === "inbound-rtp") {
      now.received += entry.bytesReceived ?? 0;
      now.lost += entry.packetsLost ?? 0;
      if (entry.kind === "video") video(now, entry, report);
    }
  }
  return now;
}

/**
 * @param {Snapshot} now
 * @param {any} entry inbound-rtp of the picture
 * @param {RTCStatsReport} report
 */
function video(now, entry, report) {
  now.width = entry.frameWidth ?? 0;
  now.height = entry.frameHeight ?? 0;
  now.frames = entry.framesDecoded ?? 0;
  now.decode = entry.totalDecodeTime ?? 0;
  now.buffer = entry.jitterBufferDelay ?? 0;
  now.emitted = entry.jitterBufferEmittedCount ?? 0;
  now.freezes = entry.freezeCount ?? 0;
  now.codec = String(report.get(entry.codecId)?.mimeType ?? "").replace("video/", "");
}

/**
 * @param {Snapshot | null} before
 * @param {Snapshot} now
 * @returns {{up: number, down: number, fps: number, browser: number | null}} bit/s, frames a second, and ms a frame spends in
 *   this browser before it is shown
 */
export function rates(before, now) {
  const seconds = before ? now.at - before.at : 0;
  if (!before || seconds <= 0 || now.received < before.received) return { up: 0, down: 0, fps: 0, browser: null };
  const frames = now.frames - before.frames;
  const emitted = now.emitted - before.emitted;
  const decode = frames > 0 ? (now.decode - before.decode) / frames : 0;
  const buffer = emitted > 0 ? (now.buffer - before.buffer) / emitted : 0;
  return {
    up: Math.max(0, now.sent - before.sent) * 8 / seconds,
    down: (now.received - before.received) * 8 / seconds,
    fps: frames / seconds,
    browser: frames > 0 ? (decode + buffer) * 1000 : null,
  };
}
