/**
 * The pipeline that is being edited: an ordered list of stages, each with a key of its own that stays the same
 * while the list is reordered. On the wire the key is the stage's `id`, so that the server keeps its state.
 */

import { Emitter } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {import("../types/api.js").StageSpec} StageSpec
 * @typedef {import("../types/api.js").StageInfo} StageInfo
 * @typedef {import("../types/api.js").Sync} Sync
 * @typedef {{key: string, name: string, track: string | undefined, params: Record<string, unknown>}} Entry
 */

const OURS = "ui-"; // ids made here, left out of links and snippets

/**
 * `structure`: stages came, went, moved, or all was set anew. `param`: one stage's parameters changed by hand.
 * `remote` tells that the change came from the server and need not go back to it.
 *
 * @extends {Emitter<{structure: {remote: boolean}, param: {entry: Entry, index: number}, sync: {remote: boolean},
 *   latency: {remote: boolean}}>}
 */
export class PipelineModel extends Emitter {
  /** @type {Entry[]} */
  entries = [];
  /** @type {Sync} */
  sync = "lowest";
  latency = 0; // ms that the server is to promise; 0: none
  /** @type {Map<string, StageInfo>} */
  #known = new Map();
  #count = 0;

  /** @param {StageInfo[]} stages */
  learn(stages) {
    this.#known = new Map(stages.map((stage) => [stage.name, stage]));
  }

  /** @param {string} name */
  info(name) {
    return this.#known.get(name) ?? null;
  }

  get catalogue() {
    return [...this.#known.values()];
  }

  /**
   * @param {Pipeline} pipeline
   * @param {{remote?: boolean}} [options]
   */
  set(pipeline, { remote = false } = {}) {
    const before = this.entries;
    this.entries = pipeline.map((spec, index) => {
      const same = before[index];
      // what came back without ids is still the same stage where name and place agree
      const id = spec.id ?? (same?.name === spec.stage ? same.key : undefined);
      return this.#entry({ ...spec, id });
    });
    this.emit("structure", { remote });
  }

  /** @param {StageSpec} spec @returns {Entry} */
  #entry({ stage, id, track, ...params }) {
    const number = id?.startsWith(OURS) ? Number(id.slice(OURS.length)) : 0;
    if (number > this.#count) this.#count = number;
    return { key: id ?? `${OURS}${++this.#count}`, name: stage, track, params };
  }

  /**
   * @param {string} name
   * @param {number} [at]
   * @returns {Entry}
   */
  add(name, at = this.entries.length) {
    const entry = this.#entry({ stage: name });
    this.entries.splice(at, 0, entry);
    this.emit("structure", { remote: false });
    return entry;
  }

  /** @param {string} key */
  remove(key) {
    this.entries = this.entries.filter((entry) => entry.key !== key);
    this.emit("structure", { remote: false });
  }

  /**
   * @param {string} key
   * @param {number} to index in the list
   */
  move(key, to) {
    const from = this.index(key);
    const target = Math.max(0, Math.min(this.entries.length - 1, to));
    if (from < 0 || from === target) return;
    const [entry] = this.entries.splice(from, 1);
    if (entry) this.entries.splice(target, 0, entry);
    this.emit("structure", { remote: false });
  }

  /**
   * @param {string} key
   * @param {string} name
   * @param {unknown} value undefined goes back to the default
   */
  setParam(key, name, value) {
    const index = this.index(key);
    const entry = this.entries[index];
    if (!entry) return;
    const given = value === undefined ? this.defaultOf(entry.name, name) : value;
    if (given === undefined) delete entry.params[name];
    else entry.params[name] = given;
    this.emit("param", { entry, index });
  }

  /**
   * @param {Sync} sync
   * @param {{remote?: boolean}} [options]
   */
  setSync(sync, { remote = false } = {}) {
    if (sync === this.sync) return;
    this.sync = sync;
    this.emit("sync", { remote });
  }

  /**
   * @param {number} latency ms
   * @param {{remote?: boolean}} [options]
   */
  setLatency(latency, { remote = false } = {}) {
    if (latency === this.latency) return;
    this.latency = latency;
    this.emit("latency", { remote });
  }

  /** @param {string} key */
  index(key) {
    return this.entries.findIndex((entry) => entry.key === key);
  }

  /**
   * @param {string} stage
   * @param {string} name
   */
  defaultOf(stage, name) {
    return this.info(stage)?.params.properties?.[name]?.default;
  }

  /** What goes to the server. @returns {Pipeline} */
  wire() {
    return this.entries.map(({ key, name, track, params }) => (
      { stage: name, id: key, ...(track === undefined ? {} : { track }), ...params }));
  }

  /** What people see and share: no ids of ours, no defaults. @returns {Pipeline} */
  plain() {
    return this.entries.map((entry) => this.plainStage(entry));
  }

  /** The same of a pipeline that the server runs. @param {Pipeline} pipeline @returns {Pipeline} */
  plainOf(pipeline) {
    return pipeline.map(({ stage, id, track, ...params }) => (
      this.plainStage({ key: id ?? OURS, name: stage, track, params })));
  }

  /** @param {Entry} entry @returns {StageSpec} */
  plainStage({ key, name, track, params }) {
    /** @type {StageSpec} */
    const spec = { stage: name };
    if (!key.startsWith(OURS)) spec.id = key;
    if (track !== undefined) spec.track = track;
    for (const [param, value] of Object.entries(params)) {
      if (JSON.stringify(value) !== JSON.stringify(this.defaultOf(name, param))) spec[param] = value;
    }
    return spec;
  }

  /** True where the server runs just this. @param {Pipeline} pipeline */
  matches(pipeline) {
    return JSON.stringify(sorted(pipeline)) === JSON.stringify(sorted(this.wire()));
  }
}

/** @param {Pipeline} pipeline */
function sorted(pipeline) {
  return pipeline.map((spec) => Object.entries(spec).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The pipeline in a page's address, as `#pipeline=[...]&sync=lips&latency=80`.
 * @param {string} hash
 * @returns {{pipeline: Pipeline, sync: Sync, latency: number} | null} null where there is none or it can't be read
 */
export function readLink(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const text = values.get("pipeline");
  if (text === null) return null;
  const pipeline = parsePipeline(text);
  const latency = Number.parseInt(values.get("latency") ?? "", 10) || 0;
  return pipeline && { pipeline, sync: values.get("sync") === "lips" ? "lips" : "lowest", latency };
}

/**
 * @param {string} text
 * @returns {Pipeline | null}
 */
export function parsePipeline(text) {
  try {
    const value = JSON.parse(text);
    const fits = Array.isArray(value) && value.every((item) => item && typeof item.stage === "string");
    return fits ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {Pipeline} pipeline
 * @param {Sync} sync
 * @param {number} [latency] ms
 */
export function writeLink(pipeline, sync, latency = 0) {
  const text = encodeURIComponent(JSON.stringify(pipeline)).replaceAll("%3A", ":").replaceAll("%2C", ",");
  return `#pipeline=${text}${sync === "lips" ? "&sync=lips" : ""}${latency ? `&latency=${latency}` : ""}`;
}
