"""Boxes against plain loops, and what nonsense does to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.vision.boxes import POOL, Floats, Found, blend, clip, found, iou, sane, suppress

coordinate = st.integers(-200, 600).map(lambda quarters: quarters / 4)
extent = st.integers(0, 320).map(lambda quarters: quarters / 4)
box = st.tuples(coordinate, coordinate, extent, extent).map(
    lambda place: [place[0], place[1], place[0] + place[2], place[1] + place[3]])


def plain_iou(a: list[float], b: list[float]) -> float:
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0


def chance(count: int, seed: int = 1, classes: int = 3) -> Found:
    dice = np.random.default_rng(seed)
    low = dice.random((count, 2)) * 80
    boxes = np.concatenate([low, low + 5 + dice.random((count, 2)) * 40], axis=1)
    return found(boxes.astype(np.float32), dice.random(count).astype(np.float32), dice.integers(0, classes, count),
                 dice.random((count, 5, 2)).astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(st.lists(box, min_size=1, max_size=5), st.lists(box, min_size=1, max_size=5))
def test_overlap_is_that_of_the_definition(first: list[list[float]], second: list[list[float]]) -> None:
    wanted = [[plain_iou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(iou(np.array(first, np.float32), np.array(second, np.float32)), wanted, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_the_greedy_one_within_each_class(seed: int) -> None:
    candidates = chance(200, seed)
    overlaps = iou(candidates.boxes, candidates.boxes)
    wanted: list[int] = []
    for row in np.argsort(-candidates.scores):
        same = [kept for kept in wanted if candidates.classes[kept] == candidates.classes[row]]
        if all(overlaps[kept, row] <= 0.4 for kept in same):
            wanted.append(int(row))
    kept = suppress(candidates, 0.4, 1000)
    np.testing.assert_array_equal(kept.scores, candidates.scores[wanted])
    np.testing.assert_array_equal(kept.points, candidates.points[wanted])
    assert len(suppress(candidates, 0.4, 7)) == 7


def test_thousands_of_boxes_are_cut_down_to_the_best_before_they_cost_anything() -> None:
    candidates = chance(50_000, classes=80)
    best = sane(candidates, 0.1)
    assert len(best) == POOL
    assert best.scores.min() >= np.sort(candidates.scores)[-POOL]
    assert 0 < len(suppress(best, 0.5, 100)) <= 100


def test_what_is_not_a_number_is_no_thing() -> None:
    candidates = chance(6)
    candidates.boxes[0, 2], candidates.boxes[1, 0] = np.nan, np.inf
    candidates.scores[2] = np.nan
    candidates.boxes[3, 2:] = candidates.boxes[3, :2]  # without area
    candidates.boxes[4] = candidates.boxes[4][[2, 3, 0, 1]]  # inside out
    candidates.scores[5] = 0.9
    assert len(sane(candidates, 0.0)) == 1
    assert sane(candidates, 0.0).scores[0] == np.float32(0.9)


def test_nothing_stays_nothing() -> None:
    nothing = chance(0)
    for kept in (suppress(nothing, 0.5, 10), blend(nothing, 0.5, 10), sane(nothing, 0.5)):
        assert len(kept) == 0
        assert kept.boxes.shape == (0, 4)


def test_blending_answers_the_weighted_mean_of_what_overlaps() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    points: Floats = np.array([[[5, 5]], [[7, 5]], [[55, 55]]], np.float32)
    both = blend(found(boxes, np.array([0.9, 0.3, 0.5], np.float32), points=points), 0.3, 10)
    np.testing.assert_allclose(both.boxes, np.array([[0.5, 0, 10.5, 10], [50, 50, 60, 60]]), atol=1e-5)
    np.testing.assert_allclose(both.points, np.array([[[5.5, 5]], [[55, 55]]]), atol=1e-5)
    np.testing.assert_allclose(both.scores, [0.9, 0.5])
    assert len(blend(found(boxes, np.ones(3, np.float32), points=points), 0.3, 1)) == 1


def test_boxes_are_cut_at_the_edges() -> None:
    np.testing.assert_array_equal(clip(np.array([[-5, 2, 70, 99]], np.float32), 64, 48), [[0, 2, 64, 48]])
