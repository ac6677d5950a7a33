/**
 * AI Mass Stream in a web page: a track in, the processed track out, and events about what is in it.
 *
 *     import { capture, connect } from "https://SERVER/sdk/aimass-stream.js";
 *
 *     const session = await connect({ url: "https://SERVER", pipeline: [{ stage: "cartoon" }] });
 *     const [camera] = (await capture()).getVideoTracks();
 *     video.srcObject = new MediaStream([session.process(camera)]);
 */

export { capture, captureScreen } from "./capture.js";
export { patientRetry } from "./connection.js";
export { AimassError, ClosedError, NetworkError, ServerError, SourceError, TokenError, VersionError } from "./errors.js";
export { PROTOCOL } from "./rest.js";
export { connect, Session } from "./session.js";
