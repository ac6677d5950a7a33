/**
 * Service worker of /apps/: with no network an app's page says so, in place of the browser. Everything is asked of the network
 * first; what is kept is what pages are made of (`/web/`) and the page that says so, and never an answer of the server's.
 */

const SHELL = "aimass-shell-1";
const OFFLINE = "/apps/offline";
const PARTS = ["/web/css/base.css", "/web/css/top.css", "/web/css/site.css", "/web/fonts/instrument-sans.woff2", "/web/images/icon.svg"];

/** @type {any} */
const worker = self;

worker.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(keep().then(() => worker.skipWaiting())));

worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(
  caches.keys().then((names) => Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name)))).then(() => worker.clients.claim())));

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin) return;
  if (event.request.mode === "navigate") event.respondWith(fetch(event.request).catch(() => kept(OFFLINE)));
  else if (pathname.startsWith("/web/")) event.respondWith(part(event));
});

async function keep() {
  const shell = await caches.open(SHELL);
  await shell.addAll([OFFLINE, ...PARTS]);
}

/** @param {any} event */
async function part(event) {
  const answer = await fetch(event.request).catch(() => null);
  if (answer === null) return kept(event.request);
  if (answer.ok) {
    const copy = answer.clone();
    event.waitUntil(caches.open(SHELL).then((shell) => shell.put(event.request, copy)).catch(() => null)); // a full disk harms nobody
  }
  return answer;
}

/** @param {Request | string} request */
async function kept(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? Response.error();
}
