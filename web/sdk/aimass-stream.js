/**
 * AI Mass Stream in a web page: a track in, the processed track out, and events about what is in it.
 *
 *     import { capture, connect } from "https://SERVER/sdk/aimass-stream.js";
 *
 *     const session = await connect({ url: "https://SERVER", pipeline: [{ stage: "cartoon" }] });
 *     const [camera] = (await capture()).getVideoTracks();
 *     video.srcObject = new MediaStream([session.process(camera)]);
 */

import { explain } from "./errors.js";
import { Session } from "./session.js";

export { capture, captureScreen } from "./capture.js";
export { patientRetry } from "./connection.js";
export {
  AimassError, ClosedError, NetworkError, ServerError, SourceError, TokenError, VersionError, explain,
} from "./errors.js";
export { Emitter } from "./events.js";
export { PROTOCOL, Rest } from "./rest.js";
export { Session };

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
 * @property {RetryPolicy} [retry] when to try again
 * @property {Transport | "auto"} [transport] "auto" (as it comes) takes WebRTC, and where that does not get through within
 *   4 s, a websocket
 * @property {typeof fetch} [fetch] for requests over HTTP, in place of the browser's own
 */

/**
 * Opens a session on a server. Rejects with an `AimassError` whose `reason` and `next` say what to do, or with the signal's
 * own reason.
 * @param {Options} options
 * @returns {Promise<Session>}
 */
export async function connect(options) {
  const session = new Session(options);
  session.open();
  try {
    await session.ready();
  } catch (error) {
    await session.close();
    throw options.signal?.aborted ? options.signal.reason : explain(error);
  }
  return session;
}
