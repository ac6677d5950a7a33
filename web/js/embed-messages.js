/**
 * What the page that holds a frame may say to it, and what is wrong with all else. Messages are JSON texts, so that one look at
 * the length tells what is too large.
 */

import { AimassError } from "../sdk/aimass-stream.js";

export const VERSION = 1;
export const MOST = 1 << 20; // characters: a server reads no larger messages either

/**
 * @typedef {{aimass: number, type: string, id?: number | string} & Record<string, any>} Message
 * @typedef {[what: string, fits: (value: unknown) => boolean]} Kind
 */

/** @type {Kind} */
const TEXT = ["a text", (value) => typeof value === "string"];
/** @type {Kind} */
const FLAG = ["true or false", (value) => typeof value === "boolean"];
/** @type {Kind} */
const NUMBER = ["a number", (value) => typeof value === "number"];
/** @type {Kind} */
const OBJECT = ["an object", (value) => typeof value === "object" && value !== null && !Array.isArray(value)];
/** @type {Kind} */
const STAGES = ['a list of stages, as [{"stage": "mirror"}]', (value) => Array.isArray(value)
  && value.every((item) => OBJECT[1](item) && typeof item.stage === "string")];
/** @type {Kind} */
const TOKEN = ["a text or null", (value) => value === null || typeof value === "string"];

/** @param {...string} names @returns {Kind} */
const oneOf = (...names) => [`one of ${names.join(", ")}`, (value) => names.includes(/** @type {string} */ (value))];

export const SOURCES = ["camera", "microphone", "camera microphone", "screen"];
/** @type {Record<string, Kind>} */
const CHANGE = { pipeline: STAGES, parameters: OBJECT, sync: oneOf("lowest", "lips"), latency: NUMBER };

/** By type; a `!` stands at what has to be there. @type {Record<string, Record<string, Kind>>} */
const FIELDS = {
  hello: { tokens: FLAG },
  start: { ...CHANGE, app: TEXT, source: oneOf(...SOURCES), sound: FLAG, fallback: oneOf("raw", "black", "hold"), token: TOKEN },
  stop: {},
  update: CHANGE,
  token: { "token!": TOKEN },
  say: { "text!": TEXT },
};

/** @param {string} message @param {string | null} [field] @param {unknown} [id] */
function wrong(message, field = null, id = undefined) {
  const error = new AimassError("invalid", { title: "The frame could not read that", message,
    next: "See docs/api/embed.md, or let /adapters/frame.js write the messages." });
  return Object.assign(error, { field, id });
}

/** @param {unknown} id */
const named = (id) => typeof id === "number" || (typeof id === "string" && id.length <= 64);

/**
 * Throws an `AimassError` with the `field` that is wrong, and the `id` where there is one.
 * @param {unknown} data
 * @returns {Message}
 */
export function read(data) {
  if (typeof data !== "string" || data.length > MOST) {
    throw wrong(typeof data === "string" ? `A message has at most ${MOST} characters.` : "A message is a JSON text.");
  }
  /** @type {any} */
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    throw wrong("A message is a JSON text.");
  }
  if (!OBJECT[1](message)) throw wrong("A message is a JSON object.");
  const { aimass, type, id, ...rest } = message;
  if (id !== undefined && !named(id)) throw wrong("'id' is a number or a text of at most 64 characters.", "id");
  if (aimass !== VERSION) throw wrong(`'aimass' is the version of the messages, which is ${VERSION} here.`, "aimass", id);
  const fields = typeof type === "string" && Object.hasOwn(FIELDS, type) ? FIELDS[type] : undefined;
  if (!fields) throw wrong(`'type' is one of ${Object.keys(FIELDS).join(", ")}.`, "type", id);
  check(rest, fields, id);
  return message;
}

/** @param {Record<string, unknown>} rest @param {Record<string, Kind>} fields @param {unknown} id */
function check(rest, fields, id) {
  const known = new Map(Object.entries(fields).map(([name, kind]) => [name.replace("!", ""), kind]));
  for (const [name, value] of Object.entries(rest)) {
    const kind = known.get(name);
    if (!kind) throw wrong(`There is no field '${name.slice(0, 64)}' in this message.`, name.slice(0, 64), id);
    if (!kind[1](value)) throw wrong(`'${name}' is ${kind[0]}.`, name, id);
  }
  for (const name of Object.keys(fields)) {
    if (name.endsWith("!") && !(name.slice(0, -1) in rest)) throw wrong(`'${name.slice(0, -1)}' is missing.`, name.slice(0, -1), id);
  }
}
