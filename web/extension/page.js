"use strict"; // a classic script in the page's own world, before the page's scripts

/** Stands between media-devices.js, which comes next and takes `aimassHost`, and the extension's worker. */
{
  /** @typedef {import("../sdk/session.js").Session} Session */

  const { port1: port, port2: far } = new MessageChannel();
  const post = port.postMessage.bind(port); // the page may put others in their places later
  /** @type {Map<number, (answer: any) => void>} */
  const waiting = new Map();
  let count = 0;

  port.onmessage = ({ data: { id, answer } }) => {
    waiting.get(id)?.(answer);
    waiting.delete(id);
  };
  document.dispatchEvent(new MessageEvent("aimass-bridge", { ports: [far] }));

  /** @param {Record<string, unknown>} message @returns {Promise<any>} */
  function ask(message) {
    return new Promise((resolve) => {
      waiting.set(++count, resolve);
      post({ id: count, message });
    });
  }

  /** What the page's policy may forbid and its origin may not do is the worker's. @type {typeof fetch} */
  async function request(url, { method, body } = {}) {
    const answer = await ask({ ask: "call", method, path: new URL(String(url)).pathname, body });
    if (!answer) throw new TypeError("no answer");
    return new Response(answer.body, answer);
  }

  /** @param {string} state @param {any} error @param {string | null} [id] */
  function tell(state, error, id = null) {
    const { reason = "", message = "", next = "" } = error ?? {};
    void ask({ ask: "state", state, id, reason, message, next });
  }

  Object.assign(globalThis, { aimassHost: {
    sdk: async () => import(await ask({ ask: "sdk" })),
    async given() {
      const given = await ask({ ask: "given" });
      return given && { ...given, url: "https://server.invalid/", transport: "webrtc", fetch: request };
    },
    /** @param {Session} session */
    begun(session) {
      let { id } = session;
      session.on("epoch", ({ sessionId }) => (id = sessionId));
      session.on("status", ({ state, error }) => tell(state, error, id));
      tell("live", null, id);
    },
    /** @param {unknown} error */
    failed: (error) => tell("failed", error),
  } });
}
