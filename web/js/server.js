/** The REST routes that the page needs beside those of a session. */

/**
 * @typedef {import("../types/api.js").ModelList} ModelList
 * @typedef {import("../types/api.js").StageInfo} StageInfo
 * @typedef {import("../sdk/aimass-stream.js").Rest} Rest
 */

export class Server {
  #rest;

  /** @param {Rest} rest with the session's token */
  constructor(rest) {
    this.#rest = rest;
  }

  /** @returns {Promise<import("../types/api.js").ClientConfig>} */
  config() {
    return this.#rest.config();
  }

  /** @returns {Promise<StageInfo[]>} */
  async stages() {
    return (await this.#rest.call("GET", "v1/stages")).stages;
  }

  /** What hears and speaks on this server, and which weights could be fetched. @returns {Promise<ModelList>} */
  models() {
    return this.#rest.call("GET", "v1/models");
  }

  /** The weights alone: quicker, for no engine is asked. @returns {Promise<ModelList>} */
  weights() {
    return this.#rest.call("GET", "v1/models?only=weights");
  }

  /**
   * Has the server fetch these weights.
   * @param {string} name
   * @returns {Promise<import("../types/events.js").DownloadProgress>}
   */
  pull(name) {
    return this.#rest.call("POST", `v1/models/${encodeURIComponent(name)}/pull`);
  }

  /** Who is known by face. @returns {Promise<import("../types/people.js").Known>} */
  people() {
    return this.#rest.call("GET", "v1/faces");
  }

  /**
   * Has somebody recognised from now on.
   * @param {FormData} form with their name, consent and pictures
   * @returns {Promise<import("../types/people.js").KnownPerson>}
   */
  enrol(form) {
    return this.#rest.call("POST", "v1/faces", form);
  }

  /** Deletes somebody, with all pictures. @param {string} id */
  forget(id) {
    return this.#rest.call("DELETE", `v1/faces/${encodeURIComponent(id)}`);
  }

  /**
   * What was said in a session, as subtitles.
   * @param {string} sessionId
   * @param {"srt" | "vtt"} format
   * @returns {Promise<string>}
   */
  transcript(sessionId, format) {
    return this.#rest.call("GET", `v1/sessions/${encodeURIComponent(sessionId)}/transcript?format=${format}`, null,
      { read: "text" });
  }

  /**
   * A picture or table of what was seen in a session.
   * @param {string} sessionId
   * @param {string} name heatmap.png, tracks.csv or attendance.csv
   * @returns {Promise<Blob>}
   */
  kept(sessionId, name) {
    return this.#rest.call("GET", `v1/sessions/${encodeURIComponent(sessionId)}/${name}`, null, { read: "blob" });
  }
}
