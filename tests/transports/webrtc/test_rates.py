"""How fast to send: what receivers estimate, what losses allow."""

from __future__ import annotations

import random

import pytest

from aimass_stream.transports.webrtc.bitrate import Rate
from aimass_stream.transports.webrtc.estimate import Estimator
from aimass_stream.transports.webrtc.outbound import Report


def report(lost: float) -> Report:
    return Report(fraction_lost=lost, lost=0, jitter=0, rtt=0.02)


def test_loss_slows_down_and_its_absence_speeds_up() -> None:
    rate = Rate(1_000_000, 200_000, 3_000_000)
    assert rate.target == 1_000_000
    rate.report(report(0.05))
    assert rate.target == 1_000_000  # retransmission copes with that
    rate.report(report(0.3))
    assert rate.target == pytest.approx(850_000)
    for _ in range(60):
        rate.report(report(0.5))
    assert rate.target == 200_000
    for _ in range(60):
        rate.report(report(0))
    assert rate.target == 3_000_000


def test_the_receivers_estimate_is_never_exceeded() -> None:
    rate = Rate(1_000_000, 200_000, 3_000_000)
    rate.estimate(600_000)
    assert (rate.target, rate.reason) == (600_000, "the receiver's estimate")
    rate.estimate(1_000)
    assert rate.target == 200_000
    rate.estimate(9_000_000)
    assert (rate.target, rate.reason) == (1_000_000, "growing as long as nothing is lost")
    rate.report(report(0.3))
    assert rate.reason == "packet loss"


class Link:
    """Pictures at 30/s over a link of `capacity` bit/s with a queue in front, and jitter behind it."""

    def __init__(self, capacity: float, jitter: float = 0.0) -> None:
        self.capacity = capacity
        self.estimator = Estimator(1_000_000, 100_000, 3_000_000)
        self.told: list[int] = []
        self._free_at = 0.0
        self._jitter = jitter
        self._random = random.Random(1)
        self._now = 40.0  # abs-send-time wraps at 64 s

    def run(self, seconds: float, rate: float | None = None) -> None:
        """Send at `rate`, or as told."""
        end = self._now + seconds
        while self._now < end:
            bits = (rate or self.estimator.estimate) / 30
            self._free_at = max(self._now, self._free_at) + bits / self.capacity
            arrived = self._free_at + 0.02 + self._random.uniform(0, 2 * self._jitter)
            sent = (int(self._now * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big")
            answer = self.estimator.add(sent, arrived, round(bits / 8))
            if answer is not None:
                self.told.append(answer)
            self._now += 1 / 30


def test_a_wide_link_is_used_to_the_limit() -> None:
    link = Link(50_000_000)
    link.run(15)
    assert link.told[-1] == 3_000_000


def test_a_narrow_link_is_not_overrun() -> None:
    link = Link(500_000)
    link.run(30)
    assert 250_000 < sum(link.told[-8:]) / 8 < 600_000


def test_a_link_that_becomes_narrow_and_wide_again() -> None:
    link = Link(10_000_000)
    link.run(12)
    assert link.told[-1] == 3_000_000
    link.capacity = 400_000
    link.run(15)
    assert link.told[-1] < 600_000
    link.capacity = 10_000_000
    link.run(30)
    assert link.told[-1] > 2_000_000


def test_jitter_is_not_taken_for_a_queue() -> None:
    link = Link(50_000_000, jitter=0.03)
    link.run(30, rate=1_500_000)
    assert min(link.told) >= 1_000_000


def test_a_picture_that_hardly_moves_says_nothing_about_the_link() -> None:
    link = Link(50_000_000)
    link.run(20, rate=50_000)
    assert 1_000_000 <= link.told[-1] < 1_300_000
