"""Sessions of the Python client over WebRTC, against a real server."""

from __future__ import annotations

import asyncio

import pytest

from aimass_stream import clips, errors
from aimass_stream.client import Client
from aimass_stream.client.rtc import RtcSession
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame
from tests.support.server import serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def play(session: RtcSession, stop: asyncio.Event, start: int = 0) -> None:
    """A drawn picture and 1/30 s of a tone, thirty times a second."""
    number = start
    tone = clips.tone(1 / 30)
    while not stop.is_set():
        await session.send(VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                                      picture=Picture.from_bgr(clips.draw(number, 320, 240))))
        await session.send(AudioFrame(pts=number * 1600, time_base=AUDIO_TIME_BASE, track="audio-0", samples=tone))
        number += 1
        await asyncio.sleep(1 / 30)


async def numbers(session: RtcSession, count: int) -> list[tuple[int | None, float]]:
    """Which pictures come, with their pts in s; sound has to come as well."""
    got, heard = [], 0
    async for frame in session.frames():
        if isinstance(frame, VideoFrame):
            got.append((clips.read_number(frame.bgr), frame.seconds))
        else:
            heard += 1
        if len(got) >= count and heard:
            break
    return got


@pytest.mark.slow_loop(200)  # aiortc's own set-up, at both ends in one process
async def test_both_tracks_events_changes_and_a_broken_peer() -> None:
    async with serve() as server, Client(server.url) as client:
        session = client.rtc(pipeline=[{"stage": "mirror"}])
        assert isinstance(session, RtcSession)
        async with session:
            stop = asyncio.Event()
            playing = asyncio.create_task(play(session, stop, start=90))
            async with asyncio.timeout(30):
                for number, seconds in await numbers(session, 10):
                    assert number is not None
                    assert seconds == pytest.approx(number / 30, abs=0.05)  # pts are ours, not from 0
                updated = await session.update(pipeline=[{"stage": "gray"}])
                assert updated.data["pipeline"] == [{"stage": "gray"}]
                with pytest.raises(errors.InvalidPipeline):
                    await session.update(pipeline=[{"stage": "no such"}])
                assert session._peer is not None
                await session._peer.close()
                await until(lambda: session.resumed == 1)
                assert len(await numbers(session, 5)) == 5
            stop.set()
            await playing
            assert [running.id for running in server.node.sessions()] == [session.id]
        await until(lambda: not server.node.sessions())


@pytest.mark.slow_loop(200)
async def test_opening_raises_what_the_server_refuses_with() -> None:
    async with serve() as server, Client(server.url) as client:
        with pytest.raises(errors.InvalidPipeline) as refused:
            await client.rtc(pipeline=[{"stage": "delay", "ms": -1}]).open()
        assert refused.value.field == "pipeline[0].ms"
