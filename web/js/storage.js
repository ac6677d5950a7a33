/**
 * What the browser remembers for us. A person may have forbidden that: then nothing is remembered and all else
 * works.
 */

/** @param {() => Storage} area @param {string} name @returns {string | null} */
function read(area, name) {
  try {
    return area().getItem(name);
  } catch {
    return null;
  }
}

/** @param {() => Storage} area @param {string} name @param {string | null} value */
function write(area, name, value) {
  try {
    if (value === null) area().removeItem(name);
    else area().setItem(name, value);
  } catch {
    return; // forbidden or full
  }
}

const local = () => localStorage;
const session = () => sessionStorage;

/** For every visit. @param {string} name */
export const recall = (name) => read(local, name);

/** @param {string} name @param {string | null} value */
export const remember = (name, value) => write(local, name, value);

const KEY = "aimass.key";
/** @type {string | null} */
let key = read(session, KEY);

/** The API key, kept for this tab only. */
export const apiKey = () => key;

/** @param {string | null} value */
export function setApiKey(value) {
  key = value;
  write(session, KEY, value);
}

let refused = false;

/** The server wants to know who is calling: it refused who showed nothing. */
export function refuse() {
  refused = true;
  dispatchEvent(new Event("aimass:refused"));
}

/** What a program has to show: this tab's key, a key of who is signed in, some key, or nothing. */
export const shows = () => (key !== null ? "given" : csrfToken() ? "own" : refused ? "some" : "nothing");

/** What a request of somebody who is signed in by a cookie shows: that it comes from this page, and not from another. */
export const csrfToken = () => /(?:^|;\s*)aimass_csrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
