"""Which of these belongs to which of those: pairs, each used once, that together have the most in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

EXACT = 64  # of the smaller side; more are paired greedily: the exact way takes the third power of it


def pairs(common: Values) -> list[tuple[int, int]]:
    """Row and column of each pair, by rows, for what they have in common (n, m), at least 0.

    What has nothing in common is no pair.
    """
    rows, columns = np.flatnonzero(common.any(axis=1)), np.flatnonzero(common.any(axis=0))
    if not len(rows):
        return []
    part = common[np.ix_(rows, columns)]
    found = _exact(part) if min(part.shape) <= EXACT else _greedy(part)
    return sorted((int(rows[row]), int(columns[column])) for row, column in found if part[row, column] > 0)


def _greedy(common: Values) -> list[tuple[int, int]]:
    """The best pair first."""
    rows, columns = np.nonzero(common)
    best = np.argsort(-common[rows, columns], kind="stable")
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    found = []
    for row, column in zip(rows[best].tolist(), columns[best].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            found.append((row, column))
    return found


def _exact(common: Values) -> list[tuple[int, int]]:
    """The largest sum, by shortest augmenting paths with potentials (after Kuhn 1955 and Munkres 1957)."""
    if common.shape[0] > common.shape[1]:
        return [(row, column) for column, row in _exact(common.T)]
    count, width = common.shape
    cost = np.zeros((count + 1, width + 1))
    cost[1:, 1:] = -common
    row_potential, column_potential = np.zeros(count + 1), np.zeros(width + 1)
    owner = np.zeros(width + 1, np.int64)  # the row that has this column, 0: none; column 0 holds the row to be placed
    for row in range(1, count + 1):
        owner[0], column = row, 0
        least, before = np.full(width + 1, np.inf), np.zeros(width + 1, np.int64)
        used = np.zeros(width + 1, np.bool_)
        while True:
            used[column] = True
            reduced = cost[owner[column]] - row_potential[owner[column]] - column_potential
            nearer = ~used & (reduced < least)
            least[nearer], before[nearer] = reduced[nearer], column
            following = int(np.argmin(np.where(used, np.inf, least)))
            step = least[following]
            row_potential[owner[used]] += step
            column_potential[used] -= step
            least[~used] -= step
            column = following
            if owner[column] == 0:
                break
        while column:  # every row on the path moves on by one column
            owner[column] = owner[before[column]]
            column = int(before[column])
    return [(int(owner[column]) - 1, column - 1) for column in range(1, width + 1) if owner[column]]
