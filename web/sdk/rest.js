/**
 * The REST routes that a session needs. Every answer that is not a success becomes a `ServerError`, no answer
 * a `NetworkError`.
 */

import { ServerError, TokenError, VersionError, serverGone } from "./errors.js";

/**
 * @typedef {import("../types/api.js").ClientConfig} ClientConfig
 * @typedef {import("../types/api.js").OfferAnswer} OfferAnswer
 * @typedef {import("../types/api.js").OfferRequest} OfferRequest
 * @typedef {string | null | (() => string | null | Promise<string | null>)} Token an API key or a connect token, or what
 *   fetches one
 */

export const PROTOCOL = 1; // of websockets and data channels
const FRESH = 5000; // ms that a fetched token serves one attempt after another
const SECONDS = 10; // that an answer may take

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
    this.base = new URL(url, location.href);
    if (!this.base.pathname.endsWith("/")) this.base.pathname += "/";
    this.#token = token;
    this.#fetch = (/** @type {URL} */ to, /** @type {RequestInit} */ init) => (by ?? fetch)(to, init);
  }

  /** What authorizes the next request. @returns {Promise<string | null>} */
  async token() {
    if (typeof this.#token !== "function") return this.#token;
    if (performance.now() - this.#known.at > FRESH) this.#known = { token: await this.#token(), at: performance.now() };
    return this.#known.token;
  }

  /**
   * Where a token was good once and is no longer, this asks for another one the next time.
   * @param {unknown} error
   */
  judge(error) {
    if (!(error instanceof ServerError) || error.status !== 401) return error;
    this.#known.at = -FRESH;
    return this.#admitted ? new TokenError(error) : error;
  }

  /** @param {AbortSignal} [signal] @returns {Promise<ClientConfig>} */
  async config(signal) {
    /** @type {ClientConfig} */
    const config = await this.call("GET", "v1/config", undefined, { signal });
    if (config.protocol !== PROTOCOL) throw new VersionError(config.protocol ?? 0, PROTOCOL);
    return config;
  }

  /**
   * @param {OfferRequest} offer
   * @param {AbortSignal} [signal]
   * @returns {Promise<OfferAnswer>}
   */
  offer(offer, signal) {
    return this.call("POST", "v1/webrtc/offer", offer, { signal });
  }

  /**
   * Ends a session; also works while the page is being closed.
   * @param {string} sessionId
   */
  end(sessionId) {
    return this.call("DELETE", `v1/sessions/${encodeURIComponent(sessionId)}`, undefined, { keepalive: true });
  }

  /** The session was opened: a 401 from now on means that the token's time is over. */
  admitted() {
    this.#admitted = true;
  }

  /** Headers of every request. @param {string | null} token @returns {Record<string, string>} */
  headers(token) {
    return token ? { Authorization: `Bearer ${token}` } : {};
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {{signal?: AbortSignal, keepalive?: boolean, read?: "json" | "text" | "blob"}} [options]
   * @returns {Promise<any>}
   */
  async call(method, path, body, { signal, keepalive = false, read = "json" } = {}) {
    const token = keepalive ? this.#last() : await this.token();
    const headers = new Headers({ Accept: read === "json" ? "application/json" : "*/*", ...this.headers(token) });
    const form = body instanceof FormData; // the browser names its type itself
    if (body !== undefined && !form) headers.set("Content-Type", "application/json");
    const late = signal ? AbortSignal.any([signal, AbortSignal.timeout(SECONDS * 1000)]) : null;
    let response;
    try {
      const sent = form ? body : body === undefined ? null : JSON.stringify(body);
      response = await this.#fetch(new URL(path, this.base), { method, headers, body: sent, signal: late, keepalive });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw serverGone(error);
    }
    if (response.ok) return response.status === 204 ? null : response[read]();
    throw this.judge(await problem(response));
  }

  #last() {
    return typeof this.#token === "function" ? this.#known.token : this.#token;
  }
}

/** What a refused request answered. @param {Response} response */
export async function problem(response) {
  const retry = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  let body;
  try {
    body = await response.json();
  } catch {
    body = null; // a proxy's page, not the server's problem document
  }
  const known = { title: response.statusText, detail: "", ...body, status: response.status };
  return new ServerError(known, Number.isFinite(retry) ? retry : null);
}
