/**
 * Devices, with errors that say what to do. Pages that open theirs by themselves need none of it.
 */

import { insecureOrigin, sourceError } from "./errors.js";

/** @returns {MediaDevices} */
function devices() {
  if (!isSecureContext || !navigator.mediaDevices) throw insecureOrigin();
  return navigator.mediaDevices;
}

/**
 * A camera, a microphone or both, as getUserMedia has them.
 * @param {MediaStreamConstraints} [wanted]
 * @returns {Promise<MediaStream>}
 */
export async function capture(wanted = { video: true }) {
  const what = [wanted.video && "camera", wanted.audio && "microphone"].filter(Boolean).join(" and ");
  const media = devices();
  return media.getUserMedia(wanted).catch((error) => {
    throw sourceError(error, what);
  });
}

/**
 * A screen, window or tab.
 * @param {DisplayMediaStreamOptions} [wanted]
 * @returns {Promise<MediaStream>}
 */
export async function captureScreen(wanted = { video: true }) {
  const media = devices();
  if (!media.getDisplayMedia) throw sourceError(new DOMException("", "NotSupportedError"), "screen"); // phones
  return media.getDisplayMedia(wanted).catch((error) => {
    throw sourceError(error, "screen");
  });
}
