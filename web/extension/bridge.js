"use strict"; // a classic script beside the page, which sees its events and none of its variables

/** Carries what page.js asks to the worker. The channel comes in an event before any script of the page runs. */
document.addEventListener("aimass-bridge", (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (!port) return;
  port.onmessage = async ({ data: { id, message } }) => {
    let answer = null;
    try {
      answer = await chrome.runtime.sendMessage(message);
    } catch {
      // the extension was taken out or is another version now: the page has its devices as they are
    }
    port.postMessage({ id, answer });
  };
  addEventListener("pagehide", () => void chrome.runtime.sendMessage({ ask: "left" }).catch(() => undefined));
}, { once: true });
