"""ByteTrack on boxes that move as a test says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.tracking import LOST, MOST, Tracker

PERIOD = 1 / 30  # s

Seen = tuple[float, float, float]  # x and y of a middle, score


def boxes(seen: Sequence[Seen], size: float = 60) -> Floats:
    middles = np.array([each[:2] for each in seen], np.float32).reshape(-1, 2)
    return np.concatenate([middles - size / 2, middles + size / 2], axis=1)


def look(tracker: Tracker, number: float, seen: Sequence[Seen], kinds: Sequence[int] | None = None) -> list[int | None]:
    """The number of each thing in this picture: 0 for one that may be new, None for one that is none."""
    found = tracker.look(number * PERIOD, boxes(seen), np.array([each[2] for each in seen], np.float32),
                         np.array(kinds if kinds is not None else [0] * len(seen), np.int64), 0.5)
    return [None if track is None else track.number for track in found]


def test_things_keep_their_numbers_whatever_their_order() -> None:
    tracker = Tracker()
    for number in range(30):
        left, right = (100 + 5 * number, 100, 0.9), (400 - 5 * number, 180, 0.8)
        assert look(tracker, number, [left, right]) == [1, 2]
        assert look(tracker, number + 0.5, [right, left]) == [2, 1]


def test_two_that_pass_each_other_by_are_told_apart_by_their_way() -> None:
    tracker = Tracker()
    for number in range(50):
        seen = [(100 + 6 * number, 100, 0.9), (400 - 6 * number, 115, 0.9)]
        assert look(tracker, number, seen) == [1, 2]


def test_what_is_found_first_counts_and_later_ones_have_to_be_seen_twice() -> None:
    tracker = Tracker()
    assert look(tracker, 0, [(100, 100, 0.9)]) == [1]
    assert look(tracker, 1, [(100, 100, 0.9), (300, 100, 0.9)]) == [1, 0]
    assert look(tracker, 2, [(100, 100, 0.9), (302, 100, 0.9)]) == [1, 2]
    assert look(tracker, 3, [(100, 100, 0.9), (304, 100, 0.9), (500, 100, 0.9)]) == [1, 2, 0]
    assert look(tracker, 4, [(100, 100, 0.9), (306, 100, 0.9)]) == [1, 2]
    assert look(tracker, 5, [(100, 100, 0.9), (308, 100, 0.9), (500, 100, 0.9)]) == [1, 2, 0]  # a flash is no thing


def test_a_doubtful_box_keeps_a_track_and_begins_none() -> None:
    tracker = Tracker()
    assert look(tracker, 0, [(100, 100, 0.9), (300, 100, 0.2)]) == [1, None]
    for number in range(1, 60):
        assert look(tracker, number, [(100 + number, 100, 0.2), (300, 100, 0.2)]) == [1, None]


def test_what_was_lost_is_not_found_again_by_a_doubtful_box() -> None:
    tracker = Tracker()
    look(tracker, 0, [(100, 100, 0.9)])
    look(tracker, 1, [])
    assert look(tracker, 2, [(100, 100, 0.2)]) == [None]
    assert look(tracker, 3, [(100, 100, 0.9)]) == [1]


def test_a_thing_comes_back_with_its_number_from_behind_another_and_not_after_long() -> None:
    tracker = Tracker()
    for number in range(12):
        look(tracker, number, [(100 + 5 * number, 100, 0.9)])
    for number in range(12, 32):
        assert look(tracker, number, []) == []
    assert look(tracker, 32, [(100 + 5 * 32, 100, 0.9)]) == [1]
    gone = 33 + round(LOST / PERIOD) + 3
    for number in range(33, gone):
        look(tracker, number, [])
    assert tracker.tracks == []
    look(tracker, gone, [(100 + 5 * 32, 100, 0.9)])
    assert look(tracker, gone + 1, [(100 + 5 * 32, 100, 0.9)]) == [2]


def test_looks_that_lie_seconds_apart_lose_nothing() -> None:
    tracker = Tracker()
    look(tracker, 0, [(100, 100, 0.9)])
    look(tracker, 60, [])
    assert look(tracker, 120, [(102, 100, 0.9)]) == [1]


def test_between_looks_a_track_moves_on() -> None:
    tracker = Tracker()
    for number in range(0, 31, 3):
        look(tracker, number, [(100 + 5 * number, 100, 0.9)])
    tracker.advance(32 * PERIOD)
    assert tracker.boxes[0] == pytest.approx(boxes([(100 + 5 * 32, 100, 0.9)])[0], abs=2)


def test_only_things_of_one_kind_are_one() -> None:
    tracker = Tracker()
    assert look(tracker, 0, [(100, 100, 0.9), (100, 102, 0.9)], [0, 1]) == [1, 2]
    assert look(tracker, 1, [(100, 102, 0.9), (100, 100, 0.9)], [1, 0]) == [2, 1]
    assert look(tracker, 2, [(100, 100, 0.9)], [7]) == [0]


def test_no_number_is_used_again() -> None:
    tracker = Tracker()
    look(tracker, 0, [(100, 100, 0.9), (300, 100, 0.9)])
    tracker.reset()
    assert tracker.boxes.shape == (0, 4)
    assert look(tracker, 1, [(100, 100, 0.9)]) == [3]


def test_thousands_of_boxes_are_as_many_as_are_followed_and_no_more() -> None:
    chance, tracker = np.random.default_rng(1), Tracker()
    for number in range(3):
        seen = [(float(x), float(y), 0.9) for x, y in chance.uniform(0, 4000, (3000, 2))]
        found = look(tracker, number, seen)
        assert sum(each is not None for each in found) <= MOST
    assert len(tracker.tracks) <= MOST
    assert look(tracker, 4, []) == []
