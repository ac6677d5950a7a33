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
const INFO = 0x1549a966;
const DURATION = 0x4489;
const TIMESTAMP = 0xe7; // of a cluster
const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
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
  const end = place < recording.size ? await lastTime(recording) : null;
  const head = end === null ? recording.slice(0, place)
    : timed(new Uint8Array(await recording.slice(0, place).arrayBuffer()), end);
  return new Blob([head, tags(text), recording.slice(place)], { type });
}

/**
 * The head of a file with its length in the Info element, which a recorder can't know when it writes that.
 * @param {Uint8Array<ArrayBuffer>} head all before the first cluster
 * @param {number} ticks of the file's own clock, that of its blocks
 */
function timed(head, ticks) {
  const at = find(head, Uint8Array.of(0x15, 0x49, 0xa9, 0x66));
  const info = at < 0 ? null : read(head, at);
  if (!info || info.end > head.length) return head;
  const kept = [];
  for (let from = info.body; from < info.end;) {
    const child = read(head, from);
    if (!child || child.end > info.end) return head;
    if (child.id !== DURATION) kept.push(head.subarray(from, child.end));
    from = child.end;
  }
  const value = new Uint8Array(8);
  new DataView(value.buffer).setFloat64(0, ticks);
  const body = join(...kept, element(DURATION, value));
  return join(head.subarray(0, at), element(INFO, body), head.subarray(info.end));
}

/**
 * When the last block of a recording begins, in ticks; null where no cluster is found. Looks at more and more of
 * its end, as a cluster may be long.
 * @param {Blob} recording
 */
async function lastTime(recording) {
  for (let look = LOOK; ; look *= 4) {
    const bytes = new Uint8Array(await recording.slice(Math.max(0, recording.size - look)).arrayBuffer());
    let last = null;
    for (let at = find(bytes, CLUSTER); at >= 0; at = find(bytes, CLUSTER, at + 1)) last = clusterEnd(bytes, at) ?? last;
    if (last !== null || look >= recording.size) return last;
  }
}

/** When the last block of the cluster here begins; null if it is none. @param {Uint8Array} bytes @param {number} at */
function clusterEnd(bytes, at) {
  const cluster = read(bytes, at);
  const first = cluster && read(bytes, cluster.body);
  if (!cluster || first?.id !== TIMESTAMP) return null;
  const start = bytes.subarray(first.body, first.end).reduce((sum, byte) => sum * 256 + byte, 0);
  let last = start;
  for (let from = first.end; from < Math.min(cluster.end, bytes.length);) {
    const part = read(bytes, from);
    if (!part || part.id > 0xffff) break; // the next cluster, or what follows the last one
    if (part.id === SIMPLE_BLOCK || part.id === BLOCK) {
      const time = part.body + width(bytes[part.body] ?? 0); // behind the track's number
      last = Math.max(last, start + ((((bytes[time] ?? 0) << 24) >> 16) | (bytes[time + 1] ?? 0)));
    }
    from = part.id === BLOCK_GROUP ? part.body : part.end;
  }
  return last;
}

/** How many bytes an EBML number has: the leading zeros of its first byte tell. @param {number} first */
const width = (first) => Math.clz32(first) - 23;

/**
 * The EBML element here (RFC 8794, sections 5 and 6); one of unknown size ends nowhere. null if there is none.
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function read(bytes, at) {
  const sizeAt = at + width(bytes[at] ?? 0);
  const body = sizeAt + width(bytes[sizeAt] ?? 0);
  if (sizeAt - at > 4 || body - sizeAt > 8 || body > bytes.length) return null;
  const id = bytes.subarray(at, sizeAt).reduce((sum, byte) => sum * 256 + byte, 0);
  const [first = 0, ...rest] = bytes.subarray(sizeAt, body);
  const mask = 0xff >> (body - sizeAt);
  const unknown = (first & mask) === mask && rest.every((byte) => byte === 255);
  const size = rest.reduce((sum, byte) => sum * 256 + byte, first & mask);
  return { id, body, end: unknown ? Infinity : body + size };
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
  const long = width(first);
  if (long > 4) return null;
  let size = first & (0xff >> long);
  for (let index = 1; index < long; index++) size = size * 256 + (bytes[at + index] ?? 0);
  return decoder.decode(bytes.subarray(at + long, at + long + size));
}

/** @param {Uint8Array} bytes */
function inBox(bytes) {
  const at = find(bytes, UUID);
  if (at < 8) return null;
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at - 8);
  return decoder.decode(bytes.subarray(at + UUID.length, at - 8 + size));
}
