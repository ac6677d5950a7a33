/**
 * Makes the requests of sessions, with the user's key, which pages never get. It does for a page what the user has
 * allowed and nothing else: it opens sessions of the chosen pipeline, goes on with them and ends them.
 */

import { openSessions, register, restOf, seen, settings } from "./settings.js";

/**
 * @typedef {chrome.runtime.MessageSender} Sender
 * @typedef {{method: string, path: string, body?: string}} Call
 */

const SECONDS = 10; // that an answer may take
const SESSION = /^\/v1\/sessions\/([\w-]+)$/;
const BADGES = /** @type {Record<string, [text: string, colour: string]>} */ ({
  connecting: ["…", "#8a6d00"], live: ["on", "#1f7a4d"], reconnecting: ["…", "#8a6d00"], failed: ["!", "#b3261e"],
});

void chrome.storage.local.setAccessLevel({ accessLevel: "TRUSTED_CONTEXTS" });
for (const changed of [chrome.runtime.onInstalled, chrome.runtime.onStartup, chrome.permissions.onAdded,
  chrome.permissions.onRemoved]) changed.addListener(() => void register());

/** @type {Record<string, (message: any, sender: Sender) => Promise<unknown>>} */
const ANSWERS = { call, given, left, sdk, state };

chrome.runtime.onMessage.addListener((message, sender, reply) => {
  const answer = ANSWERS[message.ask];
  if (!answer || !sender.tab) return false;
  answer(message, sender).then(reply, () => reply(null));
  return true;
});

/** What media-devices.js is to do, null where the site is off. @param {unknown} _ @param {Sender} sender */
async function given(_, sender) {
  const { server, sites, sound, screens, strict } = await settings();
  if (!server || !sites.includes(sender.origin ?? "")) return null;
  return { kinds: sound ? "audio video" : "video", screens: screens ? "" : "raw", fallback: strict ? "black" : "raw" };
}

/** Where the SDK is, which is asked for whenever a session begins. @param {unknown} _ @param {Sender} sender */
async function sdk(_, sender) {
  await state({ state: "connecting" }, sender);
  return chrome.runtime.getURL("sdk/aimass-stream.js");
}

/**
 * One request of a session's; null where there is no answer, or it is none that pages may make.
 * @param {Call} call
 * @param {Sender} sender
 */
async function call({ method, path, body }, { origin = "", documentId, tab }) {
  const known = await settings();
  const open = `open ${documentId} `;
  const ended = method === "DELETE" ? SESSION.exec(path)?.[1] : undefined;
  const asked = ended ? (await chrome.storage.session.get(open + ended))[open + ended] !== undefined
    : `${method} ${path}` === "GET /v1/config" || `${method} ${path}` === "POST /v1/webrtc/offer";
  if (!known.sites.includes(origin) || !asked) return null;
  const answer = await send(known, { method, path, body: method === "POST" ? offer(body ?? "", known.wish) : undefined });
  if (ended) await chrome.storage.session.remove(open + ended);
  else if (method === "POST" && answer.status < 300) {
    await chrome.storage.session.set({ [open + JSON.parse(answer.body ?? "").session_id]: tab?.id });
  }
  return answer;
}

/** The page's offer with the user's pipeline, or with what resumes a session. @param {string} body @param {object} wish */
function offer(body, wish) {
  const { sdp, session_id, resume_token, last_seq } = JSON.parse(body);
  return JSON.stringify({ sdp, type: "offer", ...(session_id ? { session_id, resume_token, last_seq } : wish) });
}

/** @param {import("./settings.js").Settings} known @param {Call} call */
async function send(known, { method, path, body }) {
  const rest = restOf(known);
  const headers = { ...rest.headers(known.token || null), ...(body ? { "Content-Type": "application/json" } : {}) };
  const response = await fetch(new URL(path.slice(1), rest.base),
    { method, headers, body: body ?? null, credentials: "omit", signal: AbortSignal.timeout(SECONDS * 1000) });
  const retry = response.headers.get("Retry-After");
  return { status: response.status, headers: retry ? { "Retry-After": retry } : {},
    body: response.status === 204 ? null : await response.text() };
}

/** Keeps what the popup shows of a page. @param {any} told @param {Sender} sender */
async function state({ state, id, reason, message, next }, { documentId, origin, tab }) {
  const key = seen(tab?.id, documentId);
  if (id && (state === "closed" || state === "failed")) await chrome.storage.session.remove(`open ${documentId} ${id}`);
  if (state === "closed" && (await openSessions()).some(({ document }) => document === documentId)) return; // another goes on
  if (state === "closed") await chrome.storage.session.remove(key);
  else await chrome.storage.session.set({ [key]: { state, origin, reason, message, next } });
  const [text, color] = BADGES[state] ?? ["", "#000"];
  await chrome.action.setBadgeBackgroundColor({ color, tabId: tab?.id });
  await chrome.action.setBadgeText({ text, tabId: tab?.id });
}

/** The document is gone, and with it what it had open. @param {unknown} _ @param {Sender} sender */
async function left(_, { documentId, tab }) {
  const known = await settings();
  const open = (await openSessions()).filter(({ document }) => document === documentId);
  await chrome.storage.session.remove([seen(tab?.id, documentId), ...open.map(({ key }) => key)]);
  await Promise.allSettled(open.map(({ id }) => send(known, { method: "DELETE", path: `/v1/sessions/${id}` })));
}
