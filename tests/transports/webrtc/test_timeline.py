"""Capture times: every track of a sender on its one clock, and that clock in our reports."""

from __future__ import annotations

import pytest

from aimass_stream.frames import now
from aimass_stream.transports.webrtc import rtp
from aimass_stream.transports.webrtc.timeline import Timeline, Wallclock
from tests.support.session import picture, sound


def test_two_tracks_with_different_origins_meet_on_the_senders_clock() -> None:
    video, audio = Timeline(90_000), Timeline(48_000)
    assert video.captured(1000) is None
    assert audio.captured(4_000_000_000) is None
    video.report(rtp.ntp(5000.0), 1000 + 90_000)  # one second after its first frame
    audio.report(rtp.ntp(5000.5), 4_000_000_000 + 48_000)
    seen, heard = video.captured(1000 + 180_000), audio.captured(4_000_000_000 + 96_000)
    assert seen is not None
    assert heard is not None
    assert heard - seen == pytest.approx(0.5, abs=1e-3)
    assert seen == pytest.approx(5001 + rtp.NTP_EPOCH, abs=1e-3)


def test_timestamps_wrap_between_frames_and_reports() -> None:
    timeline = Timeline(90_000)
    timeline.captured((1 << 32) - 9000)
    timeline.report(rtp.ntp(100.0), (1 << 32) - 9000)
    assert timeline.captured(9000) == pytest.approx(100.2 + rtp.NTP_EPOCH, abs=1e-3)
    timeline.report(rtp.ntp(100.3), 18_000)
    assert timeline.captured((1 << 32) + 18_000) == pytest.approx(100.3 + rtp.NTP_EPOCH, abs=1e-3)


def test_reports_that_wander_are_smoothed_and_a_set_clock_is_followed() -> None:
    timeline = Timeline(90_000)
    timeline.captured(0)
    timeline.report(rtp.ntp(100.0), 0)
    timeline.report(rtp.ntp(100.008), 0)
    assert timeline.captured(0) == pytest.approx(100.001 + rtp.NTP_EPOCH, abs=1e-4)
    timeline.report(rtp.ntp(200.0), 0)
    assert timeline.captured(0) == pytest.approx(200.0 + rtp.NTP_EPOCH, abs=1e-4)
    timeline.report(0, 0)  # a sender that doesn't know
    assert timeline.captured(0) == pytest.approx(200.0 + rtp.NTP_EPOCH, abs=1e-4)
    timeline.restart()
    assert timeline.captured(0) is None


def test_our_reports_keep_tracks_apart_as_their_sender_did() -> None:
    clock = Wallclock()
    moment = now()
    early = clock.at(picture(0).replace(arrived=moment, captured=50.0))
    late = clock.at(sound(0).replace(arrived=moment + 0.3, captured=50.1))
    assert late - early == pytest.approx(0.1)
    unknown = clock.at(picture(1).replace(arrived=moment + 0.2, captured=None))
    assert unknown - early == pytest.approx(0.2)
    elsewhere = clock.at(picture(2).replace(arrived=moment + 1, captured=9000.0))  # another peer, another clock
    assert elsewhere - early == pytest.approx(1.0)


def test_sound_that_was_not_there_for_a_while_is_told_from_sound_that_comes_late() -> None:
    """Timestamps of sound count samples: behind a gap they are behind, and so is every later arrival."""
    timeline = Timeline(48_000)
    timeline.captured(0)
    timeline.report(rtp.ntp(100.0), 0)

    def hear(first: int, begun: float, late: float = 0.0) -> list[float]:
        """How far off the capture times are, of 200 packets of 20 ms; every tenth is late."""
        off = []
        for n in range(200):
            captured = timeline.heard((first + n) * 960, begun + 0.02 * n + (late if n % 10 == 0 else 0.004))
            assert captured is not None
            off.append(captured - rtp.NTP_EPOCH - (begun + 0.02 * n))
        return off

    assert hear(0, 100.0, late=0.3) == pytest.approx([0.0] * 200, abs=1e-3)
    behind = hear(200, 104.7)
    assert behind[0] == pytest.approx(-0.7, abs=1e-3)
    assert behind[-100:] == pytest.approx([0.0] * 100, abs=5e-3)
    timeline.report(rtp.ntp(108.7), 400 * 960)  # agrees
    assert hear(400, 108.7) == pytest.approx([0.0] * 200, abs=5e-3)
