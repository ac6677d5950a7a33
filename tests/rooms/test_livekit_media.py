"""LiveKit's frames become ours, and ours LiveKit's."""

from __future__ import annotations

import numpy as np
import pytest
from livekit import rtc

from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame
from aimass_stream.rooms.livekit.media import I420, SoundClock, sound_to_livekit, to_livekit, video_frame


def event(width: int, height: int, rotation: int = 0) -> rtc.VideoFrameEvent:
    """Each luma byte is its row, U is 100 and V 200, in planes as LiveKit rounds them."""
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    luma = np.repeat(np.arange(height, dtype=np.uint8), width)
    data = np.concatenate([luma, np.full(chroma, 100, np.uint8), np.full(chroma, 200, np.uint8)])
    return rtc.VideoFrameEvent(rtc.VideoFrame(width, height, I420, data.tobytes()), 0, rotation)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(64, 48), (63, 48), (64, 47), (63, 47), (2, 2), (3, 3)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    frame = video_frame(event(*size), "video-0", begin=10.0, arrived=10.5)
    assert frame is not None
    width, height = size[0] & ~1, size[1] & ~1
    assert (frame.width, frame.height) == (width, height)
    assert (frame.pts, frame.track, frame.arrived) == (45_000, "video-0", 10.5)
    planes = frame.picture.i420
    assert (planes[:height] == np.arange(height)[:, None]).all()
    quarter = width * height // 4
    chroma = planes[height:].ravel()
    assert (chroma[:quarter] == 100).all()
    assert (chroma[quarter:] == 200).all()


def test_a_picture_that_is_none() -> None:
    assert video_frame(event(1, 48), "video-0", 0.0, 0.0) is None
    assert video_frame(event(48, 1), "video-0", 0.0, 0.0) is None


def test_turned_pictures_stay_turned() -> None:
    turns = [video_frame(event(4, 4, turn), "video-0", 0.0, 0.0) for turn in rtc.VideoRotation.values()]
    assert [frame.rotation for frame in turns if frame is not None] == [0, 90, 180, 270]


def test_a_picture_goes_as_it_is() -> None:
    planes = np.arange(64 * 72, dtype=np.uint32).astype(np.uint8).reshape(72, 64)
    sent = to_livekit(VideoFrame(pts=0, time_base=VIDEO_TIME_BASE, track="video-0", picture=Picture.from_i420(planes)))
    assert (sent.width, sent.height, bytes(sent.data)) == (64, 48, planes.tobytes())


def test_sound_runs_on_by_its_samples_and_anew_after_a_pause() -> None:
    clock, samples = SoundClock("audio-0", begin=10.0), np.arange(960, dtype=np.int16)
    sound = rtc.AudioFrame(samples.tobytes(), AUDIO_RATE, 1, 960)
    came = [clock.frame(sound, arrived) for arrived in (10.02, 10.30, 10.31, 10.32, 11.1, 20.0)]
    assert [frame.pts for frame in came] == [0, 960, 1920, 2880, 51_840, 479_040]
    assert [frame.gap for frame in came] == [0, 0, 0, 0, 51_840 - 3840, 0]  # the last is a new timeline
    assert (came[0].samples == samples[:, None]).all()
    assert {(frame.rate, frame.time_base, frame.track) for frame in came} == {(48_000, AUDIO_TIME_BASE, "audio-0")}


def test_sound_goes_as_it_is() -> None:
    samples = np.arange(-960, 960, dtype=np.int16).reshape(960, 2)
    sent = sound_to_livekit(AudioFrame(pts=0, time_base=AUDIO_TIME_BASE, track="audio-0", samples=samples))
    assert (sent.num_channels, sent.samples_per_channel, sent.sample_rate) == (2, 960, 48_000)
    assert bytes(sent.data) == samples.tobytes()
