/** What the user has set: for the popup and the worker alone, neither pages nor content scripts can read it. */

import { Rest } from "../sdk/rest.js";

/**
 * @typedef {{pipeline: import("../types/api.js").Pipeline} | {app_id: string}} Wish what sessions are to run
 * @typedef {{server: string, token: string, choice: string, wish: Wish, sound: boolean, screens: boolean, strict: boolean, sites: string[]}} Settings
 *   `choice` is the popup's way to `wish`; `strict`: without a session there is no camera; `sites` are origins that it is on for
 */

/** @type {Settings} */
const FIRST = { server: "", token: "", choice: "mirror", wish: { pipeline: [{ stage: "mirror" }] }, sound: false,
  screens: false, strict: false, sites: [] };
const SCRIPTS = [ // the bridge has to listen before the page's half calls
  { id: "1-bridge", js: ["extension/bridge.js"], world: /** @type {const} */ ("ISOLATED") },
  { id: "2-page", js: ["extension/page.js", "adapters/media-devices.js"], world: /** @type {const} */ ("MAIN") },
];

/** @returns {Promise<Settings>} */
export const settings = () => chrome.storage.local.get(FIRST);

/** @param {Partial<Settings>} part */
export const change = (part) => chrome.storage.local.set(part);

/** @param {Settings} settings */
export const restOf = ({ server, token }) => new Rest(server, token || null);

/** What the browser asks the user for. @param {string} origin */
export const permission = (origin) => ({ origins: [`${origin}/*`] });

/** Key in the session's storage of how a document does. @param {number} [tab] @param {string} [document] none: how they begin */
export const seen = (tab, document = "") => `seen ${tab} ${document}`;

/** Sessions that documents have open, by their keys in the session's storage: who has it, and its id. */
export async function openSessions() {
  const kept = await chrome.storage.session.get(null);
  return Object.entries(kept).filter(([key]) => key.startsWith("open ")).map(([key, tab]) => {
    const [, document = "", id = ""] = key.split(" ");
    return { key, tab: Number(tab), document, id };
  });
}

/** Has the browser put the scripts into the pages of all sites that are on and allowed. */
export const register = () => navigator.locks.request("register", async () => {
  const { sites } = await settings();
  const allowed = await Promise.all(sites.map((site) => chrome.permissions.contains(permission(site))));
  const matches = sites.filter((_, at) => allowed[at]).map((site) => `${site}/*`);
  await chrome.scripting.unregisterContentScripts();
  if (!matches.length) return;
  await chrome.scripting.registerContentScripts(SCRIPTS.map((script) => (
    { ...script, matches, runAt: "document_start", allFrames: true, matchOriginAsFallback: true })));
});
