/**
 * What a server shows in an iframe, as promises and events:
 *
 *     <iframe src="https://SERVER/embed#controls=no" allow="camera; microphone; display-capture; autoplay"></iframe>
 *
 *     const frame = new AimassFrame(document.querySelector("iframe"), { token });
 *     await frame.start({ pipeline: [{ stage: "mirror" }] });
 */

const VERSION = 1;
const SECONDS = 10; // that a frame may take to answer once it is there

/** @typedef {Error & {reason: string, title: string, next: string, field: string | null}} FrameError as those of the SDK */

/** @param {{message: string} & Record<string, unknown>} told @returns {FrameError} */
const failure = ({ message, reason, title, next, field }) => (
  /** @type {FrameError} */ (Object.assign(new Error(message), { reason, title, next, field })));

const silent = () => failure({
  reason: "no-answer",
  title: "The frame does not answer",
  message: "The server does not let this page show it, or can't be reached.",
  next: `List ${location.origin} in the server's AIMASS_ORIGINS, and look whether it runs.`,
  field: null,
});

/** Fires `status`, `event` and `error`, with what they say in `detail`. */
export class AimassFrame extends EventTarget {
  /** What the frame said last: `idle`, `connecting`, `live`, ... */
  state = "idle";
  /** Messages that the frame left unread, since they came from others than this page. */
  ignored = 0;
  #frame;
  #origin;
  #token;
  /** @type {Map<number, {resolve: (value: void) => void, reject: (error: Error) => void}>} */
  #asked = new Map();
  #count = 0;
  #answered = () => {};
  /** @type {(error: Error) => void} */
  #unanswered = () => {};
  #ready = this.#expected();
  #known = false; // whether it answers is known, one way or the other
  #born = 0; // when the frame's document was made, which tells it from one that took its place
  #over = new AbortController();

  /**
   * @param {HTMLIFrameElement} frame
   * @param {{token?: string | null | (() => string | null | Promise<string | null>)}} [options] a connect token, or what
   *   fetches one
   */
  constructor(frame, { token = null } = {}) {
    super();
    this.#frame = frame;
    this.#origin = new URL(frame.src).origin;
    this.#token = token;
    const { signal } = this.#over;
    addEventListener("message", (event) => void this.#heard(event), { signal });
    frame.addEventListener("load", () => this.#hello(), { signal });
    if (frame.contentDocument?.URL !== "about:blank") this.#hello(); // it is there already
  }

  /**
   * Opens the camera and a session; one that runs is ended.
   * @param {Record<string, unknown>} [options] `pipeline` or `app`, and what else docs/api/embed.md has
   */
  start(options = {}) {
    return this.#ask("start", options);
  }

  stop() {
    return this.#ask("stop");
  }

  /** @param {object[] | Record<string, unknown>} change a pipeline, or `{pipeline, parameters, sync, latency}` */
  update(change) {
    return this.#ask("update", Array.isArray(change) ? { pipeline: change } : change);
  }

  /** @param {string} text */
  say(text) {
    return this.#ask("say", { text });
  }

  /** Listens no longer. The iframe is left as it is. */
  close() {
    this.#over.abort();
    this.#forget();
  }

  /** @param {string} type @param {Record<string, unknown>} [fields] @returns {Promise<void>} */
  async #ask(type, fields = {}) {
    await this.#ready;
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#post({ type, id, ...fields });
    });
  }

  /** @param {Record<string, unknown>} message */
  #post(message) {
    this.#frame.contentWindow?.postMessage(JSON.stringify({ aimass: VERSION, ...message }), this.#origin);
  }

  /** @returns {Promise<void>} that the frame answers */
  #expected() {
    /** @type {Promise<void>} */
    const ready = new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#unanswered = reject;
    });
    const known = () => (this.#known = true);
    ready.then(known, known); // what is wrong is said to who asks for something
    return ready;
  }

  #hello() {
    if (this.#known) this.#ready = this.#expected(); // of another document
    this.#known = false;
    this.#post({ type: "hello", tokens: this.#token !== null });
    const unanswered = this.#unanswered;
    setTimeout(() => unanswered(silent()), SECONDS * 1000);
  }

  /** Those that asked a frame which is no longer there. */
  #forget() {
    for (const { reject } of this.#asked.values()) reject(silent());
    this.#asked.clear();
  }

  /** @param {MessageEvent} event */
  async #heard({ source, origin, data }) {
    if (source !== this.#frame.contentWindow || origin !== this.#origin) return;
    const { type, id, ...told } = JSON.parse(data);
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (type === "done") asked?.resolve();
    else if (type === "error" && asked) asked.reject(failure(told));
    else if (type === "error") this.#fire("error", failure(told));
    else if (type === "event") this.#fire("event", told.event);
    else if (type === "token") this.#post({ type, token: await this.#fetched() });
    else {
      Object.assign(this, { state: told.state, ignored: told.ignored });
      if (type === "ready") this.#greeted(told.born);
      else this.#fire("status", told.state);
    }
  }

  /** @param {number} born */
  #greeted(born) {
    if (born !== this.#born) this.#forget();
    this.#born = born;
    this.#answered();
  }

  async #fetched() {
    try {
      return typeof this.#token === "function" ? await this.#token() : this.#token;
    } catch (error) {
      this.#fire("error", error);
      return null;
    }
  }

  /** @param {string} name @param {unknown} detail */
  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
