"""Pictures that the decoder has no time for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from aimass_stream import clips, wire
from aimass_stream.codecs import Limits, video_decoder, video_encoder
from aimass_stream.codecs.base import VideoEncoder
from aimass_stream.frames import VIDEO_TIME_BASE, Frame, Picture, VideoFrame
from aimass_stream.metrics import Meter
from aimass_stream.transports.websocket.receive import WAITING_PICTURES, Inlet, VideoReceiver
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

COUNT = WAITING_PICTURES + 4


async def test_a_key_frame_is_asked_for_as_soon_as_one_is_lost() -> None:
    """And not when the decoder gets so far, which is late already."""
    encoder = video_encoder("vp8", 1_000_000)
    asked: list[str] = []
    refused: list[str] = []
    out: list[Frame] = []
    with ThreadPoolExecutor(1) as executor:
        inlet = Inlet(Meter(), executor, out.append, lambda track, reason, detail: refused.append(reason), asked.append)
        receiver = VideoReceiver(inlet, "video-0", "vp8", lambda: video_decoder("vp8", Limits()), 60)
        for number in range(COUNT):
            receiver.put(_encoded(encoder, number))
        assert asked == ["video-0"]  # once, though several were lost
        receiver.put(_encoded(encoder, COUNT, keyframe=True))
        running = asyncio.create_task(receiver.run())
        async with asyncio.timeout(30):
            await until(lambda: out)
        running.cancel()
        await asyncio.wait([running])
    assert [frame.pts for frame in out] == [COUNT * 3000]
    assert set(refused) == {"no_keyframe"}
    assert asked == ["video-0"]


def _encoded(encoder: VideoEncoder, number: int, keyframe: bool = False) -> wire.Media:
    frame = VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                       picture=Picture.from_bgr(clips.draw(number, 160, 120)))
    encoded = encoder.encode(frame, keyframe)
    assert encoded is not None
    return wire.Media(wire.Codec.VP8, 1, number * 3000, encoded.data, keyframe=encoded.keyframe)
