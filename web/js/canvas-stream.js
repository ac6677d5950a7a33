/** The stream of a canvas, and how it ends. */

const LET_GO = 1000; // ms: Chromium forgets to close a picture that comes while its track ends

/**
 * Called once nobody draws on the canvas any more.
 * @param {MediaStream} stream
 */
export function endLater(stream) {
  setTimeout(() => stream.getTracks().forEach((track) => track.stop()), LET_GO);
}
