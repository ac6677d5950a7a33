/** How to use this server's speech with OpenAI's clients: as Python, JavaScript and curl. Texts only. */

/**
 * @typedef {import("./snippets.js").Language} Language
 * @typedef {"talk" | "transcribe" | "speak"} Purpose
 * @typedef {{origin: string, key: string | null, secured: boolean}} Server `key`: to be written out; null: it is to
 *   come from the environment
 */

const VARIABLE = "AIMASS_API_KEY";

/** @param {Purpose} purpose @param {Language} language @param {Server} server */
export function speechSnippet(purpose, language, server) {
  return SNIPPETS[purpose][language](server).join("\n");
}

/** @param {Server} server */
export const baseUrl = ({ origin }) => `${origin}/v1`;

/** A key as Python's or JavaScript's source. @param {Server} server @param {string} environment */
const keyed = ({ key, secured }, environment) => (key !== null ? JSON.stringify(key) : secured ? environment : '"none"');

/** @param {Server} server */
const pythonKey = (server) => keyed(server, `os.environ["${VARIABLE}"]`);

/** @param {Server} server */
const needsOs = (server) => (server.key === null && server.secured ? ["import os"] : []);

/** @param {Server} server */
const curlKey = ({ key, secured }) => (key !== null ? [`  -H 'Authorization: Bearer ${key}' \\`]
  : secured ? [`  -H "Authorization: Bearer $${VARIABLE}" \\`] : []);

/** @param {Server} server */
const nodeClient = (server) => [
  'import OpenAI from "openai"; // npm install openai',
  "",
  `const client = new OpenAI({ baseURL: "${baseUrl(server)}", apiKey: ${keyed(server, `process.env.${VARIABLE}`)} });`,
];

/** @type {Record<Purpose, Record<Language, (server: Server) => string[]>>} */
const SNIPPETS = {
  talk: {
    python: (server) => [
      "import asyncio",
      "import base64",
      ...needsOs(server),
      "import wave",
      "",
      "from openai import AsyncOpenAI  # pip install 'openai[realtime]'",
      "",
      "client = AsyncOpenAI(",
      `    base_url="${baseUrl(server)}",`,
      `    websocket_base_url="${baseUrl(server).replace(/^http/, "ws")}",`,
      `    api_key=${pythonKey(server)},`,
      ")",
      "",
      "async def main():",
      `    with wave.open("answer.wav", "wb") as sound:`,
      "        sound.setparams((1, 2, 24_000, 0, 'NONE', ''))",
      `        async with client.realtime.connect(model="gpt-realtime") as connection:`,
      `            await connection.conversation.item.create(item={`,
      `                "type": "message", "role": "user",`,
      `                "content": [{"type": "input_text", "text": "What time is it?"}],`,
      "            })",
      "            await connection.response.create()",
      "            async for event in connection:",
      `                if event.type == "response.output_audio.delta":`,
      "                    sound.writeframes(base64.b64decode(event.delta))",
      `                elif event.type == "response.output_audio_transcript.delta":`,
      `                    print(event.delta, end="", flush=True)`,
      `                elif event.type == "response.done":`,
      "                    return",
      "",
      "asyncio.run(main())",
    ],
    javascript: (server) => [
      "// in a page: its origin must be this server's, or be named in the setting AIMASS_ORIGINS",
      "const pc = new RTCPeerConnection();",
      "const microphone = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true } });",
      "pc.addTrack(microphone.getTracks()[0], microphone);",
      "pc.ontrack = ({ track }) => {",
      "  const player = new Audio();",
      "  player.srcObject = new MediaStream([track]);",
      "  player.play();",
      "};",
      `const events = pc.createDataChannel("oai-events");`,
      "events.onmessage = ({ data }) => console.log(JSON.parse(data));",
      "await pc.setLocalDescription();",
      "while (pc.iceGatheringState !== \"complete\") await new Promise((go) => (pc.onicegatheringstatechange = go));",
      "",
      `const answer = await fetch("${baseUrl(server)}/realtime/calls?model=gpt-realtime", {`,
      `  method: "POST",`,
      "  headers: {",
      `    "Content-Type": "application/sdp",`,
      ...(server.key !== null ? [`    Authorization: "Bearer ${server.key}",`]
        : server.secured ? ["    Authorization: `Bearer ${key}`,"] : []),
      "  },",
      "  body: pc.localDescription.sdp,",
      "});",
      "if (!answer.ok) throw new Error(await answer.text());",
      `await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });`,
    ],
    curl: (server) => [
      "# a key of ten minutes, for a browser: the server's own stays with you",
      `curl ${baseUrl(server)}/realtime/client_secrets \\`,
      ...curlKey(server),
      "  -H 'Content-Type: application/json' \\",
      `  -d '{"session": {"type": "realtime", "model": "gpt-realtime"}}'`,
    ],
  },
  transcribe: {
    python: (server) => [
      ...needsOs(server),
      ...(needsOs(server).length ? [""] : []),
      "from openai import OpenAI  # pip install openai",
      "",
      `client = OpenAI(base_url="${baseUrl(server)}", api_key=${pythonKey(server)})`,
      "",
      `with open("speech.mp3", "rb") as file:`,
      `    stream = client.audio.transcriptions.create(model="whisper-1", file=file, stream=True)`,
      "    for event in stream:",
      `        if event.type == "transcript.text.delta":`,
      `            print(event.delta, end="", flush=True)`,
      "print()",
    ],
    javascript: (server) => [
      `import fs from "node:fs";`,
      ...nodeClient(server),
      "",
      "const said = await client.audio.transcriptions.create({",
      `  model: "whisper-1", file: fs.createReadStream("speech.mp3"), response_format: "verbose_json",`,
      `  timestamp_granularities: ["word"],`,
      "});",
      "console.log(said.text, said.words);",
    ],
    curl: (server) => [
      "# any container with sound; srt, vtt, text, json and verbose_json",
      `curl ${baseUrl(server)}/audio/transcriptions \\`,
      ...curlKey(server),
      "  -F model=whisper-1 -F file=@speech.mp3 -F response_format=srt",
    ],
  },
  speak: {
    python: (server) => [
      ...needsOs(server),
      ...(needsOs(server).length ? [""] : []),
      "from openai import OpenAI  # pip install openai",
      "",
      `client = OpenAI(base_url="${baseUrl(server)}", api_key=${pythonKey(server)})`,
      "",
      `with client.audio.speech.with_streaming_response.create(`,
      `    model="tts-1", voice="alloy", input="Hello from your own server.", response_format="mp3",`,
      ") as speech:",
      `    speech.stream_to_file("hello.mp3")`,
    ],
    javascript: (server) => [
      `import fs from "node:fs/promises";`,
      ...nodeClient(server),
      "",
      "const speech = await client.audio.speech.create({",
      `  model: "tts-1", voice: "alloy", input: "Hello from your own server.", response_format: "mp3",`,
      "});",
      `await fs.writeFile("hello.mp3", Buffer.from(await speech.arrayBuffer()));`,
    ],
    curl: (server) => [
      `curl ${baseUrl(server)}/audio/speech \\`,
      ...curlKey(server),
      "  -H 'Content-Type: application/json' -o hello.mp3 \\",
      `  -d '{"model": "tts-1", "voice": "alloy", "input": "Hello from your own server."}'`,
    ],
  },
};
