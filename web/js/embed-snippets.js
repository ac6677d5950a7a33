/** What to write into a page of one's own. Texts only: what a link brought along is told as text, and never ends a tag. */

import { pretty } from "./snippets.js";

/**
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {{pipeline: Pipeline, app: string | null, sync: string, latency: number}} Wish what is to run; of an app its name
 * @typedef {{origin: string, wish: Wish, source: string, token: string | null, own: boolean}} Place `own`: tokens come from one's
 *   own server, else `token` is one
 * @typedef {"frame" | "element" | "script" | "module" | "server"} Kind
 */

export const ROUTE = "/aimass-token"; // of one's own server
export const ALLOW = "camera; microphone; display-capture; autoplay";
const OWN = [
  "  async function token() {",
  `    const answer = await fetch("${ROUTE}");`,
  `    if (!answer.ok) throw new Error(\`${ROUTE} answers ${"${answer.status}"}, and no token.\`);`,
  "    return answer.text();",
  "  }",
  "",
];
/** @type {Record<string, string>} */
const SENT = { camera: "video", microphone: "audio", screen: "video" };

/** As an attribute's value, with its quotes. @param {string} text */
const quoted = (text) => `'${text.replaceAll("&", "&amp;").replaceAll("'", "&#39;").replaceAll("<", "&lt;")}'`;

/** As JSON within a script. @param {unknown} value @param {string} indent */
const json = (value, indent) => pretty(value, indent).replaceAll("<", "\\u003c");

/** @param {Wish} wish @param {string} [prefix] of the attributes */
const wished = ({ pipeline, app, sync, latency }, prefix = "") => [
  app === null ? `${prefix}pipeline=${quoted(JSON.stringify(pipeline))}` : `${prefix}app=${quoted(app)}`,
  ...(sync === "lips" ? [`${prefix}sync="lips"`] : []),
  ...(latency ? [`${prefix}latency="${latency}"`] : []),
].join(" ");

/** @param {Place} place @param {string} [prefix] of the attributes */
function shown({ token, own }, prefix = "") {
  if (own) return ` ${prefix}token-url="${ROUTE}"`;
  return token === null ? "" : ` ${prefix}token=${quoted(token)}`;
}

/** What the frame's address says. @param {Place} place @returns {string} */
export function fragment({ wish, source, token, own }) {
  const said = new URLSearchParams(wish.app === null ? { pipeline: JSON.stringify(wish.pipeline) } : { app: wish.app });
  if (wish.sync === "lips") said.set("sync", "lips");
  if (wish.latency) said.set("latency", String(wish.latency));
  if (source !== "camera") said.set("source", source);
  if (token !== null && !own) said.set("token", token);
  return String(said);
}

/** @param {Place} place */
function moduleLines({ origin, wish, source, token, own }) {
  const screen = source === "screen"; // which browsers let pages ask for at a click alone
  return [
    `<video id="aimass-video" autoplay muted playsinline></video>`,
    `<p>${screen ? `<button id="aimass-start">Start</button> ` : ""}<span id="aimass-words" role="status"></span></p>`,
    `<script type="module">`,
    `  import { ${screen ? "captureScreen" : "capture"}, connect } from "${origin}/sdk/aimass-stream.js";`,
    "",
    ...(own ? OWN : []),
    "  const tell = (error) => {",
    `    document.getElementById("aimass-words").textContent = error ? \`${"${error.message} ${error.next ?? \"\"}"}\` : "";`,
    "  };",
    "",
    "  async function start() {",
    `    const media = await ${screen ? "captureScreen()"
      : `capture({ video: ${source.includes("camera")}, audio: ${source.includes("microphone")} })`};`,
    "    const session = await connect({",
    `      url: "${origin}",`,
    wish.app === null ? `      pipeline: ${json(wish.pipeline, "      ")},` : `      app: ${json(wish.app, "")},`,
    ...(wish.sync === "lips" ? [`      sync: "lips",`] : []),
    ...(wish.latency ? [`      latency: ${wish.latency},`] : []),
    ...(own ? ["      token,"] : token === null ? [] : [`      token: ${json(token, "")},`]),
    "    });",
    `    session.on("status", ({ error }) => tell(error));`,
    "    const processed = media.getTracks().map((track) => session.process(track));",
    `    document.getElementById("aimass-video").srcObject = new MediaStream(processed);`,
    "  }",
    "",
    `  ${screen ? `document.getElementById("aimass-start").onclick = () => ` : ""}start().catch(tell);`,
    "</script>",
  ];
}

/** @type {Record<Kind, (place: Place) => string[]>} */
const SNIPPETS = {
  frame: (place) => [
    `<iframe title="Processed camera" src=${quoted(`${place.origin}/embed#${fragment(place)}`)}`,
    `  allow="${ALLOW}" width="640" height="400"></iframe>`,
    ...(place.own ? [
      `<script type="module">`,
      `  import { AimassFrame } from "${place.origin}/adapters/frame.js";`,
      "",
      ...OWN,
      `  const frame = new AimassFrame(document.querySelector('iframe[src^="${place.origin}/embed"]'), { token });`,
      `  frame.addEventListener("error", ({ detail }) => console.warn(detail.message, detail.next ?? ""));`,
      "</script>",
    ] : []),
  ],
  element: (place) => [
    `<script type="module" src="${place.origin}/adapters/element.js"></script>`,
    `<aimass-stream ${wished(place.wish)}${place.source === "camera" ? "" : ` source="${place.source}"`}${shown(place)} controls></aimass-stream>`,
  ],
  script: (place) => [
    `<script src="${place.origin}/adapters/media-devices.js"`,
    `  ${wished(place.wish, "data-")}${place.source in SENT ? ` data-kinds="${SENT[place.source]}"` : ""}${place.source === "screen" ? "" : ` data-screens="raw"`}${shown(place, "data-")}></script>`,
  ],
  module: moduleLines,
  server: ({ origin }) => [
    "import json",
    "import os",
    "from urllib.request import Request, urlopen",
    "",
    "",
    "def aimass_token() -> str:",
    `    """What the route ${ROUTE} answers, as text, to visitors you know."""`,
    `    asked = Request("${origin}/v1/connect-tokens", method="POST",`,
    `                    headers={"Authorization": "Bearer " + os.environ["AIMASS_API_KEY"]})`,
    "    with urlopen(asked, timeout=10) as answer:",
    `        return json.load(answer)["token"]`,
  ],
};

/** @param {Kind} kind @param {Place} place */
export const embedSnippet = (kind, place) => SNIPPETS[kind](place).join("\n");
