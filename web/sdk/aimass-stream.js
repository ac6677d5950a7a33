/**
 * AI Mass Stream in a web page: a track in, the processed track out, and events about what is in it.
 *
 *     import { capture, connect } from "https://SERVER/sdk/aimass-stream.js";
 *
 *     const session = await connect({ url: "https://SERVER", pipeline: [{ stage: "cartoon" }] });
 *     const [camera] = (await capture()).getVideoTracks();
 *     video.srcObject = new MediaStream([session.process(camera)]);
 */

import { patientRetry } from "./connection.js";
import { Session } from "./session.js";

export { capture, captureScreen } from "./capture.js";
export {
  AimassError, ClosedError, NetworkError, ServerError, SourceError, TokenError, VersionError, explain,
} from "./errors.js";
export { Emitter } from "./events.js";
export { PROTOCOL, Rest } from "./rest.js";
export { Session, patientRetry };

/**
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {import("../types/api.js").Sync} Sync
 * @typedef {import("./connection.js").RetryPolicy} RetryPolicy
 * @typedef {import("./connection.js").Status} Status
 * @typedef {import("./link.js").Transport} Transport
 * @typedef {import("./outlet.js").Fallback} Fallback
 * @typedef {import("./stats.js").Snapshot} Snapshot
 *
 * @typedef {object} Options
 * @property {string | URL} url the server, as https://host:8000
 * @property {import("./rest.js").Token} [token] an API key or a connect token, or a function that fetches one
 * @property {Pipeline} [pipeline] [{stage: "mirror"}]; without, tracks come back as they are
 * @property {Sync} [sync] "lowest" (as it comes) or "lips"
 * @property {number} [latency] ms that are promised; 0: none
 * @property {string} [app] an app's id or slug, in place of a pipeline
 * @property {Record<string, unknown>} [parameters] what of the app is to be set
 * @property {AbortSignal} [signal] ends the connecting, and later the session
 * @property {Fallback} [fallback] what stands in for a processed track while none comes: "raw" (as it comes),
 *   "black", "hold"
 * @property {number} [patience] s without a processed picture, after which that is so
 * @property {boolean} [receive] false: tracks are only sent, and nothing but events comes back
 * @property {RetryPolicy} [retry] when to try again; without one, connect() gives up after 15 s
 * @property {Transport | "auto"} [transport] "auto" (as it comes) takes WebRTC, and where that does not get through within
 *   4 s, a websocket
 * @property {typeof fetch} [fetch] for requests over HTTP, in place of the browser's own
 */

const WAIT = 15_000; // ms for the server's first answer that there is a session, where the page has no policy of its own

/**
 * Opens a session on a server, once media can flow. Rejects with an `AimassError` whose `reason` and `next` say what to do,
 * or with the signal's own reason.
 * @param {Options} options
 * @returns {Promise<Session>}
 */
export async function connect(options) {
  const end = performance.now() + WAIT;
  /** @type {Session} */
  const session = new Session({ ...options, retry: options?.retry ?? ((attempt, error) => {
    const pause = patientRetry(attempt, error);
    return session.epoch || performance.now() + 1000 * (pause ?? 0) < end ? pause : null;
  }) });
  session.open();
  try {
    await session.ready();
  } catch (error) {
    await session.close();
    throw options.signal?.aborted ? options.signal.reason : error;
  }
  return session;
}
