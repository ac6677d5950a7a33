/** Requests of somebody who is signed in by a cookie. What is refused is a `ServerError`, no answer a `NetworkError`. */

import { Rest } from "../sdk/aimass-stream.js";

const rest = new Rest(location.origin);

/**
 * @param {string} method
 * @param {string} path
 * @param {BodyInit | object | null} [body] what is no `Blob` or `FormData` goes as JSON
 * @param {Record<string, string>} [headers]
 */
export const request = (method, path, body = null, headers) => rest.send(method, path, body, { headers });

/**
 * The answer, as JSON; null where it is empty.
 * @param {string} method @param {string} path @param {BodyInit | object | null} [body]
 */
export const ask = (method, path, body = null) => rest.call(method, path, body);
