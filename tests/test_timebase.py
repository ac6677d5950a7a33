import numpy as np

from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, TextFrame
from aimass_stream.metrics import Meter
from aimass_stream.timebase import Timebase


def sound(pts: int, arrived: float) -> AudioFrame:
    return AudioFrame(pts=pts, time_base=AUDIO_TIME_BASE, track="audio-0", arrived=arrived,
                      samples=np.zeros((960, 1), np.int16))


def test_a_sane_clock_passes_unchanged() -> None:
    timebase = Timebase(Meter())
    frames = [sound(5000 + 960 * n, n * 0.02) for n in range(100)]
    assert [timebase.admit(frame) for frame in frames] == frames


def test_a_late_frame_is_dropped_and_counted() -> None:
    meter = Meter()
    timebase = Timebase(meter)
    assert timebase.admit(sound(9600, 0)) is not None
    assert timebase.admit(sound(8640, 0.02)) is None
    assert meter.drops == {"audio-0/late": 1}


def test_words_are_never_too_late() -> None:
    timebase = Timebase(Meter())
    words = [TextFrame(pts=pts, time_base=AUDIO_TIME_BASE, track="text-0", text="hm") for pts in (960, 960, 0)]
    assert [timebase.admit(frame) for frame in words] == words


def test_a_clock_that_starts_again_is_carried_on() -> None:
    timebase = Timebase(Meter())
    for n in range(500):
        timebase.admit(sound(960 * n, n * 0.02))
    again = [timebase.admit(sound(960 * n, 15 + n * 0.02)) for n in range(3)]
    # 10 s were played, 5 s passed without a peer: the media clock stands at 15 s
    assert [round(frame.seconds, 2) for frame in again if frame] == [15.0, 15.02, 15.04]


def test_a_leap_forward_is_taken_out() -> None:
    timebase = Timebase(Meter())
    timebase.admit(sound(0, 0))
    leapt = timebase.admit(sound(48_000 * 3600, 0.02))
    assert leapt is not None
    assert round(leapt.seconds, 2) == 0.02


def test_a_real_pause_is_kept() -> None:
    timebase = Timebase(Meter())
    timebase.admit(sound(0, 0))
    frame = sound(48_000 * 60, 60)
    assert timebase.admit(frame) == frame
