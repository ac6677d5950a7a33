/**
 * A processed camera as an element:
 *
 *     <script type="module" src="https://SERVER/adapters/element.js"></script>
 *     <aimass-stream pipeline='[{"stage": "mirror"}]' controls></aimass-stream>
 */

import { SourceError, capture, captureScreen, connect, patientRetry } from "../sdk/aimass-stream.js";

/** @typedef {import("../sdk/session.js").Session} Session */

const TRIES = 3; // before it says that it can't begin
/** What a page has to hand on to its frame, by source. */
const FEATURES = { camera: "camera", microphone: "microphone", screen: "display-capture" };
/** What a page has to do where a person would sign in. @type {Record<string, string>} */
const NEXT = { unauthorized: "The page has to give it a connect token.", "token-expired": "Start it again." };
const STYLE = new CSSStyleSheet();
STYLE.replaceSync(":host { display: inline-block; position: relative } :host([hidden]) { display: none } "
  + "video { display: block; width: 100%; height: 100%; background: #000 } "
  + "[part=poster], [part=overlay] { position: absolute; inset: 0; pointer-events: none } "
  + "[part=controls] { position: absolute; inset: auto 0 0; padding: .5em } [part=message] { position: absolute; "
  + "inset: auto 0 2.5em; max-height: calc(100% - 2.5em); overflow: auto; padding: 0 .5em; background: #000a; color: #fff } [hidden] { display: none }");

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} part
 * @param {...Node} inside
 */
function make(tag, part, ...inside) {
  const element = document.createElement(tag);
  element.part.add(part);
  element.append(...inside);
  return element;
}

/** @param {string} name @param {string} [text] where nothing is put in */
function slot(name, text = "") {
  const element = document.createElement("slot");
  if (name) element.name = name;
  element.append(text);
  return element;
}

/** @param {string} what */
const withheld = (what) => new SourceError("permission-denied", {
  title: `This frame may not use the ${what}`,
  message: `The page that holds this frame does not hand the ${what} on to it.`,
  next: 'Write allow="camera; microphone; display-capture; autoplay" into the iframe.',
});

/** A token. A TypeError, as where nobody answers, is tried again. @param {string} address */
async function ask(address) {
  const answer = await fetch(address);
  if (answer.ok) return answer.text();
  throw new (answer.status === 503 ? TypeError : Error)(`${address} answers ${answer.status}, and no token.`);
}

export class AimassStream extends HTMLElement {
  static observedAttributes = ["url", "token", "token-url", "app", "pipeline", "controls", "sound"];
  /** @type {Session | null} */
  session = null;
  /** What is processed, for use elsewhere. @type {MediaStream | null} */
  stream = null;
  /** In place of the attribute. @type {import("../sdk/rest.js").Token} */
  token = null;
  /** What else connect() takes; it goes before the attributes. @type {Partial<import("../sdk/session.js").Options>} */
  options = {};
  /** @type {AbortController | null} */
  #stop = null;
  #video = make("video", "video");
  #poster = make("div", "poster", slot("poster"));
  #start = make("button", "start", slot("start", "Start"));
  #end = make("button", "stop", slot("stop", "Stop"));
  #controls = make("div", "controls", this.#start, this.#end, slot("controls"));
  #message = make("div", "message");
  #state = "idle";

  constructor() {
    super();
    Object.assign(this.#video, { autoplay: true, muted: true, playsInline: true });
    this.#message.setAttribute("role", "status");
    this.#start.onclick = () => void this.start();
    this.#end.onclick = () => this.stop();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    root.append(this.#video, this.#poster, make("div", "overlay", slot("")), this.#controls, this.#message);
    this.#become("idle");
  }

  connectedCallback() {
    if (!this.hasAttribute("controls")) void this.start();
  }

  disconnectedCallback() {
    this.stop();
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    this.#controls.hidden = !this.hasAttribute("controls");
    this.#video.muted = !this.hasAttribute("sound");
    if (before === now || !this.#stop) return;
    if (name === "pipeline") void this.#update();
    else if (name !== "controls" && name !== "sound") {
      this.stop();
      void this.start();
    }
  }

  /**
   * Opens the camera (or what the attribute `source` names) and a session.
   * @returns {Promise<Session | null>} null where none came of it, which the event `error` explains
   */
  async start() {
    if (this.#stop) return this.session;
    const stop = this.#stop = new AbortController();
    /** @type {MediaStream | null} */
    let raw = null;
    this.#become("connecting");
    try {
      raw = await this.#open();
      const end = raw.getTracks();
      stop.signal.addEventListener("abort", () => end.forEach((track) => track.stop()));
      stop.signal.throwIfAborted();
      const session = await this.#connect(stop.signal);
      this.session = session;
      this.stream = new MediaStream(end.map((track) => session.process(track)));
      this.#video.srcObject = this.stream;
      this.#become("live");
      session.on("status", ({ state, error }) => this.session === session && this.#came(state, error));
      session.on("ended", () => this.session === session && this.stop());
      session.on("event", (event) => this.dispatchEvent(new CustomEvent("event", { detail: event })));
      return session;
    } catch (error) {
      for (const track of raw?.getTracks() ?? []) track.stop();
      if (stop.signal.aborted) return null; // stopped meanwhile
      this.stop();
      this.#fail(error);
      return null;
    }
  }

  /** Ends the session and lets go of the camera. */
  stop() {
    this.#stop?.abort();
    const { session } = this;
    this.#stop = this.session = this.stream = this.#video.srcObject = null;
    void session?.close();
    this.#become("idle");
  }

  #open() {
    const source = this.getAttribute("source") ?? "camera";
    const policy = /** @type {any} */ (document).featurePolicy; // Chromium's, which calls a refusal by it the person's own
    for (const [what, feature] of Object.entries(FEATURES)) {
      if (source.includes(what) && policy?.allowsFeature(feature) === false) throw withheld(what);
    }
    if (source === "screen") return captureScreen();
    return capture({ video: source.includes("camera"), audio: source.includes("microphone") });
  }

  /** @param {AbortSignal} signal */
  async #connect(signal) {
    let live = false;
    const address = this.getAttribute("token-url");
    const session = await connect({
      url: this.getAttribute("url") ?? new URL("..", import.meta.url),
      token: this.token ?? (address === null ? this.getAttribute("token") : () => ask(address)),
      app: this.getAttribute("app") ?? undefined,
      pipeline: this.#pipeline(),
      sync: /** @type {"lips" | undefined} */ (this.getAttribute("sync") ?? undefined),
      latency: Number(this.getAttribute("latency") ?? 0),
      fallback: /** @type {"raw" | undefined} */ (this.getAttribute("fallback") ?? undefined),
      ...this.options,
      retry: (attempt, error) => (live || attempt < TRIES ? patientRetry(attempt, error) : null),
      signal,
    });
    live = true;
    return session;
  }

  #pipeline() {
    const text = this.getAttribute("pipeline");
    return text === null ? undefined : JSON.parse(text);
  }

  async #update() {
    try {
      await this.session?.update(this.#pipeline() ?? []);
      this.#message.textContent = "";
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {string} state @param {unknown} error */
  #came(state, error) {
    if (state !== "failed") return this.#become(state);
    this.stop(); // the policy has given up
    this.#fail(error);
  }

  /** @param {any} error */
  #fail(error) {
    this.#message.textContent = `${error.message} ${NEXT[error.reason] ?? error.next ?? ""}`.trim();
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }

  /** @param {string} state */
  #become(state) {
    this.#poster.hidden = this.stream !== null;
    this.#start.hidden = this.#stop !== null;
    this.#end.hidden = this.#stop === null;
    if (this.#stop) this.#message.textContent = "";
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent("status", { detail: state }));
  }
}

if (!customElements.get("aimass-stream")) customElements.define("aimass-stream", AimassStream);
