/** What a page says, in its own language: a text in English is its own key. */

const language = document.documentElement.lang.slice(0, 2);

/** @type {Record<string, string>} */
export const known = language === "en" ? {} : await fetch(`/web/words/${language}.json`).then((answer) => answer.json());

/**
 * @param {string} text
 * @param {Record<string, string | number>} [inserted] for what stands in braces
 */
export function say(text, inserted = {}) {
  return (known[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => String(inserted[name] ?? ""));
}
