/** The same thing as the controls do, as curl, Python and JavaScript. Texts only: no page, no session. */

/**
 * @typedef {import("../types/api.js").Pipeline} Pipeline
 * @typedef {{origin: string, session: string | null, secured: boolean}} Place where to send it; `secured` servers
 *   want a key
 * @typedef {{pipeline: Pipeline, sync?: string} | {stage: {index: number, params: Record<string, unknown>}}} Change
 * @typedef {"curl" | "python" | "javascript"} Language
 */

/** @type {ReadonlyArray<{name: Language, title: string}>} */
export const LANGUAGES = [
  { name: "curl", title: "curl" },
  { name: "python", title: "Python" },
  { name: "javascript", title: "JavaScript" },
];

const KEY = "AIMASS_API_KEY";

/**
 * Changes the running session by REST.
 * @param {Language} language
 * @param {Place} place
 * @param {Change} change
 */
export function changeSnippet(language, place, change) {
  const url = `${place.origin}/v1/sessions/${place.session ?? "SESSION_ID"}`;
  switch (language) {
    case "curl": return curl(url, change, place.secured);
    case "python": return python(place, change);
    default: return javascript(url, change, place.secured);
  }
}

/** @param {string} url @param {unknown} body @param {boolean} secured */
function curl(url, body, secured) {
  const lines = [`curl -X PATCH ${url}`, `  -H 'Content-Type: application/json'`];
  if (secured) lines.push(`  -H "Authorization: Bearer $${KEY}"`);
  // a quote ends the shell's string: close it, write an escaped one, open it again
  lines.push(`  -d '${pretty(body, "  ").replaceAll("'", `'\\''`)}'`);
  return lines.join(" \\\n");
}

/** @param {Place} place */
function client({ origin, secured }) {
  return `Client("${origin}"${secured ? `, api_key=os.environ["${KEY}"]` : ""}) as client`;
}

/** @param {Place} place @param {Change} change */
function python(place, change) {
  const values = "stage" in change
    ? [`stage=(${change.stage.index}, ${pythonValue(change.stage.params, "        ")})`]
    : Object.entries(change).map(([name, value]) => `${name}=${pythonValue(value, "        ")}`);
  return [
    "import asyncio",
    ...(place.secured ? ["import os"] : []),
    "",
    "from aimass_stream.client import Client",
    "",
    "async def main():",
    `    async with ${client(place)}:`,
    `        await client.update("${place.session ?? "SESSION_ID"}", ${values.join(", ")})`,
    "",
    "asyncio.run(main())",
  ].join("\n");
}

/** @param {string} url @param {unknown} body @param {boolean} secured */
function javascript(url, body, secured) {
  return [
    `const response = await fetch("${url}", {`,
    `  method: "PATCH",`,
    `  headers: {`,
    `    "Content-Type": "application/json",`,
    ...(secured ? ["    Authorization: `Bearer ${key}`,"] : []),
    `  },`,
    `  body: JSON.stringify(${pretty(body, "  ")}),`,
    `});`,
    `if (!response.ok) throw new Error((await response.json()).detail);`,
  ].join("\n");
}

/**
 * A session of one's own that runs this pipeline.
 * @param {Language} language
 * @param {Place} place
 * @param {Pipeline} pipeline
 */
export function startSnippet(language, place, pipeline) {
  switch (language) {
    case "curl": return shellStart(place, pipeline);
    case "python": return pythonStart(place, pipeline);
    default: return javascriptStart(place, pipeline);
  }
}

/** @param {Place} place @param {Pipeline} pipeline */
function shellStart({ origin, secured }, pipeline) {
  const query = encodeURIComponent(JSON.stringify(pipeline));
  const auth = secured ? ` \\\n  -H "Authorization: Bearer $${KEY}"` : "";
  return [
    "# WHIP (RFC 9725): offer.sdp is your WebRTC client's offer, the answer comes back;",
    "# OBS and GStreamer take the same address as their WHIP server",
    `curl -i '${origin}/v1/whip?pipeline=${query.replaceAll("'", "%27")}' \\`,
    `  -H 'Content-Type: application/sdp'${auth} --data-binary @offer.sdp`,
    "",
    "# or a file, through the server and back, in real time",
    `aimass stream in.mp4 --out out.mp4 --url ${origin} \\`,
    `  --pipeline '${JSON.stringify(pipeline).replaceAll("'", `'\\''`)}'`,
  ].join("\n");
}

/** @param {Place} place @param {Pipeline} pipeline */
function pythonStart(place, pipeline) {
  return [
    "import asyncio",
    ...(place.secured ? ["import os"] : []),
    "",
    "from aimass_stream.client import Client",
    "from aimass_stream.client.files import FileReader",
    "",
    `pipeline = ${pythonValue(pipeline, "")}`,
    "",
    "async def play(session):",
    `    for frame in FileReader("in.mp4").pictures():`,
    "        await session.send(frame)",
    "        await asyncio.sleep(1 / 30)",
    "    await session.close()",
    "",
    "async def main():",
    `    async with ${client(place)}:`,
    `        async with client.stream(pipeline=pipeline, video="vp8") as session:`,
    "            playing = asyncio.create_task(play(session))",
    "            async for frame in session.frames():",
    "                print(frame.pts, frame.bgr.shape)",
    "            await playing",
    "",
    "asyncio.run(main())",
  ].join("\n");
}

/** @param {Place} place @param {Pipeline} pipeline */
function javascriptStart({ origin, secured }, pipeline) {
  return [
    `const media = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });`,
    `const pc = new RTCPeerConnection();`,
    `const events = pc.createDataChannel("aimass");`,
    `events.onmessage = ({ data }) => console.log(JSON.parse(data));`,
    `pc.ontrack = ({ streams }) => (document.querySelector("video").srcObject = streams[0]);`,
    `for (const track of media.getTracks()) pc.addTrack(track, media);`,
    `await pc.setLocalDescription();`,
    `while (pc.iceGatheringState !== "complete") await new Promise((go) => (pc.onicegatheringstatechange = go));`,
    ``,
    `const response = await fetch("${origin}/v1/webrtc/offer", {`,
    `  method: "POST",`,
    `  headers: {`,
    `    "Content-Type": "application/json",`,
    ...(secured ? ["    Authorization: `Bearer ${key}`,"] : []),
    `  },`,
    `  body: JSON.stringify({`,
    `    type: "offer",`,
    `    sdp: pc.localDescription.sdp,`,
    `    pipeline: ${pretty(pipeline, "    ")},`,
    `  }),`,
    `});`,
    `await pc.setRemoteDescription(await response.json());`,
  ].join("\n");
}

/**
 * JSON that reads well: short things on one line.
 * @param {unknown} value
 * @param {string} indent
 * @returns {string}
 */
export function pretty(value, indent = "") {
  return write(value, indent, { open: "{", close: "}", atom: (leaf) => JSON.stringify(leaf) });
}

/** @param {unknown} value @param {string} indent @returns {string} */
function pythonValue(value, indent) {
  const words = new Map([[true, "True"], [false, "False"], [null, "None"]]);
  return write(value, indent, { open: "{", close: "}", step: "    ",
    atom: (leaf) => words.get(/** @type {any} */ (leaf)) ?? JSON.stringify(leaf) });
}

/**
 * @param {unknown} value
 * @param {string} indent
 * @param {{open: string, close: string, step?: string, atom: (leaf: unknown) => string}} style
 * @returns {string}
 */
function write(value, indent, style) {
  if (value === null || typeof value !== "object") return style.atom(value);
  const list = Array.isArray(value);
  const [open, close] = list ? ["[", "]"] : [style.open, style.close];
  const inner = indent + (style.step ?? "  ");
  /** @param {string} at */
  const parts = (at) => (list ? value.map((item) => write(item, at, style))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${write(item, at, style)}`));
  const line = open + parts(indent).join(", ") + close;
  if (line.length <= 72 && !line.includes("\n")) return line;
  return `${open}\n${parts(inner).map((part) => inner + part).join(",\n")}\n${indent}${close}`;
}
