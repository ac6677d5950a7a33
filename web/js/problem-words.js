/** What went wrong, in the page's language: what the server says is English, and the most frequent of it is known by heart. */

import { explain } from "../sdk/aimass-stream.js";
import { known, say } from "./site-words.js";

/** A text with {names} in it as what it looks like when they are put in. @param {string} text */
const pattern = (text) => new RegExp(`^${text.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+?)")}$`, "su");

/** Texts that begin with this are the server's. */
const SERVER = "! ";

const patterns = Object.keys(known).filter((text) => text.startsWith(SERVER)).map((text) => ({ text, names: [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? ""), like: pattern(text.slice(SERVER.length)) }));

/** @param {string} detail a sentence of the server's @returns {string} the same in the page's language, where it is known */
export function translated(detail) {
  const bare = detail.replace(/\.$/, "");
  const lower = bare.charAt(0).toLowerCase() + bare.slice(1);
  for (const { text, names, like } of patterns) {
    const found = like.exec(lower) ?? like.exec(bare); // names mostly begin small; sentences don't
    if (found) return say(text, Object.fromEntries(names.map((name, at) => [name, found[at + 1] ?? ""])));
  }
  return detail;
}

/** @param {unknown} error */
export function problem(error) {
  const { message, reason } = explain(error);
  const told = translated(message);
  if (told !== message || !Object.keys(known).length) return told;
  const kind = say(`reason ${reason}`);
  return kind.startsWith("reason ") ? message : `${kind}：${message}`;
}
