"""What is kept of inputs: a few numbers of each, in histograms that can be compared."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from aimass_stream.inference import Batch
from aimass_stream.watch.clock import SETTLES, Clock
from aimass_stream.watch.drift import _added, _compared
from aimass_stream.watch.histogram import LEARNED, Histogram, psi
from aimass_stream.watch.sampling import RATE, WAITING, Sampler, features

RANDOM = np.random.default_rng(1)


def seen(array: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The features of one input."""
    sampler = Sampler()
    sampler.answered("fish@1", {"x": np.asarray(array)}, {})
    return features(sampler.take().get("fish@1", []))


def histogram(values: Any, like: Histogram | None = None) -> Histogram:
    made = like.like() if like is not None else Histogram()
    values = np.asarray(values, np.float64)
    made.add(values)
    if like is None:
        for part in np.array_split(values, 20):
            made.learn(part)
        made.learn(values[:0], now=True)
    return made


def test_what_inputs_are_described_by() -> None:
    assert {name: values.tolist() for name, values in seen([[1, 2], [3, 4]]).items()} == {
        "x[0]": [1, 3], "x[1]": [2, 4]}
    assert list(seen(np.float32(3))) == ["x"]
    picture = np.zeros((1, 64, 48, 3), np.uint8)
    picture[..., 1] = 30
    found = seen(picture)
    assert list(found) == ["x.brightness", "x.contrast", "x.channel0", "x.channel1", "x.channel2"]
    assert (found["x.brightness"].tolist(), found["x.contrast"].tolist()) == ([10], [0])
    assert np.unique(found["x.channel1"]).tolist() == [30]
    planes = np.ascontiguousarray(picture.transpose(0, 3, 1, 2))
    assert {name: values.tolist() for name, values in seen(planes).items()} == {
        name: values.tolist() for name, values in found.items()}
    assert seen(np.array(["fish", "chips"], object))["x.length"].tolist() == [4, 5]
    assert list(seen(np.zeros((1, 80, 300), np.float32))) == ["x", "x.mean", "x.spread"]
    assert list(seen(np.zeros((1, 300, 80), np.float32).transpose(0, 2, 1))) == ["x", "x.mean", "x.spread"]
    for nothing in (np.array([object()]), np.zeros((0, 3)), np.zeros(3, complex)):
        assert seen(nothing) == {}


def test_numbers_that_are_none_are_missing() -> None:
    values = seen(np.array([[np.nan, 1e308], [np.inf, 2.0]]))
    made = Histogram()
    for each in values.values():
        made.add(each)
    assert (made.count, made.missing) == (2, 2)
    json.dumps(made.json(), allow_nan=False)
    with np.errstate(all="raise"):
        assert np.isnan(seen(np.full((1, 32, 32, 3), np.nan, np.float32))["x.brightness"]).all()


def test_a_few_a_second_of_each_and_not_more_than_there_is_room_for() -> None:
    now = [100.0]
    sampler, row = Sampler(lambda: now[0]), np.zeros((1, 3), np.float32)
    for _ in range(1000):
        sampler.answered("fish@1", {"x": row}, {})
        sampler.answered("bird@1", {"x": row}, {})
        now[0] += 0.01
    taken = sampler.take()
    assert {model: len(samples) for model, samples in taken.items()} == {
        "fish@1": pytest.approx(10 * RATE, abs=2), "bird@1": pytest.approx(10 * RATE, abs=2)}
    assert sampler.taken + sampler.left_out == 2000
    for number in range(WAITING + 10):
        sampler.answered(f"m@{number}", {"x": row}, {})
    assert len(sampler.take()) == WAITING
    now[0] += 3600
    assert sampler.take() == {}
    assert sampler._due == {}


def test_what_the_caller_does_with_its_input_afterwards_does_not_matter() -> None:
    sampler = Sampler()
    inputs: Batch = {"table": np.ones((2, 3), np.float32), "x": np.ones((1, 3, 64, 64), np.float32),
                     "y": np.ones((1, 5, 400), np.float32)}
    sampler.answered("fish@1", inputs, {})
    for array in inputs.values():
        array[:] = 7
    assert {float(values.max()) for values in features(sampler.take()["fish@1"]).values()} == {0, 1}


def test_what_most_requests_pay_for_it() -> None:
    sampler = Sampler()
    inputs: Batch = {"x": np.zeros((1, 3, 640, 640), np.float32)}
    begun = time.thread_time()
    for _ in range(10_000):
        sampler.answered("fish@1", inputs, {})
    assert (time.thread_time() - begun) / 10_000 < 20e-6


def test_a_histogram_in_parts_is_that_of_the_whole() -> None:
    values = RANDOM.normal(1e6, 1, 3000)
    whole = histogram(values)
    assert whole.count == 3000
    assert [whole.mean, whole.std] == pytest.approx([values.mean(), values.std()])
    parts = whole.like()
    for part in np.array_split(values, 7):
        parts.merge(histogram(part, whole))
    assert (parts.count, parts.bins) == (3000, histogram(values, whole).bins)
    assert [parts.mean, parts.std] == pytest.approx([whole.mean, whole.std])
    assert Histogram.of(json.loads(json.dumps(parts.json())), whole.edges) == parts


def test_how_far_values_are_from_what_they_were() -> None:
    before = histogram(RANDOM.normal(0, 1, 5000))
    assert before.edges is not None
    assert len(before.edges) == 9
    near = psi(before, histogram(RANDOM.normal(0, 1, 5000), before))
    far = psi(before, histogram(RANDOM.normal(1, 1, 5000), before))
    gone = psi(before, histogram(RANDOM.normal(50, 1, 5000), before))
    assert near is not None
    assert far is not None
    assert gone is not None
    assert near < 0.05 < 0.5 < far < gone
    missing = psi(before, histogram(np.where(RANDOM.random(5000) < 0.3, np.nan, RANDOM.normal(0, 1, 5000)), before))
    assert missing is not None
    assert missing > 0.25
    assert psi(before, histogram(RANDOM.normal(0, 1, 10), before)) is None  # too few
    assert psi(before, before.like()) is None


def test_values_that_are_all_the_same_and_those_that_are_yes_or_no() -> None:
    same = histogram(np.full(600, 5.0))
    for other in (4.0, 6.0):
        found = psi(same, histogram(np.full(600, other), same))
        assert found is not None
        assert found > 1
    flags = histogram(np.tile([0.0, 1.0], 300))
    half, few = (psi(flags, histogram((RANDOM.random(600) < share).astype(float), flags)) for share in (0.5, 0.05))
    assert half is not None
    assert few is not None
    assert half < 0.05 < 0.25 < few


def test_a_baseline_learns_from_few_values_at_a_time() -> None:
    def samples(mean: float) -> Any:
        sampler = Sampler(iter(range(10_000)).__next__)  # a second passes between two looks
        for _ in range(40):
            sampler.answered("fish@1", {"x": RANDOM.normal(mean, 1, (1, 2)).astype(np.float32)}, {})
        return sampler.take()["fish@1"]

    before: dict[str, Any] = {}
    hour: dict[str, Any] = {}
    for _ in range(LEARNED // 40):
        before, hour = _added(before, hour, samples(0), True)
        assert before["x[0]"]["edges"] is None
    for _ in range(4):
        before, hour = _added(before, hour, samples(0), True)
    assert len(before["x[1]"]["edges"]) == 9
    assert "first" not in before["x[1]"]
    kept = json.loads(json.dumps(before))
    later: dict[str, Any] = {}
    for _ in range(4):
        before, later = _added(before, later, samples(3), False)
    assert before == kept
    [one, other] = _compared(before, [later])
    assert one.name == "x[0]"
    for feature in (one, other):
        assert feature.psi is not None
        assert feature.psi > 1
        assert feature.shift == pytest.approx(3, abs=0.5)


def test_a_baseline_with_few_values_is_closed_with_those_it_has() -> None:
    sampler = Sampler()
    sampler.answered("fish@1", {"x": np.array([[1.0, 2.0]], np.float32)}, {})
    one = sampler.take()["fish@1"]
    before, _ = _added({}, {}, one, True)
    after, hour = _added(before, {}, one, False)
    assert (after["x[0]"]["edges"][-1], after["x[0]"]["count"], hour["x[0]"]["bins"]) == (1.0, 1, [0, 1, 0])


def test_a_clock_that_is_set_wrong_for_a_moment() -> None:
    day, steady = [1000.0], [0.0]
    clock = Clock(lambda: day[0], lambda: steady[0])

    def goes_on(seconds: float) -> float:
        day[0] += seconds
        steady[0] += seconds
        clock.look()
        return clock()

    assert goes_on(10) == 1010
    day[0] += 1  # NTP
    assert goes_on(10) == 1021
    day[0] += 86400 * 365
    assert goes_on(10) == 1031
    day[0] -= 86400 * 365
    assert goes_on(10) == 1041
    day[0] -= 86400
    assert goes_on(10) == 1051
    assert goes_on(SETTLES - 1) == 1051 + SETTLES - 1
    assert goes_on(1) == 1051 + SETTLES - 86400  # it was meant
