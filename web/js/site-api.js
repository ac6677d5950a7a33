/** Requests of somebody who is signed in by a cookie. What is refused is a `ServerError`, no answer a `NetworkError`. */

import { ServerError, serverGone } from "./errors.js";
import { csrfToken } from "./storage.js";

/**
 * @param {string} method
 * @param {string} path
 * @param {BodyInit | object | null} [body] what is no `Blob` or `FormData` goes as JSON
 * @param {Record<string, string>} [headers]
 * @returns {Promise<Response>}
 */
export async function request(method, path, body = null, headers = {}) {
  const plain = body === null || body instanceof Blob || body instanceof FormData;
  const sent = plain ? body : JSON.stringify(body);
  const given = { "X-CSRF-Token": csrfToken(), ...(plain ? {} : { "Content-Type": "application/json" }), ...headers };
  const answer = await fetch(path, { method, body: sent, headers: given }).catch((cause) => {
    throw serverGone(cause);
  });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new ServerError({ title: answer.statusText, detail: "", ...told, status: answer.status });
}

/**
 * The answer, as JSON; null where it is empty.
 * @param {string} method @param {string} path @param {BodyInit | object | null} [body]
 */
export async function ask(method, path, body = null) {
  const answer = await request(method, path, body);
  return answer.status === 204 ? null : answer.json();
}
