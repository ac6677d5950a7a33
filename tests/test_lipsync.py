import asyncio
import statistics

import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, Picture, VideoFrame, now
from aimass_stream.lipsync import LipSync
from aimass_stream.metrics import Meter

pytestmark = pytest.mark.anyio

PICTURE = Picture.from_bgr(clips.draw(0, 64, 48))


async def play(video_delay: float, captured_offset: float | None, seconds: float = 1.5) -> dict[str, list[float]]:
    """Lags (leaving minus capture) per track, of a picture lane that takes `video_delay` and a quick sound lane."""
    out: dict[str, list[float]] = {"audio-0": [], "video-0": []}
    begun = now()

    def deliver(frame: Frame) -> None:
        out[frame.track].append(now() - begun - frame.seconds)

    sync = LipSync(deliver, Meter())
    loop = asyncio.get_running_loop()
    for n in range(int(seconds * 50)):
        captured = None if captured_offset is None else captured_offset + begun + n * 0.02
        sound = AudioFrame(pts=n * 960, time_base=AUDIO_TIME_BASE, track="audio-0", arrived=begun + n * 0.02,
                           captured=captured, samples=np.zeros((960, 1), np.int16))
        loop.call_at(loop.time() + n * 0.02, sync.frame, sound)
    for n in range(int(seconds * 30)):
        captured = None if captured_offset is None else captured_offset + begun + n / 30
        picture = VideoFrame(pts=n * 3000, time_base=VIDEO_TIME_BASE, track="video-0", arrived=begun + n / 30,
                             captured=captured, picture=PICTURE)
        loop.call_at(loop.time() + n / 30 + video_delay, sync.frame, picture)
    await asyncio.sleep(seconds + video_delay + 0.2)
    return out


@pytest.mark.parametrize("captured_offset", [None, 3.9e9], ids=["by arrival", "by capture time"])
async def test_sound_waits_for_a_slow_picture(captured_offset: float | None) -> None:
    lags = await play(0.08, captured_offset)
    assert len(lags["audio-0"]) == 75
    assert len(lags["video-0"]) == 45
    late = {track: statistics.median(values[len(values) // 2 :]) for track, values in lags.items()}
    assert abs(late["audio-0"] - late["video-0"]) <= 0.02


async def test_flush_delivers_or_forgets_what_is_held() -> None:
    out: list[Frame] = []
    sync = LipSync(out.append, Meter())
    slow = VideoFrame(pts=0, time_base=VIDEO_TIME_BASE, track="video-0", arrived=now() - 0.3, picture=PICTURE)
    quick = AudioFrame(pts=0, time_base=AUDIO_TIME_BASE, track="audio-0", samples=np.zeros((960, 1), np.int16))
    sync.frame(slow)
    sync.frame(quick)
    assert out == [slow]
    sync.flush(deliver=True)
    assert out == [slow, quick]
