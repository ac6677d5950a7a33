/**
 * Where sound and picture come from: camera and microphone, the microphone alone, a screen, a file. Each answers a `Source`; what
 * goes wrong is a `SourceError` in words.
 */

import { SourceError, capture, captureScreen } from "../sdk/aimass-stream.js";
import { endLater } from "./demo.js";

/**
 * @typedef {"clip" | "camera" | "microphone" | "screen" | "file"} SourceKind
 * @typedef {{kind: SourceKind, label: string, stream: MediaStream, stop: () => void}} Source
 * @typedef {{camera?: string, microphone?: string, height?: number}} Choice device ids ("none" for without) and the
 *   height of the picture in px
 */

/**
 * @param {Choice} [choice]
 * @returns {Promise<Source>}
 */
export async function openCamera({ camera, microphone, height = 480 } = {}) {
  const video = camera === "none" ? false : { height: { ideal: height }, aspectRatio: { ideal: 16 / 9 },
    frameRate: { ideal: 30 }, ...(camera ? { deviceId: { exact: camera } } : { facingMode: "user" }) };
  const audio = microphone === "none" ? false : { echoCancellation: true, noiseSuppression: false,
    ...(microphone ? { deviceId: { exact: microphone } } : {}) };
  const stream = await either({ video, audio });
  const label = stream.getVideoTracks()[0]?.label || stream.getAudioTracks()[0]?.label || "camera";
  return source("camera", label, stream);
}

/**
 * One of the two may be missing: better the other one alone than nothing.
 * @param {MediaStreamConstraints} wanted
 */
async function either(wanted) {
  try {
    return await capture(wanted);
  } catch (error) {
    const missing = error instanceof SourceError && error.cause instanceof DOMException && error.cause.name === "NotFoundError";
    if (!missing || !wanted.video || !wanted.audio) throw error;
    const there = new Set((await navigator.mediaDevices.enumerateDevices()).map((device) => device.kind));
    const rest = { video: there.has("videoinput") && wanted.video, audio: there.has("audioinput") && wanted.audio };
    if (!rest.video && !rest.audio) throw error;
    return capture(rest);
  }
}

/**
 * A microphone for a conversation: it must not hear the loudspeaker. The caller stops it.
 * @param {string} [microphone] device id
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(microphone = "") {
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true,
    ...(microphone && microphone !== "none" ? { deviceId: { exact: microphone } } : {}) };
  const stream = await capture({ audio });
  return /** @type {MediaStreamTrack} */ (stream.getAudioTracks()[0]);
}

/** For those without a camera, or who would not be seen. @param {string} microphone device id @returns {Promise<Source>} */
export async function openVoice(microphone) {
  const track = await openMicrophone(microphone);
  return source("microphone", track.label || "microphone", new MediaStream([track]));
}

/** @returns {Promise<Source>} */
export async function openScreen() {
  const stream = await captureScreen({ video: { frameRate: 30, height: { max: 1080 } }, audio: true });
  const [picture] = stream.getVideoTracks();
  if (picture) picture.contentHint = "detail";
  return source("screen", picture?.label ?? "screen", stream);
}

/**
 * Plays a file in a loop. Its pictures go over a canvas and its sound over Web Audio, which every browser can.
 * @param {File} file
 * @returns {Promise<Source>}
 */
export async function openFile(file) {
  const player = document.createElement("video");
  player.src = URL.createObjectURL(file);
  player.loop = true;
  player.playsInline = true;
  player.muted = navigator.userActivation?.hasBeenActive === false; // a drop alone does not allow sound
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  context.createMediaElementSource(player).connect(out);
  const release = () => {
    player.pause();
    URL.revokeObjectURL(player.src);
    void context.close();
  };
  try {
    await player.play();
    await context.resume();
  } catch (cause) {
    release();
    throw new SourceError("bad-file", { title: "This file can't be played", cause,
      message: `${file.name} has no sound or picture that this browser can decode.`,
      next: "Try an MP4 (H.264, AAC) or WebM file." });
  }
  const pictures = player.videoWidth > 0 ? onCanvas(player) : [];
  const stream = new MediaStream([...pictures, ...out.stream.getAudioTracks()]);
  return { kind: "file", label: file.name, stream, stop: () => (release(), endLater(stream)) };
}

/** @param {HTMLVideoElement} player what is drawn while it plays */
function onCanvas(player) {
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, 720 / player.videoHeight, 1280 / player.videoWidth); // what a server likes in real time
  canvas.width = Math.round((player.videoWidth * scale) / 2) * 2;
  canvas.height = Math.round((player.videoHeight * scale) / 2) * 2;
  const context = canvas.getContext("2d", { alpha: false });
  const draw = () => {
    context?.drawImage(player, 0, 0, canvas.width, canvas.height);
    player.requestVideoFrameCallback(draw);
  };
  draw();
  return canvas.captureStream(30).getVideoTracks();
}

/** @param {SourceKind} kind @param {string} label @param {MediaStream} stream @returns {Source} */
function source(kind, label, stream) {
  return { kind, label, stream, stop: () => stream.getTracks().forEach((track) => track.stop()) };
}

/**
 * What can be picked; names are empty until a permission was given.
 * @returns {Promise<{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[]}>}
 */
export async function listDevices() {
  const all = await (navigator.mediaDevices?.enumerateDevices() ?? []);
  return {
    cameras: all.filter((device) => device.kind === "videoinput" && device.deviceId),
    microphones: all.filter((device) => device.kind === "audioinput" && device.deviceId),
  };
}
