/**
 * A recording carries its pipeline: as a Tags element of WebM (Matroska, RFC 9559, section 5.1.8) or as a `uuid`
 * box at the end of MP4 (ISO 14496-12, section 11.1). Players skip them, and ffmpeg shows the tag and keeps it.
 */

const NAME = "AIMASS_PIPELINE";
const TAGS = 0x1254c367;
const TAG = 0x7373;
const TARGETS = 0x63c0;
const SIMPLE_TAG = 0x67c8;
const TAG_NAME = 0x45a3;
const TAG_LANGUAGE = 0x447a;
const TAG_STRING = 0x4487;
const SEGMENT = Uint8Array.of(0x18, 0x53, 0x80, 0x67);
const UNKNOWN = Uint8Array.of(0x01, 255, 255, 255, 255, 255, 255, 255); // the size of what is written on the fly
const SEEK_HEAD = Uint8Array.of(0x11, 0x4d, 0x9b, 0x74);
const CLUSTER = Uint8Array.of(0x1f, 0x43, 0xb6, 0x75);
const UUID = Uint8Array.from([0xa1, 0x3a, 0x55, 0x57, 0x2e, 0x5b, 0x4d, 0x0e, 0x9b, 0x7c, 0x41, 0x49, 0x4d, 0x41, 0x53, 0x53]);
const LOOK = 512 * 1024; // bytes at either end that are searched

/** @typedef {import("../types/api.js").Pipeline} Pipeline */
/** @typedef {{pipeline: Pipeline, sync: import("../types/api.js").Sync}} Recipe */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @param {...Uint8Array} parts @returns {Uint8Array<ArrayBuffer>} */
function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** One EBML element with a size of four bytes (RFC 8794, section 4). @param {number} id @param {Uint8Array} body */
function element(id, body) {
  /** @type {number[]} */
  const head = [];
  for (let rest = id; rest > 0; rest = Math.floor(rest / 256)) head.unshift(rest % 256);
  const size = body.length;
  head.push(0x10 | (size >>> 24), (size >>> 16) & 255, (size >>> 8) & 255, size & 255);
  return join(Uint8Array.from(head), body);
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
function tags(text) {
  const simple = element(SIMPLE_TAG, join(
    element(TAG_NAME, encoder.encode(NAME)),
    element(TAG_LANGUAGE, encoder.encode("und")),
    element(TAG_STRING, encoder.encode(text))));
  return element(TAGS, element(TAG, join(element(TARGETS, new Uint8Array()), simple)));
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
function box(text) {
  const body = join(encoder.encode("uuid"), UUID, encoder.encode(text));
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, body.length + 4);
  return join(size, body);
}

/**
 * @param {Blob} recording
 * @param {Recipe} recipe
 * @returns {Promise<Blob>}
 */
export async function sign(recording, recipe) {
  const text = JSON.stringify(recipe);
  const { type } = recording;
  if (type.includes("mp4")) return new Blob([recording, box(text)], { type });
  const place = await room(recording);
  return new Blob([recording.slice(0, place), tags(text), recording.slice(place)], { type });
}

/**
 * Where the tags go: before the first cluster, where every program looks, if the file holds no sizes or places that
 * this would make wrong; else at the end. Recorders in browsers write on the fly, so it is mostly the former.
 * @param {Blob} recording
 */
async function room(recording) {
  const head = new Uint8Array(await recording.slice(0, LOOK).arrayBuffer());
  const segment = find(head, SEGMENT);
  const cluster = find(head, CLUSTER, segment + SEGMENT.length);
  const seek = find(head, SEEK_HEAD, segment + SEGMENT.length);
  const open = segment >= 0 && UNKNOWN.every((byte, at) => head[segment + SEGMENT.length + at] === byte);
  return open && cluster > 0 && (seek < 0 || seek > cluster) ? cluster : recording.size;
}

/**
 * The recipe in a recording, wherever at its ends it stands: programs that copy a WebM move tags to the front.
 * @param {Blob} file
 * @returns {Promise<Recipe | null>}
 */
export async function readRecipe(file) {
  const start = Math.max(0, file.size - LOOK);
  for (const part of [file.slice(start), file.slice(0, Math.min(start, LOOK))]) {
    const bytes = new Uint8Array(await part.arrayBuffer());
    const text = inTags(bytes) ?? inBox(bytes);
    const recipe = text === null ? null : check(text);
    if (recipe) return recipe;
  }
  return null;
}

/** @param {string} text @returns {Recipe | null} */
function check(text) {
  try {
    const { pipeline, sync } = JSON.parse(text);
    const fits = Array.isArray(pipeline) && pipeline.every((stage) => typeof stage?.stage === "string");
    return fits ? { pipeline, sync: sync === "lips" ? "lips" : "lowest" } : null;
  } catch {
    return null;
  }
}

/** @param {Uint8Array} bytes @param {Uint8Array} wanted @param {number} [from] */
function find(bytes, wanted, from = 0) {
  const first = wanted[0] ?? 0;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}

/** @param {Uint8Array} bytes */
function inTags(bytes) {
  const name = find(bytes, encoder.encode(NAME));
  if (name < 0) return null;
  const at = find(bytes, Uint8Array.of(TAG_STRING >> 8, TAG_STRING & 255), name);
  return at < 0 ? null : sized(bytes, at + 2);
}

/** The text behind an EBML size (RFC 8794, section 4.4). @param {Uint8Array} bytes @param {number} at */
function sized(bytes, at) {
  const first = bytes[at] ?? 0;
  const width = Math.clz32(first) - 23; // leading zeros of the first byte tell how many bytes the size has
  if (width > 4) return null;
  let size = first & (0xff >> width);
  for (let index = 1; index < width; index++) size = size * 256 + (bytes[at + index] ?? 0);
  return decoder.decode(bytes.subarray(at + width, at + width + size));
}

/** @param {Uint8Array} bytes */
function inBox(bytes) {
  const at = find(bytes, UUID);
  if (at < 8) return null;
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at - 8);
  return decoder.decode(bytes.subarray(at + UUID.length, at - 8 + size));
}
