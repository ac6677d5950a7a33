/**
 * Requests to a server. Every answer that is not a success becomes a `ServerError`, no answer a `NetworkError`.
 */

import { ServerError, TokenError, VersionError, noAddress, noToken, serverGone } from "./errors.js";

/**
 * @typedef {import("../types/api.js").ClientConfig} ClientConfig
 * @typedef {import("../types/api.js").OfferAnswer} OfferAnswer
 * @typedef {import("../types/api.js").OfferRequest} OfferRequest
 * @typedef {string | null | (() => string | null | Promise<string | null>)} Token an API key or a connect token, or what
 *   fetches one
 * @typedef {{signal?: AbortSignal, seconds?: number, keepalive?: boolean, headers?: Record<string, string>}} Asking `seconds`
 *   that the answer may take, `keepalive` for a page that is being left
 */

export const PROTOCOL = 1; // of websockets and data channels
const FRESH = 5000; // ms that a fetched token serves one request after another
const SECONDS = 10; // that an answer may take on the way to a session

export class Rest {
  #token;
  #fetch;
  #known = { token: /** @type {string | null} */ (null), at: -FRESH };
  #admitted = false;

  /**
   * @param {string | URL} url the server, e.g. "https://host:8000/"
   * @param {Token} [token]
   * @param {typeof fetch} [by] in place of the browser's own
   */
  constructor(url, token = null, by) {
    if (!/^https?:|^[./]/i.test(/** @type {string} */ (url)) || !URL.canParse(url, location.href)) throw noAddress(url);
    this.base = new URL(url, location.href);
    if (!this.base.pathname.endsWith("/")) this.base.pathname += "/";
    this.#token = token;
    this.#fetch = (/** @type {URL} */ to, /** @type {RequestInit} */ init) => (by ?? fetch)(to, init);
  }

  /** What authorizes the next request. @returns {Promise<string | null>} */
  async token() {
    if (typeof this.#token === "function" && performance.now() - this.#known.at > FRESH) {
      try {
        const token = await this.#token();
        if (!token && token !== null) throw Error("it gave nothing");
        this.#known = { token, at: performance.now() };
      } catch (error) {
        throw noToken(error);
      }
    }
    return this.#last();
  }

  /**
   * Where a token was good once and is no longer, this asks for another one the next time.
   * @param {unknown} error
   */
  judge(error) {
    if (!(error instanceof ServerError) || error.status !== 401) return error;
    this.renew();
    if (this.base.origin !== location.origin) error.next = "Ask whoever made this page for another token.";
    return this.#admitted ? new TokenError(error) : error;
  }

  /** What a function gave was shown to begin a session, which it may be good for only once: it is asked again. */
  renew() {
    this.#known.at = -FRESH;
  }

  /** @param {AbortSignal} [signal] @returns {Promise<ClientConfig>} */
  async config(signal) {
    /** @type {ClientConfig | undefined} */
    const config = await this.call("GET", "v1/config", null, { signal, seconds: SECONDS }).catch((error) => {
      if (!(error instanceof SyntaxError) && error.status !== 404) throw error; // a page, or that there is none
    });
    if (config?.protocol === undefined) throw noAddress(`${this.base}, where no AI Mass server answers`);
    if (config.protocol !== PROTOCOL) throw new VersionError(config.protocol, PROTOCOL);
    return config;
  }

  /**
   * @param {OfferRequest} offer
   * @param {AbortSignal} [signal]
   * @returns {Promise<OfferAnswer>}
   */
  offer(offer, signal) {
    return this.call("POST", "v1/webrtc/offer", offer, { signal, seconds: SECONDS }).finally(() => this.renew());
  }

  /**
   * Ends a session; also works while the page is being closed.
   * @param {string} id
   * @param {string} token that resumes it: what it was opened with may have been good only once
   */
  end(id, token) {
    return this.call("DELETE", `v1/sessions/${id}`, null, { keepalive: true, headers: { "Resume-Token": token } });
  }

  /** The session was opened: a 401 from now on means that the token's time is over. */
  admitted() {
    this.#admitted = true;
  }

  /**
   * What authorizes a request: the token, or on a page of this very server the sign-in there.
   * @param {string | null} token
   * @returns {Record<string, string>}
   */
  headers(token) {
    if (token) return { Authorization: `Bearer ${token}` };
    const csrf = this.base.origin === location.origin && /(?:^|;\s*)aimass_csrf=([^;]*)/.exec(document.cookie)?.[1];
    return csrf ? { "X-CSRF-Token": csrf } : {};
  }

  /**
   * A request whose answer is read; null where it is empty.
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {Asking & {read?: "json" | "text" | "blob"}} [options]
   * @returns {Promise<any>}
   */
  async call(method, path, body = null, { read = "json", ...options } = {}) {
    const headers = { Accept: read === "json" ? "application/json" : "*/*", ...options.headers };
    const response = await this.send(method, path, body, { ...options, headers });
    return response.status === 204 ? null : response[read]();
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body] a `Blob` and `FormData` go as they are, all else as JSON
   * @param {Asking} [options]
   * @returns {Promise<Response>}
   */
  async send(method, path, body = null, { signal, seconds, keepalive = false, headers } = {}) {
    const token = keepalive ? this.#last() : await this.token();
    const plain = body === null || body instanceof FormData || body instanceof Blob; // the browser names their types
    let all;
    try {
      all = new Headers({ ...this.headers(token), ...(plain ? {} : { "Content-Type": "application/json" }), ...headers });
    } catch { // no header can have such characters
      throw this.judge(new ServerError({ status: 401, title: "", detail: "what was given as the token is none" }));
    }
    const late = signal && seconds ? AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]) : signal;
    let response;
    try {
      response = await this.#fetch(new URL(path, this.base), { method, headers: all, signal: late, keepalive,
        body: plain ? body : JSON.stringify(body) });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw serverGone(this.base, error);
    }
    if (response.ok) return response;
    throw this.judge(await problem(response));
  }

  #last() {
    return typeof this.#token === "function" ? this.#known.token : this.#token;
  }
}

/** What a refused request answered. @param {Response} response */
async function problem(response) {
  const retry = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const body = await response.json().catch(() => null); // a proxy's page is no problem document
  const known = { title: response.statusText, ...body, status: response.status };
  return new ServerError(known, Number.isFinite(retry) ? retry : null);
}
