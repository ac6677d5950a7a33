/** JSON Schema in a short notation for people, and a value that would fit it. */

/** @typedef {Record<string, any>} Schema */

const DEEPEST = 5;

/**
 * What a reference leads to.
 * @param {Schema} schema
 * @param {Schema} whole the document
 * @returns {Schema}
 */
export function resolve(schema, whole) {
  let found = schema;
  for (let hops = 0; typeof found?.$ref === "string" && hops < 8; hops += 1) {
    /** @type {any} */
    let at = whole;
    for (const part of found.$ref.replace(/^#\//, "").split("/")) at = at?.[part];
    found = at ?? {};
  }
  return found ?? {};
}

/**
 * As `{"name": string, "size"?: integer}`, on several lines.
 * @param {Schema} given
 * @param {Schema} whole
 * @param {number} [deep]
 * @returns {string}
 */
export function shape(given, whole, deep = 0) {
  const schema = resolve(given, whole);
  if (deep > DEEPEST) return "…";
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) {
    return choices.map((/** @type {Schema} */ each) => shape(each, whole, deep)).join(" | ");
  }
  if (schema.type === "array" || schema.items) return `[${shape(schema.items ?? {}, whole, deep)}, …]`;
  if (schema.properties) {
    const pad = "  ".repeat(deep + 1);
    const needed = new Set(schema.required ?? []);
    const lines = Object.entries(schema.properties).map(
      ([name, each]) => `${pad}"${name}"${needed.has(name) ? "" : "?"}: ${shape(each, whole, deep + 1)}`);
    return `{\n${lines.join(",\n")}\n${"  ".repeat(deep)}}`;
  }
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return `{"…": ${shape(schema.additionalProperties, whole, deep + 1)}}`;
  }
  if (schema.format === "binary") return "file";
  return typeof schema.type === "string" ? schema.type : "any";
}

/**
 * @param {Schema} given
 * @param {Schema} whole
 * @param {number} [deep]
 * @returns {any}
 */
export function example(given, whole, deep = 0) {
  const schema = resolve(given, whole);
  if (schema.examples?.length) return schema.examples[0];
  for (const known of ["example", "default", "const"]) if (schema[known] !== undefined) return schema[known];
  if (schema.enum?.length) return schema.enum[0];
  const choice = (schema.anyOf ?? schema.oneOf)?.[0];
  if (choice) return example(choice, whole, deep);
  if (deep > DEEPEST) return null;
  if (schema.properties) {
    const needed = schema.required ?? [];
    return Object.fromEntries(needed.map(
      (/** @type {string} */ name) => [name, example(schema.properties[name] ?? {}, whole, deep + 1)]));
  }
  if (schema.type === "array") return schema.minItems ? [example(schema.items ?? {}, whole, deep + 1)] : [];
  return { string: "…", integer: schema.minimum ?? 1, number: schema.minimum ?? 1, boolean: true, object: {} }[
    /** @type {"string"} */ (schema.type)] ?? null;
}
