"""Pictures are known by their time stamps, once some of their numbers could be read."""

from __future__ import annotations

import pytest

from benchmarks.vision.client import TICKS, WRAP, constant, recognised

SENT = [(place % 20, 50 + place / 30) for place in range(100)]  # a clip of twenty pictures, again and again
ORIGIN = WRAP - 40 * TICKS  # stamps begin anew after forty pictures


def stamp(place: int) -> int:
    return (ORIGIN + place * TICKS) % WRAP


def test_a_few_pictures_that_can_be_read_tell_what_stamps_begin_with() -> None:
    read = [(SENT[place][0], stamp(place)) for place in (3, 31, 44, 77)]
    assert constant(SENT, read) == ORIGIN
    assert constant(SENT, [*read, (7, stamp(10)), (9, stamp(60))]) == ORIGIN, "two were read wrongly"
    assert constant(SENT, read[:2]) is None, "they could be of any round of the clip"
    assert constant(SENT, []) is None


def test_then_all_are_known() -> None:
    # every other stamp was rounded down
    decoded = [(stamp(place) - place % 2, SENT[place][1] + 0.02) for place in range(30, 50)]
    found = recognised(SENT, [*decoded, (stamp(48) + 700, 52.0), (stamp(90), 51.7)], ORIGIN, 51.1, 53)
    assert found["number"] == [place % 20 for place in range(33, 50)], "no strange stamp, and none before it was sent"
    assert found["delay"] == pytest.approx([0.02] * 17, abs=1e-4)
