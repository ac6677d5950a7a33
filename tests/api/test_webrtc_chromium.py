"""A real Chromium that was never given a camera, so that all its candidates are names (".local")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from tests.support.options import settings
from tests.support.relay import SECRET, SHARED, relay
from tests.support.relay import needed as coturn
from tests.support.rtc import Camera, Microphone
from tests.support.server import serve
from tests.support.waiting import until
from tests.support.whip_client import WhipClient

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [pytest.mark.anyio, pytest.mark.browser,
              pytest.mark.slow_loop(200, "playwright compiles parts of itself when it is first used"),
              pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")]

GATHERED = """
async function gathered(pc) {
  await pc.setLocalDescription(await pc.createOffer());
  if (pc.iceGatheringState !== "complete") await new Promise((done) => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
  });
  return pc.localDescription.sdp;
}
function shown(pc) {
  const video = document.createElement("video");
  video.muted = true;
  const stream = new MediaStream();
  pc.ontrack = ({ track }) => { stream.addTrack(track); };
  video.srcObject = stream;
  window.pictures = [];
  const next = () => { window.pictures.push(performance.now()); video.requestVideoFrameCallback(next); };
  video.requestVideoFrameCallback(next);
  video.play().catch(() => {});
  window.video = video;
}
"""
WATCH = GATHERED + """
async (url) => {
  const pc = window.pc = new RTCPeerConnection();
  pc.addTransceiver("video", { direction: "recvonly" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  shown(pc);
  const sdp = await gathered(pc);
  const response = await fetch(url, { method: "POST", body: sdp, headers: { "Content-Type": "application/sdp" } });
  await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  return [response.status, sdp];
}"""
ECHO = GATHERED + """
async (codec) => {
  const pc = window.pc = new RTCPeerConnection();
  const canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 240;
  const context = canvas.getContext("2d");
  let count = 0;
  setInterval(() => { context.fillStyle = `hsl(${count++ * 7} 80% 50%)`; context.fillRect(0, 0, 320, 240); }, 33);
  const transceiver = pc.addTransceiver(canvas.captureStream(30).getVideoTracks()[0], { direction: "sendrecv" });
  const all = RTCRtpSender.getCapabilities("video").codecs;
  transceiver.setCodecPreferences(all.filter(({ mimeType }) => [`video/${codec}`, "video/rtx"].includes(mimeType)));
  const channel = pc.createDataChannel("aimass");
  window.events = [];
  channel.onmessage = ({ data }) => window.events.push(JSON.parse(data));
  shown(pc);
  const pipeline = [{ stage: "rotate", degrees: 90 }];
  const body = JSON.stringify({ type: "offer", sdp: await gathered(pc), pipeline });
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/v1/webrtc/offer", { method: "POST", body, headers });
  const answer = await response.json();
  await pc.setRemoteDescription(answer);
  return [response.status, answer.session_id];
}"""


@asynccontextmanager
async def page(url: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        opened = await browser.new_page()
        await opened.goto(f"{url}/healthz")
        try:
            yield opened
        finally:
            await browser.close()


async def came(opened: Page, expression: str, seconds: float = 30) -> Any:
    return await (await opened.wait_for_function(expression, timeout=seconds * 1000)).json_value()


async def test_a_viewer_without_camera_connects_although_its_candidates_are_names() -> None:
    camera = await asyncio.to_thread(Camera, 320, 240)
    async with serve() as server, WhipClient(f"{server.url}/v1/whip", camera=camera,
                                             microphone=Microphone()) as publisher:
        await publisher.start()
        session_id = publisher.resource.rsplit("/", 1)[1]
        async with page(server.url) as opened:
            status, offer = await opened.evaluate(f"({_function(WATCH)})('/v1/whep/{session_id}')")
            assert status == 201
            candidates = [line for line in offer.splitlines() if line.startswith("a=candidate")]
            assert all(".local" in line for line in candidates)
            assert await came(opened, "window.pictures.length > 20") is True
            received = await opened.evaluate("""async () => [...(await window.pc.getStats()).values()]
                .filter(({ type }) => type === "inbound-rtp")
                .map(({ kind, packetsLost, packetsReceived }) => ({ kind, packetsLost, packetsReceived }))""")
            assert {each["kind"] for each in received} == {"audio", "video"}
            assert all(each["packetsReceived"] > 10 and each["packetsLost"] == 0 for each in received)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_canvas_comes_back_turned(codec: str) -> None:
    async with serve(settings(peer_silence=3)) as server, page(server.url) as opened:
        status, session_id = await opened.evaluate(f"({_function(ECHO)})('{codec}')")
        assert status == 201
        assert await came(opened, "window.pictures.length > 20 && window.video.videoWidth === 240") is True
        assert await came(opened, "window.events.some(({ type }) => type === 'session.stats')") is True
        session = server.node.get(session_id)
        stats = session.stats().transport
        assert stats["in"]["video-0"]["codec"] == codec
        assert stats["rtt_ms"] is not None
        if codec == "VP8":
            await opened.close()  # Chromium says nothing then: its silence is noticed (after 8 s by default)
            await until(lambda: session.state != "live")


@coturn
async def test_by_the_relay_alone_with_credentials_that_end(tmp_path: Path) -> None:
    with relay(tmp_path, *SHARED) as port:
        options = settings(turn=[f"turn:127.0.0.1:{port}?transport=udp"], turn_secret=SECRET,
                           advertised_address="127.0.0.1")
        async with serve(options) as server, page(server.url) as opened:
            configuration = "{ ...(await (await fetch('/v1/config')).json()), iceTransportPolicy: 'relay' }"
            script = ECHO.replace("RTCPeerConnection()", f"RTCPeerConnection({configuration})")
            status, _ = await opened.evaluate(f"({_function(script)})('VP8')")
            assert status == 201
            assert await came(opened, "window.pictures.length > 10") is True
            kinds = await opened.evaluate("""async () => [...(await window.pc.getStats()).values()]
                .filter(({ type }) => type === "local-candidate").map(({ candidateType }) => candidateType)""")
            assert set(kinds) == {"relay"}


def _function(script: str) -> str:
    """The helpers inside one async arrow function."""
    helpers, _, body = script.rpartition("\nasync (")
    head, _, rest = ("async (" + body).partition("{")
    return f"{head}{{{helpers}{rest}"
