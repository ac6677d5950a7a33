/**
 * Elements without markup in strings: the page runs under trusted types and never parses HTML.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * `h("button", { class: "icon", onclick: go, "aria-label": "Go" }, "Go")`. Properties that start with "on" are
 * listeners, true is an empty attribute, false and null are left out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter(present));
  return element;
}

/**
 * @param {Child} child
 * @returns {child is Node | string}
 */
function present(child) {
  return child !== null && child !== undefined && child !== false;
}

/**
 * A sentence of the server's as children for `h`: what stands in backticks becomes code.
 * @param {string} text
 * @returns {Child[]}
 */
export function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part)).filter((part) => part !== "");
}

/**
 * An icon of the sprite in index.html.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * The element of that id; the page is broken without it.
 * @template {HTMLElement} Type
 * @param {string} id
 * @param {new () => Type} type
 * @returns {Type}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return element;
}

/**
 * A round button with an icon and a name for those who can't see it.
 * @param {string} iconName
 * @param {string} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {string} [extra] classes
 */
export function iconButton(iconName, label, onclick, extra = "") {
  const button = h("button", { type: "button", class: `ghost ${extra}`, "aria-label": label, title: label, onclick });
  button.append(icon(iconName));
  return button;
}

/**
 * A word at the lower edge that goes away by itself. It takes the place of the one before, but not of one that
 * offers something to do.
 * @param {string} text
 * @param {{label: string, act: () => void}} [action]
 */
export function toast(text, action) {
  const shelf = byId("toasts", HTMLElement);
  const note = h("div", { class: "toast" }, h("span", {}, text));
  const leave = () => note.remove();
  if (action) {
    note.append(h("button", { type: "button", class: "link", onclick: () => (leave(), action.act()) }, action.label));
  }
  for (const old of [...shelf.children]) if (action || !old.querySelector("button")) old.remove();
  shelf.append(note);
  setTimeout(leave, action ? 12_000 : 4_000);
}

/** Copies, and says so. @param {string} text @param {string} what */
export async function copy(text, what) {
  await toClipboard(text);
  toast(`${what} copied`);
}

/** @param {string} text */
export async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // plain http has no clipboard: the old way, which works inside a click
    const area = h("textarea", { class: "unseen", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/**
 * Hands a file to whoever reads the page.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Arrow keys along a row of tabs or radio buttons.
 * @param {KeyboardEvent} event
 * @param {HTMLElement[]} items
 * @returns {HTMLElement | null} where to go
 */
export function arrowTarget(event, items) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  if (!step || at < 0) return null;
  event.preventDefault();
  return items[(at + step + items.length) % items.length] ?? null;
}
