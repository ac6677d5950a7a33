/**
 * What can go wrong, each with a `reason` for programs and, for people, what happened (`title`, `message`)
 * and what to do about it (`next`).
 *
 *     AimassError         'invalid', where a call makes no sense; 'unexpected'
 *     +-- SourceError     camera, microphone or screen: 'permission-denied', 'no-device', 'device-busy',
 *     |                   'insecure-origin', 'unsupported', 'track-ended'
 *     +-- ServerError     an answer of the server: 'unauthorized', 'forbidden', 'invalid', 'not-found', 'busy',
 *     |   |               'conflict', 'unavailable', 'refused'
 *     |   +-- TokenError  'token-expired': it was good before and is no longer
 *     +-- NetworkError    no answer: 'server-gone'; no media: 'media-blocked', 'media-lost'; 'no-webrtc'
 *     +-- VersionError    'server-too-old', 'server-too-new'
 *     +-- ClosedError     'closed': this session was ended, by its page or by another's request
 */

/** @typedef {import("../types/api.js").Problem} Problem */

export class AimassError extends Error {
  name = "AimassError"; // written out, because classes are renamed where a page is made small

  /**
   * @param {string} reason
   * @param {{title: string, message: string, next?: string, cause?: unknown, field?: string | null}} words
   */
  constructor(reason, { title, message, next = "", cause, field = null }) {
    super(message, { cause });
    this.reason = reason;
    this.title = title;
    this.next = next;
    /** what of the options or of the request it is about */
    this.field = field;
  }
}

export class SourceError extends AimassError {
  name = "SourceError";
}

export class NetworkError extends AimassError {
  name = "NetworkError";
}

export class ServerError extends AimassError {
  name = "ServerError";

  /**
   * @param {Problem} problem
   * @param {number | null} [retryAfter] seconds
   */
  constructor(problem, retryAfter = null) {
    const status = [502, 504].includes(problem.status) ? 503 : problem.status; // a proxy's words for it
    const [reason, title, next] = ANSWERS[status] ?? ["refused", problem.title || "The server refused"];
    super(reason, { title, message: sentence(problem.detail || problem.title), next, field: problem.field });
    this.status = problem.status;
    this.retryAfter = retryAfter ?? problem.retry_after ?? null;
  }
}

export class TokenError extends ServerError {
  name = "TokenError";

  /** @param {ServerError} cause */
  constructor(cause) {
    super({ title: cause.title, status: cause.status, detail: cause.message });
    this.cause = cause;
    this.reason = "token-expired";
    this.title = "The token is no longer good";
    this.next = "Give connect() a function as its token, which fetches another one.";
  }
}

export class VersionError extends AimassError {
  name = "VersionError";

  /**
   * @param {number} server
   * @param {number} ours
   */
  constructor(server, ours) {
    const how = server < ours ? "old" : "new";
    super(`server-too-${how}`, {
      title: `The server is too ${how} for this page`,
      message: `It speaks version ${server} of the protocol, and this page ${ours}.`,
      next: "Take the SDK from the server itself: SERVER/sdk/aimass-stream.js.",
    });
  }
}

export class ClosedError extends AimassError {
  name = "ClosedError";

  constructor(reason = "it was closed") {
    super("closed", { title: "This session is over", message: sentence(reason), next: "Connect again." });
  }
}

/** @type {Record<number, [reason: string, title: string, next?: string]>} */
const ANSWERS = {
  400: ["invalid", "The server could not read that"],
  401: ["unauthorized", "This server asks for a key or token", "Enter a key of yours or the server's own, or sign in."],
  403: ["forbidden", "Not allowed", "Ask whoever runs the server to add this page's origin."],
  404: ["not-found", "The server does not have that"],
  409: ["conflict", "Not possible right now"],
  413: ["invalid", "Too large"],
  422: ["invalid", "The server refused this", "Correct what is marked, or take it out."],
  429: ["busy", "The server is busy", "Try later."],
  503: ["unavailable", "The server is not ready", "Try again soon."],
};

// a file or a model in front keeps its name
const NAMED = /^(?:\S*\.\w|[^.]*\.\w{3,4}\b|\S+(?:@\d+ | is (?:in use: |built in|somebody)| has no (?:version|alias) ))/i;

/** As a sentence. @param {string} text */
export function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const first = NAMED.test(trimmed) ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(first) ? first : first + ".";
}

/** @param {string} field @param {unknown} value @param {string} next */
export const invalid = (field, value, next) => new AimassError("invalid", {
  title: "An option is wrong", message: `${field} is ${value}.`, next, field });

/** @param {unknown} url */
export const noAddress = (url) => invalid("url", url, "Give an address with http:// or https://.");

/** @param {string} field @param {any} value @param {string[]} values */
export function oneOf(field, value, ...values) {
  if (!values.includes(value)) throw invalid(field, value, `Take one of these: ${values.join(", ")}.`);
}

/** @param {URL} base @param {unknown} [cause] */
export const serverGone = (base, cause) => new NetworkError("server-gone", {
  title: "The server does not answer",
  message: "No connection to this server can be made.",
  next: "Check that it runs, that this device is online"
    + (base.origin === location.origin ? "." : ` and that its AIMASS_ORIGINS lists ${location.origin}.`),
  cause,
});

/** @param {unknown} cause */
export function noToken(cause) {
  if (cause instanceof AimassError) return cause;
  const away = cause instanceof TypeError; // what fetch throws where nobody answers
  return new (away ? NetworkError : AimassError)(away ? "server-gone" : "unexpected", {
    title: "No token could be had", message: sentence(explain(cause).message), next: "Check what the function token asks.", cause });
}

/** @param {URL} worklet @param {unknown} cause */
export const noWorklet = (worklet, cause) => new NetworkError("media-blocked", {
  title: "Sound can't be played", message: `${worklet} can't be loaded.`,
  next: "Serve that file of the SDK there, by https.", cause });

export const mediaBlocked = () => new NetworkError("media-blocked", {
  title: "The server answers, but no media gets through",
  message: "A firewall, a VPN or a container without its ports keeps UDP out.",
  next: "Open the server's UDP ports (udp_ports), tell it its outside address (advertised_address), or "
    + "give it a TURN server (turn).",
});

export const mediaLost = () => new NetworkError("media-lost", {
  title: "The connection was cut",
  message: "Nothing has come for a while.",
  next: "Check this device's network.",
});

export const noWebRtc = () => new NetworkError("no-webrtc", {
  title: "This browser has no WebRTC",
  message: "It is missing or switched off.",
  next: "Allow it in its settings, or use another.",
});

/** @param {string} kind */
export const trackEnded = (kind) => new SourceError("track-ended", {
  title: kind === "video" ? "The picture has ended" : "The sound has ended",
  message: "Its device was unplugged, or somebody stopped it.",
  next: "Give process() or send() a new one.",
});

export const insecureOrigin = () => new SourceError("insecure-origin", {
  title: "Camera and microphone need https",
  message: "Browsers hand them out only to https pages and to localhost.",
  next: "Start the server with --tls self and open the https address it prints.",
});

/** What getUserMedia and getDisplayMedia throw, by name (W3C Media Capture, section 10.2). */
/** @type {Record<string, [reason: string, title: string, message: string, next: string]>} */
const CAPTURE = {
  NotAllowedError: ["permission-denied", "Permission was not given",
    "This browser did not let the page use the {what}.",
    "Click the icon left of the address, allow the {what}, and try again."],
  NotFoundError: ["no-device", "No {what} was found", "None is plugged in.",
    "Plug one in, or use another source."],
  NotReadableError: ["device-busy", "The {what} can't be opened", "Another program may be using it.",
    "Close what else uses the {what} and try again."],
  OverconstrainedError: ["no-device", "The {what} can't do that", "The chosen device is gone or has no such size.",
    "Choose another device or size."],
  NotSupportedError: ["unsupported", "Not possible in this browser", "It can't capture the {what}.",
    "Use another source or browser."],
};

/**
 * @param {unknown} cause
 * @param {string} what "camera", "screen"...
 * @returns {SourceError}
 */
export function sourceError(cause, what) {
  if (cause instanceof SourceError) return cause;
  const { name } = /** @type {Error} */ (cause);
  const [reason, title, message, next] = CAPTURE[name === "AbortError" ? "NotReadableError" : name]
    ?? ["unsupported", "The {what} can't be used", explain(cause).message, ""];
  /** @param {string} text */
  const fill = (text) => text.replaceAll("{what}", what);
  return new SourceError(reason, { title: fill(title), message: fill(message), next: fill(next), cause });
}

/**
 * Anything that was thrown, in words.
 * @param {unknown} error
 * @returns {AimassError}
 */
export function explain(error) {
  if (error instanceof AimassError) return error;
  return new AimassError("unexpected", {
    title: "Something unexpected",
    message: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}
