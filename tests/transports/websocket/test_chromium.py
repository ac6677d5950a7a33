"""A real browser on `/v1/stream`: the documented JavaScript, the key as a subprotocol, and WebCodecs both ways."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from aimass_stream import wire
from tests.support.server import served

PAGE = Path(__file__).parents[3] / "docs" / "api" / "websocket.md"
KEY = "a key with ünicode"

OPEN = """
const open = (hello) => new Promise((opened, failed) => {
  const socket = new WebSocket(`ws://${location.host}/v1/stream`, PROTOCOLS);
  const heard = { socket, texts: [], media: [], waiting: [] };
  let received = 0;
  socket.binaryType = "arraybuffer";
  socket.onopen = () => socket.send(JSON.stringify(hello));
  socket.onclose = (event) => failed(new Error(`closed with ${event.code} ${event.reason}`));
  socket.onmessage = ({ data }) => {
    received += 1;
    socket.send(JSON.stringify({ type: "ack", received }));
    if (typeof data === "string") {
      heard.texts.push(JSON.parse(data));
      if (heard.texts.length === 1) opened(heard);
    } else {
      const view = new DataView(data);
      heard.media.push({ codec: view.getUint8(0), key: view.getUint8(1) & 1, track: view.getUint8(2),
                         pts: Number(view.getBigInt64(4)), payload: new Uint8Array(data, 12) });
      heard.waiting.splice(0).forEach((wake) => wake());
    }
  };
  heard.until = async (count) => {
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error(
      `${heard.media.length} of ${count} pieces; ${JSON.stringify(heard.texts)}`)), 20000));
    while (heard.media.length < count) {
      await Promise.race([late, new Promise((wake) => heard.waiting.push(wake))]);
    }
  };
});
"""

SOUND = """
async () => {
  OPEN
  const { socket, texts, media, until } = await open(
    { type: "hello", in: { audio: { codec: "pcm_s16le", rate: 16000 } } });
  SNIPPET
  await until(1);
  socket.close(1000);
  return { hello: texts[0].type, chosen: socket.protocol, pts: media[0].pts,
           bytes: [...media[0].payload], key: media[0].key };
}
"""

PICTURES = """
async () => {
  OPEN
  const { socket, media, until } = await open(
    { type: "hello", pipeline: [{ stage: "mirror" }], in: { video: { codec: "vp8" } } });
  const encoder = new VideoEncoder({ error: console.error, output: (chunk) => {
    const data = new Uint8Array(12 + chunk.byteLength);
    const view = new DataView(data.buffer);
    view.setUint8(0, 17);
    view.setUint8(1, chunk.type === "key" ? 1 : 0);
    view.setUint8(2, 1);
    view.setBigInt64(4, BigInt(Math.round(chunk.timestamp * 0.09)));
    chunk.copyTo(data.subarray(12));
    socket.send(data);
  } });
  encoder.configure({ codec: "vp8", width: 320, height: 240, latencyMode: "quality" });  // drops none
  const canvas = new OffscreenCanvas(320, 240), paint = canvas.getContext("2d", { willReadFrequently: true });
  paint.fillStyle = "red";
  paint.fillRect(0, 0, 160, 240);
  paint.fillStyle = "blue";
  paint.fillRect(160, 0, 160, 240);
  for (let number = 0; number < 5; number++) {
    const frame = new VideoFrame(canvas, { timestamp: number * 100000 });
    encoder.encode(frame, { keyFrame: number === 0 });
    frame.close();
    await encoder.flush();
    await until(number + 1);
  }
  const shown = [];
  const decoder = new VideoDecoder({ error: console.error, output: (frame) => {
    paint.drawImage(frame, 0, 0);
    shown.push([...paint.getImageData(40, 120, 1, 1).data, ...paint.getImageData(280, 120, 1, 1).data]);
    frame.close();
  } });
  decoder.configure({ codec: "vp8" });
  for (const { key, pts, payload } of media) {
    decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: pts / 0.09, data: payload }));
  }
  await decoder.flush();
  socket.close(1000);
  return { pts: media.map(({ pts }) => pts), keys: media.map(({ key }) => key), shown };
}
"""


@pytest.mark.browser
@pytest.mark.slow_loop(60_000)
def test_a_browser_sends_and_gets_sound_and_pictures() -> None:
    snippet = re.search(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert snippet is not None
    protocols = repr([wire.PROTOCOL, wire.key_protocol(KEY)])

    def run(script: str) -> Any:
        code = script.replace("OPEN", OPEN).replace("PROTOCOLS", protocols).replace("SNIPPET", snippet[1])
        return page.evaluate(code)

    limits = {"AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10"}  # a busy test machine is no reason to refuse
    with served("--api-key", KEY, env=limits) as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.goto(f"{url}/healthz")
            sound = run(SOUND)
            pictures = run(PICTURES)
        finally:
            browser.close()
    assert sound == {"hello": "hello", "chosen": "aimass.v1", "pts": 1600, "key": 0,
                     "bytes": [0, 0, 0xE8, 0x03, 0x18, 0xFC]}
    assert pictures["pts"] == [0, 9000, 18000, 27000, 36000]
    assert pictures["keys"] == [1, 0, 0, 0, 0]
    for left_red, _, left_blue, _, right_red, _, right_blue, _ in pictures["shown"]:
        assert left_blue > 200 > 60 > left_red  # mirrored: blue is on the left now
        assert right_red > 200 > 60 > right_blue
