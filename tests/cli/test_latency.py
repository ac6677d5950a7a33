"""Delays from pts, also when sound is cut differently on its way back."""

from __future__ import annotations

import pytest

from aimass_stream.cli.latency import Latency, percentile


def test_pictures_are_found_by_their_pts() -> None:
    track = Latency()
    for number in range(5):
        track.left(number / 30, at=10 + number / 30)
    assert track.back(2 / 30, at=10 + 2 / 30 + 0.02) == pytest.approx(0.02)
    assert track.summary() == {"sent": 5, "came_back": 1, "p50_ms": 20.0, "p95_ms": 20.0, "p99_ms": 20.0}


def test_packets_of_another_length_are_as_late_as_their_last_sample() -> None:
    track = Latency()
    for index in range(10):  # pieces of 33 ms ...
        track.left((index + 1) / 30, at=index / 30)
    # ... come back in pieces of 20 ms: the one that ends at 40 ms was complete when the second piece left
    assert track.back(0.04, at=1 / 30 + 0.005) == pytest.approx(0.005)
    assert track.back(0.02, at=0.005) == pytest.approx(0.005)


def test_what_was_never_sent_is_counted_but_not_measured() -> None:
    track = Latency()
    assert track.back(1.0, at=2) is None
    track.left(1.0, at=3)
    assert track.back(1.0, at=2) is None  # it can't have been this one: it left later
    assert track.summary() == {"sent": 1, "came_back": 2, "p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_percentiles_by_nearest_rank() -> None:
    ordered = [float(value) for value in range(100)]
    assert [percentile(ordered, mark) for mark in (0, 50, 95, 99, 100)] == [0, 50, 95, 99, 99]
    assert percentile([7.0], 95) == 7
