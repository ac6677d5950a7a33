"""Pairs with the most in common, against trying them all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.vision.assignment import EXACT, Values, pairs


def best(common: Values) -> float:
    """The largest sum there is, of all ways to pair."""
    if common.shape[0] > common.shape[1]:
        common = common.T
    rows = range(common.shape[0])
    return max(float(sum(common[row, column] for row, column in zip(rows, columns, strict=True)))
               for columns in itertools.permutations(range(common.shape[1]), len(rows)))


tables = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8]), min_size=shape[0] * shape[1],
                           max_size=shape[0] * shape[1]).map(lambda cells: np.array(cells, float).reshape(shape)))


@settings(deadline=None)
@given(tables)
def test_no_other_pairs_have_more_in_common(common: Values) -> None:
    found = pairs(common)
    assert found == sorted(found)
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
    assert all(common[pair] > 0 for pair in found)
    assert sum(common[pair] for pair in found) == best(common)


def test_the_best_pair_gives_way_where_two_others_have_more() -> None:
    assert pairs(np.array([[0.9, 0.8], [0.85, 0.1]])) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_nothing_in_common(shape: tuple[int, int]) -> None:
    assert pairs(np.zeros(shape)) == []


def test_very_many_are_paired_by_the_best_first() -> None:
    count = EXACT + 1
    common = np.full((count, count), 0.1)
    np.fill_diagonal(common, 0.5)
    assert pairs(common) == [(number, number) for number in range(count)]
    common[0, 1] = 0.6  # exactly solved, this would not be worth it
    assert pairs(common)[:2] == [(0, 1), (1, 0)]
