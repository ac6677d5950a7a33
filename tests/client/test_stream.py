"""Sessions of the Python client over a websocket, against a real server."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from aimass_stream import clips, errors, events, wire
from aimass_stream.client import Client, MediaSession
from aimass_stream.client.reconnect import delays
from aimass_stream.client.stream import StreamSession
from aimass_stream.events import Event
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, Picture, TextFrame, VideoFrame
from tests.support.options import settings
from tests.support.server import Running, serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def picture(number: int) -> VideoFrame:
    return VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                      picture=Picture.from_bgr(clips.draw(number, 320, 240)))


def sound(start: int, samples: int = 960) -> AudioFrame:
    t = (np.arange(samples) + start) * 0.05
    return AudioFrame(pts=start, time_base=AUDIO_TIME_BASE, track="audio-0",
                      samples=(8000 * np.sin(t)).astype(np.int16)[:, None])


async def first(session: MediaSession, count: int = 1) -> list[Frame]:
    """The next frames."""
    got: list[Frame] = []
    async for frame in session.frames():
        got.append(frame)
        if len(got) == count:
            break
    return got


@pytest.mark.parametrize("video", ["jpeg", "vp8", "h264"])
async def test_pictures_go_through_the_pipeline_and_come_back(video: str) -> None:
    async with serve() as server, Client(server.url) as client:
        async with client.stream(pipeline=[{"stage": "mirror"}], video=video) as session:
            for number in range(8):
                await session.send(picture(number))
                (frame,) = await first(session)
                assert isinstance(frame, VideoFrame)
                assert (frame.pts, frame.track) == (number * 3000, "video-0")
                assert clips.read_number(frame.bgr) == number
        await until(lambda: not server.node.sessions())


@pytest.mark.parametrize("audio", [wire.AudioFormat(codec="opus"), wire.AudioFormat(rate=16_000),
                                   wire.AudioFormat(rate=48_000, channels=2)])
async def test_sound_comes_back_as_loud_as_it_went(audio: wire.AudioFormat) -> None:
    async with serve() as server, Client(server.url) as client, client.stream(audio=audio) as session:
        for start in range(0, 24_000, 960):
            await session.send(sound(start))
        frames = [frame for frame in await first(session, 20) if isinstance(frame, AudioFrame)]
        assert {(frame.rate, frame.samples.shape[1]) for frame in frames} == {(audio.rate, audio.channels)}
        level = np.abs(np.concatenate([frame.samples for frame in frames])[audio.rate // 10 :].astype(float)).mean()
        assert level == pytest.approx(8000 * 2 / np.pi, rel=0.1)


async def test_changes_answer_and_refusals_raise() -> None:
    async with serve() as server, Client(server.url) as client, client.stream(video="jpeg") as session:
        updated = await session.update(pipeline=[{"stage": "delay", "ms": 5}])
        assert updated.data["pipeline"] == [{"stage": "delay", "ms": 5}]
        assert (await session.update_stage(0, ms=7)).data["pipeline"] == [{"stage": "delay", "ms": 7}]
        with pytest.raises(errors.InvalidPipeline) as refused:
            await session.update(pipeline=[{"stage": "no such"}])
        assert refused.value.field == "pipeline[0].stage"
        assert [event.type for event in await some_events(session, 4)] == [
            "session.created", "session.updated", "session.updated", "error"]


async def some_events(session: MediaSession, count: int) -> list[Event]:
    got: list[Event] = []
    async for event in session.events():
        if event.type != "session.stats":
            got.append(event)
        if len(got) == count:
            break
    return got


async def test_opening_raises_what_the_server_refuses_with() -> None:
    async with serve(settings(api_key="a key for tests")) as server:
        async with Client(server.url) as client:
            with pytest.raises(errors.Unauthorized):
                await client.stream(audio="opus").open()
        async with Client(server.url, "a key for tests") as client:
            with pytest.raises(errors.InvalidPipeline, match="no such"):
                await client.stream(pipeline=[{"stage": "no such"}]).open()
            with pytest.raises(errors.InvalidMessage):
                client.stream(video="av1")


def cut(session: StreamSession) -> None:
    assert session._websocket is not None
    session._websocket.transport.abort()


async def test_a_cut_connection_comes_back_with_every_event_once() -> None:
    async with serve() as server, Client(server.url) as client, client.stream(video="vp8") as session:
        running = server.node.get(session.id)
        seen: list[int] = []

        async def listen() -> None:
            async for event in session.events():
                seen.append(event.seq)

        listening = asyncio.create_task(listen())
        for times in range(1, 4):
            cut(session)
            for _ in range(20):
                running.event(events.AudioLevel(rms=-20, peak=-10))
            await until(lambda times=times: session.resumed == times)  # type: ignore[misc]
            await session.send(picture(times))
            (frame,) = await first(session)
            assert isinstance(frame, VideoFrame)
            assert clips.read_number(frame.bgr) == times
        await until(lambda: len(seen) >= 61)
        assert seen == list(range(1, len(seen) + 1))
        await session.close()
        await listening


async def test_a_session_that_is_gone_ends_with_the_reason() -> None:
    async with serve(settings(resume_seconds=0.05)) as server, Client(server.url) as client:
        async with client.stream(video="vp8") as session:
            await server.node.end(session.id, "enough")
            assert [event.data for event in await some_events(session, 2)][1] == {
                "reason": "enough", "by": "request"}
            await until(lambda: session.closed)
            assert session.error is None
            assert [frame async for frame in session.frames()] == []
            with pytest.raises(errors.InvalidInput):
                await session.send(picture(1))
        async with client.stream(video="vp8") as session:
            await take_over(server, session)
            await until(lambda: session.closed)
            assert isinstance(session.error, errors.Conflict)


async def take_over(server: Running, session: StreamSession) -> None:
    other = StreamSession(server.url, send=wire.Formats())
    other.id, other.resume_token = session.id, session.resume_token
    websocket = await other._connect(resume=True)
    await websocket.close()


async def test_without_a_reader_the_newest_frames_are_kept() -> None:
    async with serve() as server, Client(server.url) as client, client.stream(audio=wire.AudioFormat()) as session:
        for start in range(0, 960 * 60, 960):
            await session.send(sound(start))
            await asyncio.sleep(0)
        await until(lambda: session.dropped + len(session._frames) == 60)
        frames = await first(session, 16)
        assert [frame.pts for frame in frames] == list(range(44 * 960, 60 * 960, 960))


async def test_a_reader_that_takes_its_time_slows_the_server_down_for_itself() -> None:
    async with serve() as server, Client(server.url) as client, client.stream(video="jpeg") as session:
        running, stop = server.node.get(session.id), asyncio.Event()

        async def play() -> None:
            number = 0
            while not stop.is_set():
                await session.send(picture(number))
                number += 1
                await asyncio.sleep(1 / 60)

        playing = asyncio.create_task(play())
        frames = session.frames()
        while "video-0/slow_client" not in running.meter.drops:
            await anext(frames)
            await asyncio.sleep(0.15)
        stop.set()
        await playing
        await frames.aclose()  # type: ignore[attr-defined]


async def test_words_both_ways() -> None:
    async with serve() as server, Client(server.url) as client, client.stream() as session:
        await session.send(TextFrame(pts=1500, time_base=AUDIO_TIME_BASE * 48, track="text-0", text="hello"))
        (frame,) = await first(session)
        assert isinstance(frame, TextFrame)
        assert (frame.text, frame.seconds) == ("hello", 1.5)


def test_reconnecting_gives_up_when_the_server_has() -> None:
    tries = list(delays(3))
    assert tries[:4] == [0, 0.1, 0.25, 0.5]
    assert sum(tries) <= 4
    assert list(delays(0)) == [0]
