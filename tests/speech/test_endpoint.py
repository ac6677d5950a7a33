from __future__ import annotations

import pytest

from aimass_stream.speech.endpoint import WINDOW, Change, Endpointer, EndpointSettings, Started, Stopped


def heard(pattern: str, settings: EndpointSettings | None = None, patience: float | None = None) -> list[Change]:
    """One character a window: `#` surely speech, `+` perhaps, `.` silence."""
    endpointer = Endpointer(settings)
    chances = {"#": 0.9, "+": 0.4, ".": 0.05}
    return [change for place, mark in enumerate(pattern)
            for change in endpointer.feed(chances[mark], place * WINDOW, patience=patience)]


def test_speech_with_its_times() -> None:
    started, stopped = heard("..." + "#" * 20 + "." * 20)
    assert isinstance(started, Started)
    assert isinstance(stopped, Stopped)
    assert started.at == pytest.approx(3 * WINDOW)
    assert started.noticed == pytest.approx(6 * WINDOW)  # three windows are 96 ms
    assert stopped.at == pytest.approx(23 * WINDOW)
    assert stopped.noticed == pytest.approx(39 * WINDOW)  # the first window with at least 500 ms behind it
    assert stopped.duration == pytest.approx(20 * WINDOW)
    assert stopped.voiced == pytest.approx(20 * WINDOW)
    assert started.probability == pytest.approx(0.9)
    assert stopped.probability == pytest.approx(0.9)
    assert not stopped.cut


def test_a_click_is_no_speech_and_perhaps_is_no_begin() -> None:
    assert heard("#..##..#..##.." * 20) == []
    assert heard("+" * 500) == []


def test_what_has_begun_goes_on_above_the_release() -> None:
    changes = heard("###" + "+" * 50 + "." * 20)
    assert [type(change) for change in changes] == [Started, Stopped]
    assert changes[1].at == pytest.approx(53 * WINDOW)


def test_a_pause_is_not_an_end_and_a_click_does_not_lengthen_it() -> None:
    changes = heard("#" * 10 + "." * 14 + "#" * 10 + "." * 20)
    assert [type(change) for change in changes] == [Started, Stopped]
    assert changes[1].at == pytest.approx(34 * WINDOW)
    assert isinstance(changes[1], Stopped)
    assert changes[1].voiced == pytest.approx(20 * WINDOW)
    clicked = heard("#" * 10 + "." * 7 + "#" + "." * 20)
    assert clicked[1].at == pytest.approx(10 * WINDOW)
    assert clicked[1].noticed == pytest.approx(26 * WINDOW)


def test_patience_replaces_the_silence() -> None:
    assert len(heard("#" * 10 + "." * 10)) == 1
    assert len(heard("#" * 10 + "." * 10, patience=0.3)) == 2
    assert len(heard("#" * 10 + "." * 40, patience=1.5)) == 1


def test_what_is_too_long_is_cut_and_begins_again() -> None:
    changes = heard("#" * 100 + "." * 20, EndpointSettings(max_utterance_s=2.0))
    assert [type(change) for change in changes] == [Started, Stopped, Started, Stopped]
    first = changes[1]
    assert isinstance(first, Stopped)
    assert first.cut
    assert first.at == pytest.approx(63 * WINDOW)
    assert changes[2].at == pytest.approx(63 * WINDOW)


def test_settings_change_between_windows() -> None:
    endpointer = Endpointer()
    for place in range(30):
        endpointer.feed(0.6, place * WINDOW)
    assert endpointer.speaking
    endpointer.settings = EndpointSettings(threshold=0.8, release=0.7, silence_ms=64)
    changes = [change for place in range(30, 34) for change in endpointer.feed(0.6, place * WINDOW)]
    assert [type(change) for change in changes] == [Stopped]
    assert not endpointer.speaking


def test_many_minutes_of_silence() -> None:
    assert heard("." * 20_000) == []
