"""Counting what a loop of phones makes of each phone that was said, for hearing/confusions.json.

Pairs of phone sequences are aligned by what is known so far, counted, and aligned anew by the counts (Viterbi
training). What is seldom or never seen is filled up from how alike two phones are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from aimass_stream.hearing.confusions import CLOSE, FAR, NUMBERS, Confusions
from aimass_stream.hearing.phones import FRAMES, Timed

Pair: TypeAlias = tuple[Sequence[Timed], Sequence[Timed]]  # said, heard

ROUNDS = 2
WEIGHT = 6.0  # times that each phone counts as seen before any was
MISSED, ADDED = 0.6, 0.2  # of them
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
ALIKE = [frozenset(kind.split()) for kind in (
    "P B", "T D", "K G", "F V TH DH", "S Z SH ZH TH DH", "CH JH SH ZH T", "M N NG", "L R ER W Y", "D DH N L", "V W B",
    "IY IH EY Y", "IH EH AH ER UH", "EH AE AH EY", "AE AA AH", "AA AO AH OW AW", "OW UH UW AO", "UH UW AH W",
    "AY AA AH IH EY", "OY AO OW", "AW AA AE")]


def difference(one: str, other: str) -> float:
    """What is taken for known before anything is counted: 0 for the same phone, 0.4 for those that are mistaken for
    each other, more for a vowel and a consonant."""
    if one == other:
        return 0.0
    if any(one in kind and other in kind for kind in ALIKE):
        return 0.4
    return 0.8 if (one in VOWELS) == (other in VOWELS) else 1.2


def trained(pairs: Sequence[Pair], all_heard: Sequence[Sequence[Timed]]) -> Confusions:
    """`pairs`: of commands that were said; `all_heard`: of whatever was."""
    alike = np.array([[0.3 + 3 * difference(one, other) for other in FRAMES] for one in FRAMES])
    prior = np.exp(-1.2 * alike)
    prior /= prior.sum(axis=1, keepdims=True)
    usual = np.ones(len(FRAMES))
    for heard in all_heard:
        for phone, _ in heard:
            usual[NUMBERS[phone]] += 1
    usual = -np.log(usual / usual.sum())
    found = Confusions(alike, np.full(len(FRAMES), 2.0), np.full(len(FRAMES), 2.5), usual)
    for _ in range(ROUNDS):
        confused, missed, added = WEIGHT * prior, np.full(len(FRAMES), MISSED), np.full(len(FRAMES), ADDED)
        total = 0
        for said, heard in pairs:
            for one, other in aligned(said, heard, found):
                total += one is not None
                if one is None:
                    added[other] += 1
                elif other is None:
                    missed[one] += 1
                else:
                    confused[one, other] += 1
        rows = confused.sum(axis=1) + missed
        found = Confusions(-np.log(confused / rows[:, None]), -np.log(missed / rows),
                           -np.log(added / (total + added.sum())), usual)
    return found


def aligned(said: Sequence[Timed], heard: Sequence[Timed], known: Confusions) -> list[tuple[int | None, int | None]]:
    """The cheapest way to make one of the other: numbers of phones, None where one of the two has none."""
    ones, others = [NUMBERS[phone] for phone, _ in said], [NUMBERS[phone] for phone, _ in heard]
    costs = np.zeros((len(ones) + 1, len(others) + 1))
    costs[0, 1:] = np.cumsum(known.added[others])
    costs[1:, 0] = np.cumsum(known.missed[ones])
    steps = np.zeros(costs.shape, int)
    steps[0, 1:], steps[1:, 0] = 2, 1
    for row in range(1, len(ones) + 1):
        for column in range(1, len(others) + 1):
            apart = abs(said[row - 1].middle - heard[column - 1].middle)
            same = known.confused[ones[row - 1], others[column - 1]] + max(0.0, apart - CLOSE) * FAR
            ways = (costs[row - 1, column - 1] + same, costs[row - 1, column] + known.missed[ones[row - 1]],
                    costs[row, column - 1] + known.added[others[column - 1]])
            steps[row, column] = int(np.argmin(ways))
            costs[row, column] = min(ways)
    found: list[tuple[int | None, int | None]] = []
    row, column = len(ones), len(others)
    while row or column:
        step = steps[row, column]
        found.append((None if step == 2 else ones[row - 1], None if step == 1 else others[column - 1]))
        row, column = row - (step != 2), column - (step != 1)
    return found[::-1]


def written(found: Confusions) -> str:
    """As hearing/confusions.json."""
    return json.dumps({name: np.round(table, 2).tolist() for name, table in found._asdict().items()}) + "\n"
