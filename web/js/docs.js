/** openapi.json as a page to read: groups of requests, each with what it takes, answers, and a line to try it. */

import { example, resolve, shape } from "./docs-schema.js";
import { h, icon, prose } from "./dom.js";

/** @typedef {import("./docs-schema.js").Schema} Schema */
/** @typedef {{method: string, path: string, group: string, operation: Schema, words: string}} Asked */

const METHODS = ["get", "head", "post", "put", "patch", "delete", "options"];
const JSON_TYPE = "application/json";

/**
 * @param {Schema} whole
 * @returns {Asked[]}
 */
export function requests(whole) {
  return Object.entries(whole.paths ?? {}).flatMap(([path, methods]) => METHODS.filter((each) => methods[each]).map(
    (method) => {
      const operation = methods[method];
      const words = `${method} ${path} ${operation.summary ?? ""} ${operation.description ?? ""}`.toLowerCase();
      return { method, path, group: operation.tags?.[0] ?? "others", operation, words };
    }));
}

/**
 * A line for the shell.
 * @param {Asked} request
 * @param {Schema} whole
 * @param {string} origin
 * @returns {string}
 */
export function curl({ method, path, operation }, whole, origin) {
  const parameters = (operation.parameters ?? []).map((/** @type {Schema} */ each) => resolve(each, whole));
  const query = parameters.filter((/** @type {Schema} */ each) => each.in === "query" && each.required)
    .map((/** @type {Schema} */ each) => `${each.name}=${example(each.schema ?? {}, whole)}`).join("&");
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quoted(origin + path + (query && `?${query}`))}`];
  if (operation.security?.length) parts.push(`-H "Authorization: Bearer $AIMASS_KEY"`);
  const content = resolve(operation.requestBody ?? {}, whole).content ?? {};
  const kind = JSON_TYPE in content ? JSON_TYPE : Object.keys(content)[0];
  if (kind === JSON_TYPE) {
    parts.push(`-H 'Content-Type: ${kind}'`, `-d ${quoted(JSON.stringify(example(content[kind].schema ?? {}, whole)))}`);
  } else if (kind?.includes("form")) {
    const schema = resolve(content[kind].schema ?? {}, whole);
    for (const name of schema.required ?? []) {
      const each = resolve(schema.properties?.[name] ?? {}, whole);
      const file = each.format === "binary" || each.contentMediaType || each.items?.format === "binary";
      parts.push(`-F ${quoted(`${name}=${file ? "@FILE" : example(each, whole)}`)}`);
    }
  } else if (kind) parts.push(`-H 'Content-Type: ${kind}'`, "--data-binary @FILE");
  return parts.join(" \\\n  ");
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} text */
function copied(text) {
  const button = h("button", { type: "button", class: "ghost", "aria-label": "Copy", title: "Copy" }, icon("copy"));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.setAttribute("aria-label", "Copied");
  });
  return h("div", { class: "try" }, h("pre", { tabindex: "0" }, text), button);
}

/**
 * What is inside of a request, made when it is opened for the first time.
 * @param {Asked} request
 * @param {Schema} whole
 */
function inside(request, whole) {
  const { operation } = request;
  const children = [];
  if (operation.description) children.push(h("p", {}, ...prose(operation.description)));
  const parameters = (operation.parameters ?? []).map((/** @type {Schema} */ each) => resolve(each, whole));
  if (parameters.length) {
    children.push(h("h3", {}, "Parameters"), h("dl", {}, ...parameters.flatMap((/** @type {Schema} */ each) => [
      h("dt", {}, each.name), h("dd", {}, h("small", {}, `${each.in}, ${shape(each.schema ?? {}, whole)}`
        + `${each.required ? "" : ", optional"} `), ...prose(each.description ?? each.schema?.description ?? ""))])));
  }
  const body = resolve(operation.requestBody ?? {}, whole).content ?? {};
  for (const [kind, { schema }] of Object.entries(body)) {
    children.push(h("h3", {}, `Body, ${kind}`), h("pre", { tabindex: "0" }, shape(schema ?? {}, whole)));
  }
  for (const [status, given] of Object.entries(operation.responses ?? {})) {
    const answer = resolve(given, whole);
    children.push(h("h3", {}, `${status} `, answer.description ?? ""));
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    if (schema && status.startsWith("2")) children.push(h("pre", { tabindex: "0" }, shape(schema, whole)));
  }
  children.push(h("h3", {}, "Try it"), copied(curl(request, whole, location.origin)));
  return h("div", {}, ...children);
}

/**
 * @param {Asked} request
 * @param {Schema} whole
 */
export function shown(request, whole) {
  const { method, path, operation } = request;
  const details = h("details", { class: "request" }, h("summary", {},
    h("span", { class: "method", "data-method": method }, method.toUpperCase()), h("span", { class: "path" }, path),
    h("span", { class: "says" }, operation.summary ?? "")));
  details.addEventListener("toggle", () => details.append(inside(request, whole)), { once: true });
  return details;
}
