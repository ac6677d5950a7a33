"""GStreamer publishes by WHIP and plays by WHEP, by the very commands of the tutorial."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import cv2
import pytest

from tests.support.gstreamer import gstreamer, needed
from tests.support.options import settings
from tests.support.relay import SECRET, SHARED, relay
from tests.support.relay import needed as coturn
from tests.support.server import serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorials" / "broadcast.md"
PUBLISH, PLAY = re.findall(r"^```sh\n(.*?)\n```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
HERE = "http://127.0.0.1:8000"
KEY = "a-long-secret"


@pytest.mark.parametrize("trickle", [False, True], ids=["whole", "trickle"])
async def test_what_gstreamer_publishes_others_play_mirrored(tmp_path: Path, trickle: bool) -> None:
    await asyncio.to_thread(needed)
    options = f" --token {KEY}" + (" --trickle" if trickle else "")
    async with (serve(settings(api_key=KEY, advertised_address="127.0.0.1")) as server,
                gstreamer(PUBLISH.replace(HERE, server.url) + options, tmp_path) as publisher):
        resource = await publisher.said("resource ")
        session = server.node.get(resource.rpartition("/")[2])
        await publisher.said("connected")
        await until(lambda: {"audio-0", "video-0"} <= set(session.meter.hops))
        async with gstreamer(PLAY.replace(HERE, server.url).replace("SESSION", session.id) + options,
                             tmp_path) as viewer:
            assert await viewer.ended() == 0, await viewer.complaints()
        picture = cv2.imread(str(tmp_path / "seen.png"))
        assert picture is not None
        assert picture.shape == (360, 640, 3)
        left, right = picture[100, 40], picture[100, 600]
        assert left[0] > 180  # the pattern's rightmost bar is blue; its leftmost one, white
        assert max(left[1:]) < 80
        assert min(right) > 180
        webrtc = server.state.webrtc
        await until(lambda: not webrtc.viewers)  # it said DELETE
        assert await publisher.interrupt() == 0
        await until(lambda: not server.node.sessions())


async def test_what_the_server_refuses_is_said_and_ends_it(tmp_path: Path) -> None:
    await asyncio.to_thread(needed)
    async with (serve(settings(api_key=KEY)) as server,
                gstreamer(PUBLISH.replace(HERE, server.url), tmp_path) as publisher):
        assert await publisher.ended() == 1
        assert "401" in await publisher.complaints()


@coturn
async def test_by_the_relay_that_the_server_names_with_credentials_that_end(tmp_path: Path) -> None:
    await asyncio.to_thread(needed)
    with relay(tmp_path, *SHARED) as port:
        options = settings(api_key=KEY, advertised_address="127.0.0.1", turn=[f"turn:127.0.0.1:{port}?transport=udp"],
                           turn_secret=SECRET)
        async with (serve(options) as server,
                    gstreamer(f"{PUBLISH.replace(HERE, server.url)} --token {KEY} --relay", tmp_path) as publisher):
            session = server.node.get((await publisher.said("resource ")).rpartition("/")[2])
            await until(lambda: "video-0" in session.meter.hops)
            (candidate,) = server.state.webrtc.peers[session.id]._offer.candidates  # it told no other address
            assert " typ relay " in candidate
            assert await publisher.interrupt() == 0
