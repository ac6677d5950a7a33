"""A session's way out: encoded once, for any number of viewers, each at its own time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiortc import rtp as rtcp

from aimass_stream.clips import draw
from aimass_stream.codecs import Limits, audio_decoder, video_decoder
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, Picture, now
from aimass_stream.session import Session
from aimass_stream.transports.webrtc.outbound import Report
from aimass_stream.transports.webrtc.output import Output, Outputs
from tests.support.options import settings
from tests.support.rtp_wire import Viewer
from tests.support.session import Collector, open_session, opened_node, picture, sound
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

OPTIONS = settings(start_bitrate=800_000, max_bitrate=3_000_000)


@asynccontextmanager
async def opened(pipeline: object = None) -> AsyncIterator[tuple[Session, Output, Collector]]:
    async with opened_node() as node:
        session, sink = await open_session(node, pipeline)
        outputs = Outputs(OPTIONS, lambda closed: None)
        output = outputs.of(session)
        assert outputs.of(session) is output
        yield session, output, sink
        await session.close("the test is over")
        assert len(outputs) == 0


async def show(session: Session, viewer: Viewer, numbers: range) -> None:
    """Push pictures one after the other, each when the one before was sent."""
    for number in numbers:
        count = len(viewer.sent)
        session.push(picture(number))
        await viewer.until(count + 1)


async def test_a_picture_is_encoded_once_for_all_who_watch() -> None:
    async with opened() as (session, output, _):
        first, second = Viewer("VP8"), Viewer("VP8")
        output.add("video-0", first.outbound)
        output.add("video-0", second.outbound)
        await show(session, first, range(5))
        assert [sent.data for sent in first.sent] == [sent.data for sent in second.sent]
        assert [sent.keyframe for sent in first.sent] == [True, False, False, False, False]
        assert [sent.timestamp for sent in first.sent] == [number * 3000 for number in range(5)]
        decoder = video_decoder("VP8", Limits())
        assert sum(len(decoder.decode(sent.data)) for sent in first.sent) == 5
        assert session.meter.summary()["video-0"]["encode"].count == 5
        assert output.stats() == {"video-0/VP8": {"bitrate": 150_000, "viewers": 2}}  # enough for 160x120


async def test_who_comes_later_waits_for_a_key_frame_and_gets_one() -> None:
    async with opened() as (session, output, _):
        first, second = Viewer("VP8"), Viewer("VP8")
        output.add("video-0", first.outbound)
        await show(session, first, range(3))
        await asyncio.sleep(0.3)  # key frames are this far apart at least
        output.add("video-0", second.outbound)
        await show(session, first, range(9, 12))
        assert [sent.keyframe for sent in first.sent] == [True, False, False, True, False, False]
        assert [sent.keyframe for sent in second.sent] == [True, False, False]
        output.remove(first.outbound)
        await show(session, second, range(12, 14))
        assert len(first.sent) == 6
        output.remove(second.outbound)
        session.push(picture(14))
        assert output.stats() == {}


async def test_key_frame_requests_are_throttled_and_none_is_forgotten() -> None:
    async with opened() as (session, output, _):
        viewer = Viewer("VP8")
        output.add("video-0", viewer.outbound)
        await show(session, viewer, range(1))
        pli = rtcp.RtcpPsfbPacket(fmt=rtcp.RTCP_PSFB_PLI, ssrc=1, media_ssrc=viewer.outbound.ssrc)
        for number in range(1, 12):
            viewer.outbound.feedback(pli)
            await show(session, viewer, range(number, number + 1))
            await asyncio.sleep(0.05)
        keys = [sent.at for sent in viewer.sent if sent.keyframe]
        assert 2 <= len(keys) <= 4
        assert all(after - before > 0.29 for before, after in itertools.pairwise(keys))
        count = len(viewer.sent)
        await viewer.until(count + 1)  # nothing moves: the last picture comes again, as a key frame
        assert viewer.sent[-1].keyframe
        assert viewer.sent[-1].timestamp > 11 * 3000


async def test_a_slow_encoder_gets_the_newest_picture_and_the_rest_is_counted() -> None:
    async with opened() as (session, output, _):
        viewer = Viewer("VP8")
        output.add("video-0", viewer.outbound)
        for number in range(6):  # faster than any encoder
            output.frame(picture(number))
        await viewer.until(2)
        assert [sent.timestamp for sent in viewer.sent] == [0, 5 * 3000]
        assert session.meter.drops["video-0/encoder_busy"] == 4


async def test_the_slowest_viewer_sets_the_rate_and_changes_are_told() -> None:
    large = Picture.from_bgr(np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8))
    async with opened() as (_, output, sink):
        viewers = [Viewer("VP8"), Viewer("VP8")]
        for viewer in viewers:
            output.add("video-0", viewer.outbound)
        output.frame(picture(0, image=large))
        await viewers[0].until(1)
        viewers[0].outbound.on_estimate(2_000_000)
        viewers[1].outbound.on_estimate(700_000)
        assert output.stats()["video-0/VP8"]["bitrate"] == 700_000
        assert not sink.typed("bitrate.changed")  # not by enough
        viewers[1].outbound.on_estimate(300_000)
        (told,) = sink.typed("bitrate.changed")
        assert told.data == {"bits_per_second": 300_000, "reason": "the receiver's estimate"}
        assert told.track == "video-0"
        viewers[1].outbound.on_estimate(10)
        assert output.stats()["video-0/VP8"]["bitrate"] == OPTIONS.min_bitrate
        output.remove(viewers[1].outbound)
        assert output.stats()["video-0/VP8"]["bitrate"] == 800_000
        for _ in range(9):
            viewers[0].outbound.on_report(Report(0.5, 0, 0.0, 0.02))
        assert output.stats()["video-0/VP8"]["bitrate"] == OPTIONS.min_bitrate
        assert sink.typed("bitrate.changed")[-1].data["reason"] == "packet loss"


async def test_the_rate_changes_without_key_frames() -> None:
    async with opened() as (_, output, _sink):
        viewer = Viewer("VP8")
        output.add("video-0", viewer.outbound)
        for number in range(45):
            if number == 15:
                viewer.outbound.on_estimate(200_000)
            output.frame(picture(number, image=Picture.from_bgr(await asyncio.to_thread(draw, 9 * number))))
            await viewer.until(number + 1)
        assert [sent.keyframe for sent in viewer.sent] == [True] + [False] * 44
        before = sum(len(sent.data) for sent in viewer.sent[1:15])
        after = sum(len(sent.data) for sent in viewer.sent[31:])
        assert after < before * 0.7


async def test_h264_for_who_wants_it_beside_vp8() -> None:
    async with opened() as (session, output, _):
        viewers = Viewer("VP8"), Viewer("H264")
        for viewer in viewers:
            output.add("video-0", viewer.outbound)
        session.push(picture(0))
        for viewer in viewers:
            await viewer.until(1)
        assert set(output.stats()) == {"video-0/VP8", "video-0/H264"}


async def test_sound_leaves_in_packets_of_20_ms_whatever_comes() -> None:
    tone = (8000 * np.sin(np.arange(48_000) * 0.06)).astype(np.int16)[:, None]
    async with opened() as (_, output, _sink):
        viewer = Viewer("opus")
        output.add("audio-0", viewer.outbound)
        start = now()
        for at in range(0, 9600, 480):  # 10 ms each
            output.frame(AudioFrame(pts=at, time_base=AUDIO_TIME_BASE, track="audio-0", samples=tone[at : at + 480],
                                    arrived=start + at / 48_000))
        await viewer.until(10)
        assert [sent.timestamp for sent in viewer.sent] == [n * 960 for n in range(10)]
        decoder = audio_decoder("opus")
        sound_back = np.concatenate([decoder.decode(sent.data) for sent in viewer.sent])
        assert len(sound_back) == 9600
        assert np.abs(sound_back[4800:]).max() > 6000


async def test_live_sound_passes_at_once_and_made_up_sound_is_paced() -> None:
    async with opened() as (_, output, _sink):
        viewer = Viewer("opus")
        output.add("audio-0", viewer.outbound)
        start = now() - 2
        for n in range(100):  # live, but a busy machine let it pile up: it came at its time
            output.frame(sound(n).replace(arrived=start + n * 0.02))
        await viewer.until(100, 1.5)
        for n in range(100):  # two seconds of a reply, made in one go
            output.frame(sound(1000 + n).replace(arrived=now()))
        begun = now()
        await asyncio.sleep(0.3)
        sent = len(viewer.sent) - 100
        assert 8 <= sent <= (now() - begun + 0.25) / 0.02  # 0.1 s ahead, then as fast as it plays
        output.flush("audio-0")
        await asyncio.sleep(0.1)
        assert len(viewer.sent) - 100 <= sent + 2


async def test_a_gap_in_the_sound_is_a_step_in_its_timestamps() -> None:
    async with opened() as (_, output, _sink):
        viewer = Viewer("opus")
        output.add("audio-0", viewer.outbound)
        start = now()
        for n in (0, 1, 7, 8):
            output.frame(sound(n).replace(arrived=start + n * 0.02))
        await viewer.until(4)
        assert [sent.timestamp // 960 for sent in viewer.sent] == [0, 1, 7, 8]


async def test_losses_turn_in_band_copies_on() -> None:
    voice = (6000 * np.sin(np.cumsum(np.linspace(0.01, 0.05, 48_000)))).astype(np.int16)[:, None]
    async with opened() as (_, output, _sink):
        viewer = Viewer("opus")
        output.add("audio-0", viewer.outbound)
        viewer.outbound.on_report(Report(0.2, 10, 0.0, 0.02))
        start = now()
        for n in range(40):
            output.frame(AudioFrame(pts=n * 960, time_base=AUDIO_TIME_BASE, track="audio-0",
                                    samples=voice[n * 960 : n * 960 + 960], arrived=start + n * 0.02))
        await viewer.until(40)
        decoder = audio_decoder("opus")
        copies = [decoder.recover(sent.data, 960) for sent in viewer.sent]
        assert sum(copy is not None for copy in copies) > 20


async def test_what_cannot_be_encoded_is_counted_and_the_next_picture_is_sent(
        caplog: pytest.LogCaptureFixture) -> None:
    broken = Picture.from_i420(np.zeros((180, 160), np.uint8))
    broken._i420 = np.zeros((3, 3), np.uint8)  # as a stage in a hurry might leave it
    async with opened() as (session, output, _):
        viewer = Viewer("H264")
        output.add("video-0", viewer.outbound)
        for number in range(3):
            output.frame(picture(number, image=broken))
            await until(lambda n=number: session.meter.drops.get("video-0/not_encoded") == n + 1)  # type: ignore[misc]
        output.frame(picture(3))
        await viewer.until(1)
        assert caplog.text.count("can't be encoded") == 1
        sounds = Viewer("opus")
        output.add("audio-0", sounds.outbound)
        output.frame(sound(0).replace(samples=np.zeros((960, 2, 2), np.int16)))
        output.frame(sound(1))
        await sounds.until(1)
