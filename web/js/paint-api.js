/** The REST routes for pictures, videos and jobs. What is refused is a `ServerError`, no answer a `NetworkError`. */

import { NetworkError, Rest, ServerError } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../types/paint.js").StyleList} StyleList
 * @typedef {import("../types/paint.js").Match} Match
 * @typedef {import("../types/paint.js").Job} Job
 * @typedef {{style: string} | {style_image: File, by: string}} Style by its name, or as in a picture: in the "nearest"
 *   style there is, or in that "picture"'s own
 */

export class PaintApi {
  #rest;
  #token;

  /** @param {() => string | null} token the API key, asked for at each request */
  constructor(token) {
    this.#rest = new Rest(location.origin, token);
    this.#token = token;
  }

  /** @param {string} [said] what somebody calls a style @param {AbortSignal} [signal] @returns {Promise<StyleList>} */
  styles(said = "", signal) {
    return this.#rest.call("GET", `v1/images/styles?said=${encodeURIComponent(said)}`, null, { signal });
  }

  /** A picture painted so. @param {string} name */
  sample(name) {
    return this.#rest.call("GET", `v1/images/styles/${encodeURIComponent(name)}/sample`, null, { read: "blob" });
  }

  /** @param {Blob[]} pictures @param {AbortSignal} [signal] @returns {Promise<Match>} */
  match(pictures, signal) {
    const form = new FormData();
    pictures.forEach((picture, index) => form.append("image", picture, `picture ${index + 1}`));
    return this.#rest.call("POST", "v1/images/style/match", form, { signal });
  }

  /**
   * @param {Blob} image @param {Style} style @param {number} strength 0 to 1 @param {AbortSignal} [signal]
   * @returns {Promise<{picture: Blob, style: string}>} and the style that was taken
   */
  async paint(image, style, strength, signal) {
    const form = formOf("image", image, style, strength);
    const response = await this.#rest.send("POST", "v1/images/style", form, { signal });
    return { picture: await response.blob(), style: response.headers.get("X-Style") ?? "" };
  }

  /**
   * Begins a job. Uploads are told of, which `fetch` can't.
   * @param {File} video @param {Style} style @param {number} strength @param {(share: number) => void} sent
   * @param {AbortSignal} signal
   * @returns {Promise<Job>}
   */
  video(video, style, strength, sent, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", new URL("v1/videos/style", location.origin));
      for (const [name, value] of Object.entries(this.#rest.headers(this.#token()))) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => event.lengthComputable && sent(event.loaded / event.total));
      request.addEventListener("error", () => reject(new NetworkError("server-gone", { title: "The upload broke off",
        message: "The server does not answer any more.", next: "Try again." })));
      request.addEventListener("abort", () => reject(signal.reason));
      request.addEventListener("load", () => {
        const answer = parsed(request.responseText);
        if (request.status === 202) resolve(answer);
        else reject(new ServerError({ title: request.statusText, detail: "", ...answer, status: request.status }));
      });
      signal.addEventListener("abort", () => request.abort());
      request.send(formOf("video", video, style, strength));
    });
  }

  /** Begins a lesson. @param {File} picture @param {string} name @param {AbortSignal} signal @returns {Promise<Job>} */
  train(picture, name, signal) {
    const form = new FormData();
    form.append("style_image", picture, picture.name);
    form.append("name", name);
    return this.#rest.call("POST", "v1/images/style/train", form, { signal });
  }

  /** The newest first. @returns {Promise<Job[]>} */
  async jobs() {
    return (await this.#rest.call("GET", "v1/jobs")).jobs;
  }

  /** How a job is, each time that something is new, until it has ended. @param {string} id @param {AbortSignal} signal */
  async *follow(id, signal) {
    const response = await this.#rest.send("GET", `v1/jobs/${id}/events`, null,
      { signal, headers: { Accept: "text/event-stream" } });
    if (!response.body) return;
    let rest = "";
    for await (const text of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
      const events = (rest + text).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) yield /** @type {Job} */ (JSON.parse(data.slice(6)));
      }
    }
  }

  /** @param {string} id @param {"preview" | "result"} what @param {AbortSignal} [signal] */
  file(id, what, signal) {
    return this.#rest.call("GET", `v1/jobs/${id}/${what}`, null, { signal, read: "blob" });
  }

  /** Also works while the page is being closed. @param {string} id */
  async end(id) {
    await this.#rest.call("DELETE", `v1/jobs/${id}`, null, { keepalive: true });
  }
}

/** @param {string} part @param {Blob} file @param {Style} style @param {number} strength */
function formOf(part, file, style, strength) {
  const form = new FormData();
  form.append(part, file, file instanceof File ? file.name : part);
  if ("style" in style) form.append("style", style.style);
  else {
    form.append("style_image", style.style_image, "style");
    form.append("by", style.by);
  }
  form.append("strength", String(strength));
  return form;
}

/** Not every browser can iterate over a stream. @param {ReadableStream<string>} stream */
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.releaseLock();
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // a proxy's page
  }
}
