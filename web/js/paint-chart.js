/** How far pictures are from every style, as bars. */

import { h } from "./dom.js";

/**
 * @typedef {import("../types/paint.js").Match} Match
 * @typedef {"before" | "like" | "after"} Role
 */

/** @type {Record<Role, string>} */
const NAMES = { before: "your picture", like: "the style's picture", after: "painted" };

export class DistanceChart {
  /** @param {HTMLElement} section @param {HTMLTableElement} table @param {HTMLElement} legend @param {HTMLElement} meaning */
  constructor(section, table, legend, meaning) {
    this.section = section;
    this.table = table;
    this.legend = legend;
    this.meaning = meaning;
  }

  clear() {
    this.section.hidden = true;
    this.stale(false);
  }

  /** Whether what was painted is another picture by now, and its bars are still those of the one before. @param {boolean} on */
  stale(on) {
    this.section.classList.toggle("stale", on);
    this.section.setAttribute("aria-busy", String(on));
  }

  /** @param {Match} match @param {Role[]} roles what its pictures are @param {string} style the one that is painted in */
  show(match, roles, style) {
    const found = roles.map((role, index) => ({ role, distances: match.pictures[index]?.distances ?? [] }));
    const all = found.flatMap(({ distances }) => distances.map(({ distance }) => distance));
    const most = Math.max(1, ...all);
    const leading = found[roles.indexOf("like")] ?? found[0]; // whose order the rows have
    const rows = (leading?.distances ?? []).filter((row) => row.installed || row.name === style);
    const least = new Map(found.map(({ role, distances }) =>
      [role, distances.find((row) => row.installed)?.name ?? ""]));
    this.table.replaceChildren(
      h("caption", { class: "unseen" }, "Distance of each picture to each style; 0 is the same, about 1 is unrelated"),
      h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, "Style"), h("th", { scope: "col" }, "Distances"))),
      h("tbody", {}, rows.map((row) => h("tr", { "data-style": row.name, class: row.name === style ? "taken" : null },
        h("th", { scope: "row" }, row.title, row.painter ? h("small", {}, row.painter) : null),
        h("td", {}, found.map(({ role, distances }) => bar(role,
          distances.find(({ name }) => name === row.name)?.distance ?? 0, most, least.get(role) === row.name)))))));
    this.legend.replaceChildren(...roles.map((role) => h("li", { class: `own-${role}` }, NAMES[role])));
    this.meaning.textContent = meaning(match, roles);
    this.section.hidden = false;
    this.stale(false);
  }
}

/** @param {Role} role @param {number} distance @param {number} most @param {boolean} least */
function bar(role, distance, most, least) {
  const line = h("i", { "aria-hidden": true });
  line.style.setProperty("--share", String(distance / most));
  return h("div", { class: `distance own-${role}` }, line,
    h("span", { class: least ? "least" : null, title: least ? "the nearest" : null },
      h("span", { class: "unseen" }, `${NAMES[role]} `), distance.toFixed(2)));
}

/** @param {Match} match @param {Role[]} roles */
function meaning(match, roles) {
  const of = (/** @type {Role} */ one, /** @type {Role} */ other) => match.between[roles.indexOf(one)]?.[roles.indexOf(other)];
  const parts = ["A short bar is a near one: 0 is the same, about 1 is what two unrelated pictures have."];
  const apart = of("before", "like");
  const now = of("after", "like");
  if (apart !== undefined) {
    parts.push(`Your two pictures are ${apart.toFixed(2)} apart${now === undefined ? "" : `, painted ${now.toFixed(2)}`}.`);
  }
  return parts.join(" ");
}
