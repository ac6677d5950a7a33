"""What is logged names the session and tells no secret."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.support.options import settings
from tests.support.rtc import Camera, Client
from tests.support.server import serve

pytestmark = pytest.mark.anyio

KEY = "a key for tests"


async def test_logs_name_the_session_and_keep_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aimass_stream")
    camera = await asyncio.to_thread(Camera, 320, 240)
    async with serve(settings(api_key=KEY)) as server:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with Client(server.url, camera=camera, headers=headers) as client:
            await client.connect([{"stage": "text", "text": "what a person said"}])
            await client.until(lambda: len(client.pictures) > 5)
            answer = client.pc.remoteDescription.sdp
            password = answer.split("a=ice-pwd:")[1].split()[0]
            refused = await client.http.post("/v1/webrtc/offer", json={"sdp": answer, "type": "answer"})
            assert refused.status_code == 422
            await server.node.end(client.session_id, "done")
    assert client.session_id in caplog.text
    for secret in (KEY, client.resume_token, password, "what a person said", "a=candidate"):
        assert secret not in caplog.text
