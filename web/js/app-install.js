/** An app of a phone: its shell is kept for when there is no network, and it can be put among the others. */

/** @typedef {Event & {prompt: () => Promise<void>}} InstallEvent */

const WORKER = "/apps/worker.js";
const button = document.getElementById("install");

/** The page's policy lets this one name make addresses of scripts, and this one address is all it makes. */
function address() {
  const types = /** @type {any} */ (window).trustedTypes;
  return types ? types.createPolicy("aimass-worker", { createScriptURL: () => WORKER }).createScriptURL(WORKER) : WORKER;
}

if (isSecureContext && "serviceWorker" in navigator) void navigator.serviceWorker.register(address(), { scope: "/apps/" });

addEventListener("beforeinstallprompt", (event) => {
  if (!(button instanceof HTMLButtonElement)) return;
  event.preventDefault();
  button.hidden = false;
  button.onclick = () => {
    button.hidden = true;
    void /** @type {InstallEvent} */ (event).prompt();
  };
});
