/**
 * The REST routes that a session needs. Every answer that is not a success becomes a `ServerError`, no answer
 * a `NetworkError`.
 */

import { ServerError, serverGone } from "./errors.js";
import { csrfToken } from "./storage.js";

/**
 * @typedef {import("../types/api.js").ClientConfig} ClientConfig
 * @typedef {import("../types/api.js").OfferAnswer} OfferAnswer
 * @typedef {import("../types/api.js").OfferRequest} OfferRequest
 * @typedef {import("../types/api.js").ModelList} ModelList
 * @typedef {import("../types/api.js").StageInfo} StageInfo
 */

export class Signalling {
  #base;
  #token;

  /**
   * @param {string | URL} base the server, e.g. "https://host:8000/"
   * @param {() => string | null} token the API key, asked for at each request
   */
  constructor(base, token = () => null) {
    this.#base = new URL(base);
    this.#token = token;
  }

  /** @returns {Promise<ClientConfig>} */
  config() {
    return this.#call("GET", "v1/config");
  }

  /** @returns {Promise<StageInfo[]>} */
  async stages() {
    return (await this.#call("GET", "v1/stages")).stages;
  }

  /**
   * @param {OfferRequest} offer
   * @param {AbortSignal} [signal]
   * @returns {Promise<OfferAnswer>}
   */
  offer(offer, signal) {
    return this.#call("POST", "v1/webrtc/offer", offer, { signal });
  }

  /** What hears and speaks on this server, and which weights could be fetched. @returns {Promise<ModelList>} */
  models() {
    return this.#call("GET", "v1/models");
  }

  /** The weights alone: quicker, for no engine is asked. @returns {Promise<ModelList>} */
  weights() {
    return this.#call("GET", "v1/models?only=weights");
  }

  /**
   * Has the server fetch these weights.
   * @param {string} name
   * @returns {Promise<import("../types/events.js").DownloadProgress>}
   */
  pull(name) {
    return this.#call("POST", `v1/models/${encodeURIComponent(name)}/pull`);
  }

  /** Who is known by face. @returns {Promise<import("../types/people.js").Known>} */
  people() {
    return this.#call("GET", "v1/faces");
  }

  /**
   * Has somebody recognised from now on.
   * @param {FormData} form with their name, consent and pictures
   * @returns {Promise<import("../types/people.js").KnownPerson>}
   */
  enrol(form) {
    return this.#call("POST", "v1/faces", form);
  }

  /** Deletes somebody, with all pictures. @param {string} id */
  forget(id) {
    return this.#call("DELETE", `v1/faces/${encodeURIComponent(id)}`);
  }

  /**
   * What was said in a session, as subtitles.
   * @param {string} sessionId
   * @param {"srt" | "vtt"} format
   * @returns {Promise<string>}
   */
  transcript(sessionId, format) {
    return this.#call("GET", `v1/sessions/${encodeURIComponent(sessionId)}/transcript?format=${format}`, undefined,
      { read: "text" });
  }

  /**
   * A picture or table of what was seen in a session.
   * @param {string} sessionId
   * @param {string} name heatmap.png, tracks.csv or attendance.csv
   * @returns {Promise<Blob>}
   */
  kept(sessionId, name) {
    return this.#call("GET", `v1/sessions/${encodeURIComponent(sessionId)}/${name}`, undefined, { read: "blob" });
  }

  /**
   * Ends a session; also works while the page is being closed.
   * @param {string} sessionId
   */
  end(sessionId) {
    return this.#call("DELETE", `v1/sessions/${encodeURIComponent(sessionId)}`, undefined, { keepalive: true });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {{signal?: AbortSignal, keepalive?: boolean, read?: "json" | "text" | "blob"}} [options]
   * @returns {Promise<any>}
   */
  async #call(method, path, body, { signal, keepalive = false, read = "json" } = {}) {
    const headers = new Headers({ Accept: read === "json" ? "application/json" : "*/*" });
    const token = this.#token();
    if (token) headers.set("Authorization", `Bearer ${token}`);
    else if (this.#base.origin === location.origin) headers.set("X-CSRF-Token", csrfToken());
    const form = body instanceof FormData; // the browser names its type itself
    if (body !== undefined && !form) headers.set("Content-Type", "application/json");
    let response;
    try {
      const sent = form ? body : body === undefined ? null : JSON.stringify(body);
      response = await fetch(new URL(path, this.#base), { method, headers, body: sent, signal, keepalive });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw serverGone(error);
    }
    if (response.ok) return response.status === 204 ? null : response[read]();
    throw await problem(response);
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
