"use strict"; // a classic script, which is there before the page's own ones ask for a camera

/**
 * Has getUserMedia and getDisplayMedia hand out processed tracks, to a page that knows nothing of it:
 *
 *     <script src="https://SERVER/adapters/media-devices.js" data-pipeline='[{"stage": "mirror"}]'></script>
 */
{
  /**
   * @typedef {import("../sdk/session.js").Session} Session
   * @typedef {Omit<import("../sdk/session.js").Options, "pipeline"> & {pipeline?: string, kinds?: string, screens?: string}} Given
   * @typedef {{sdk: () => Promise<typeof import("../sdk/aimass-stream.js")>, given: () => Promise<Given | null>,
   *   begun: (session: Session) => void, failed?: (error: unknown) => void}} Host who put this into the page: where the SDK
   *   is from, what is wanted (null: nothing, the page has its devices as they are), and whom to tell
   * @typedef {{opening: Promise<Session>, sent: Map<string, MediaStreamTrack>,
   *   idle: ReturnType<typeof setTimeout> | undefined}} Place a session, and what it is sent by kind
   * @typedef {{raw: MediaStreamTrack, live: Set<MediaStreamTrack>, free: () => void}} Source a device's track, and those that
   *   the page has of it
   */

  const LIMIT = 8000; // ms that a session may take to begin
  const IDLE = 2000; // ms that one without tracks waits for the next device

  const script = /** @type {HTMLScriptElement | null} */ (document.currentScript
    ?? document.querySelector("script[src*='/media-devices.js']")); // as a module it is nobody's current one
  /** @type {Host} */
  const host = script ? tagged(script) : /** @type {any} */ (globalThis).aimassHost; // a content script has no element
  Reflect.deleteProperty(globalThis, "aimassHost"); // before the page's own scripts could see it
  /** @type {Set<Place>} */
  const places = new Set();
  const { stop, clone } = MediaStreamTrack.prototype;
  const enabled = /** @type {Required<PropertyDescriptor>} */ (
    Object.getOwnPropertyDescriptor(MediaStreamTrack.prototype, "enabled"));

  /** @param {HTMLScriptElement} script @returns {Host} */
  function tagged(script) {
    const { tokenUrl } = script.dataset;
    const sdk = import(new URL("../sdk/aimass-stream.js", script.src).href);
    sdk.catch(() => undefined); // said where a track is asked for
    return {
      sdk: () => sdk,
      given: async () => /** @type {Given} */ ({
        url: new URL("..", script.src),
        ...script.dataset,
        ...(tokenUrl ? { token: () => ask(tokenUrl) } : {}),
      }),
      begun: (session) => void script.dispatchEvent(new CustomEvent("session", { detail: session })),
    };
  }

  /** A token. A TypeError, as where nobody answers, is tried again. @param {string} address */
  async function ask(address) {
    const answer = await fetch(address);
    if (answer.ok) return answer.text();
    throw new (answer.status === 503 ? TypeError : Error)(`${address} answers ${answer.status}, and no token.`);
  }

  /** @param {Given} given @param {AbortSignal} signal @returns {Promise<Session>} */
  async function open(given, signal) {
    const { connect, patientRetry } = await host.sdk();
    let live = false;
    const session = await connect({
      ...given,
      pipeline: given.pipeline && JSON.parse(given.pipeline),
      latency: Number(given.latency ?? 0),
      retry: (attempt, error) => (live ? patientRetry(attempt, error) : null), // the page waits for its camera
      signal,
    });
    live = true;
    host.begun(session);
    return session;
  }

  /** @param {Given} given @returns {Place} */
  function begin(given) {
    const giveUp = new AbortController();
    const late = setTimeout(() => giveUp.abort(new Error("The server takes too long.")), LIMIT);
    const { signal } = giveUp;
    /** @type {Promise<never>} */
    const tooLate = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const opening = Promise.race([open(given, signal), tooLate]).finally(() => clearTimeout(late));
    /** @type {Place} */
    const place = { opening, sent: new Map(), idle: undefined };
    places.add(place);
    opening.then((session) => session.on("status", ({ state }) => {
      if (state === "failed" || state === "closed") places.delete(place);
    }), () => places.delete(place));
    return place;
  }

  /** @param {Place} place @param {Session} session @param {MediaStreamTrack} raw */
  function leave(place, session, raw) {
    if (place.sent.get(raw.kind) !== raw) return;
    place.sent.delete(raw.kind);
    session.remove(/** @type {"audio" | "video"} */ (raw.kind));
    if (place.sent.size) return;
    place.idle = setTimeout(() => {
      places.delete(place);
      void session.close();
    }, IDLE);
  }

  /**
   * One more track for the page, which behaves as the device's own.
   * @param {MediaStreamTrack} track
   * @param {Source} source
   */
  function dress(track, source) {
    const { raw, live } = source;
    live.add(track);
    Object.defineProperties(track, {
      label: { get: () => raw.label },
      muted: { get: () => raw.muted },
      enabled: {
        get: () => enabled.get.call(track),
        set: (on) => {
          enabled.set.call(track, on);
          raw.enabled = [...live].some((each) => each.enabled); // what is off is not sent either
        },
      },
      stop: {
        value: () => {
          stop.call(track);
          if (live.delete(track) && !live.size) source.free();
        },
      },
      clone: { value: () => dress(clone.call(track), source) },
    });
    for (const name of /** @type {const} */ (["getSettings", "getConstraints", "getCapabilities", "applyConstraints"])) {
      if (name in raw) Object.defineProperty(track, name, { value: raw[name].bind(raw) });
    }
    return track;
  }

  /** @param {Place} place @param {Session} session @param {MediaStreamTrack} raw */
  function replace(place, session, raw) {
    /** @type {Source} */
    const source = { raw, live: new Set(), free: () => (stop.call(raw), leave(place, session, raw)) };
    const track = dress(clone.call(session.process(raw)), source); // ours goes on when the page stops its own
    for (const name of ["mute", "unmute", "ended"]) {
      raw.addEventListener(name, () => {
        for (const each of [...source.live]) {
          if (name === "ended") each.stop();
          each.dispatchEvent(new Event(name));
        }
      });
    }
    return track;
  }

  /** @param {MediaStream} raw @param {boolean} screen */
  async function processed(raw, screen) {
    const given = await host.given();
    const { kinds = "audio video", fallback = "raw", screens } = given ?? { kinds: "" };
    const wanted = screen && screens === "raw" ? [] : raw.getTracks().filter(({ kind }) => kinds.includes(kind));
    if (!given || !wanted.length) return raw;
    const place = [...places].find(({ sent }) => !wanted.some(({ kind }) => sent.has(kind))) ?? begin(given);
    clearTimeout(place.idle);
    for (const track of wanted) place.sent.set(track.kind, track);
    try {
      const session = await place.opening;
      return new MediaStream(raw.getTracks().map((track) =>
        wanted.includes(track) ? replace(place, session, track) : track));
    } catch (error) {
      host.failed?.(error);
      place.opening.then((session) => wanted.forEach((track) => leave(place, session, track)), () => undefined);
      const { message, next = "" } = /** @type {import("../sdk/errors.js").AimassError} */ (error);
      if (fallback === "raw") {
        console.warn(`Camera and microphone stay as they are. ${message} ${next}`);
        return raw;
      }
      for (const track of raw.getTracks()) track.stop();
      throw new DOMException(message, "NotReadableError");
    }
  }

  for (const name of /** @type {const} */ (["getUserMedia", "getDisplayMedia"])) {
    /** @type {any} */
    const original = globalThis.MediaDevices?.prototype[name]; // there is none on insecure pages
    if (!original) continue;
    Object.assign(MediaDevices.prototype, {
      /** @this {MediaDevices} @param {any} wanted */
      async [name](wanted) {
        return processed(await original.call(this, wanted), name === "getDisplayMedia");
      },
    });
  }
  for (const name of ["getUserMedia", "webkitGetUserMedia"]) { // with callbacks, as it began: some browsers still have them
    /** @type {any} */
    const original = Reflect.get(Navigator.prototype, name);
    if (!original) continue;
    Object.assign(Navigator.prototype, {
      /** @this {Navigator} @param {any} wanted @param {any} done @param {any} failed */
      [name](wanted, done, failed) {
        original.call(this, wanted, done && ((/** @type {MediaStream} */ raw) => processed(raw, false).then(done, failed)), failed);
      },
    });
  }
}
