/** The page at /docs. */

import { requests, shown } from "./docs.js";
import { h } from "./dom.js";
import { recallTheme, switchTheme } from "./theme.js";

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found;
}

/** @param {Record<string, any>} whole */
function fill(whole) {
  const all = requests(whole);
  const groups = [...new Set(all.map(({ group }) => group))];
  element("about").textContent = `${whole.info?.description ?? ""} Version ${whole.info?.version ?? ""}, ${all.length} requests.`;
  const sections = groups.map((group) => {
    const rows = all.filter((each) => each.group === group).map((each) => ({ each, row: shown(each, whole) }));
    const id = `group-${group.replaceAll(/[^a-z0-9]+/gi, "-")}`;
    const section = h("section", { "aria-labelledby": id }, h("h2", { id }, group), ...rows.map(({ row }) => row));
    element("contents").append(h("li", {}, h("a", { href: `#${id}` }, group)));
    return { section, rows };
  });
  element("groups").append(...sections.map(({ section }) => section));
  element("find").addEventListener("input", (event) => {
    const wanted = /** @type {HTMLInputElement} */ (event.target).value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { section, rows } of sections) {
      let some = false;
      for (const { each, row } of rows) {
        row.hidden = !wanted.every((word) => each.words.includes(word));
        some ||= !row.hidden;
        count += row.hidden ? 0 : 1;
      }
      section.hidden = !some;
    }
    element("found").textContent = wanted.length ? `${count} found` : "";
  });
}

recallTheme();
element("theme-button").addEventListener("click", switchTheme);
try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  fill(await answer.json());
} catch (error) {
  element("about").textContent = `openapi.json could not be read: ${error instanceof Error ? error.message : error}`;
}
