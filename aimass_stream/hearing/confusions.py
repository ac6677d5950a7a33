"""How likely it is that a command sounds like the phones that were heard.

A loop of phones, of any in any order, writes down what it hears of a voice. It mistakes many phones for others, and
always the same for the same: how often it does was counted, of commands by several voices. By that the phones of a
command are aligned with those that were heard, in the time of both, and the result is compared with what phones are
heard anyway: the log likelihood ratio of a noisy channel (Shannon 1948; for phones Ristad and Yianilos 1998).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .phones import FRAMES, Timed

NUMBERS = {phone: number for number, phone in enumerate(FRAMES)}
CLOSE = 6  # frames between the middles of a phone and of what it was heard as, for nothing
FAR = 0.25  # the cost of each frame more
MOST = 120  # phones; nobody says a command of more in 10 s

Costs = NDArray[np.float64]


class Confusions(NamedTuple):
    """Costs: negative natural logarithms of probabilities. Phones are numbered as in `FRAMES`."""

    confused: Costs  # (said, heard)
    missed: Costs  # (said,): nothing is heard of it
    added: Costs  # (heard,): nothing was said there
    usual: Costs  # (heard,): whatever was said


def _read() -> Confusions:
    table = json.loads((files(__package__) / "confusions.json").read_text(encoding="utf-8"))
    return Confusions(*(np.array(table[name]) for name in Confusions._fields))


KNOWN = _read()


def sounds_like(said: Sequence[Timed], heard: Sequence[Timed], known: Confusions = KNOWN) -> float:
    """The log likelihood ratio for each phone; more is likelier, and about 0 is other talk."""
    said, heard = said[:MOST], heard[:MOST]
    if not said or not heard:
        return -float(np.mean(known.missed if said else known.added))
    ones = np.array([NUMBERS[phone] for phone, _ in said])
    others = np.array([NUMBERS[phone] for phone, _ in heard])
    apart = np.abs(np.array([middle for _, middle in said])[:, None] - np.array([middle for _, middle in heard]))
    costs = known.confused[ones][:, others] + np.maximum(0, apart - CLOSE) * FAR
    missed = known.missed[ones]
    added = np.concatenate([[0.0], np.cumsum(known.added[others])])
    before = added.copy()
    for place in range(len(ones)):
        row = before + missed[place]
        np.minimum(row[1:], before[:-1] + costs[place], out=row[1:])
        before = np.minimum.accumulate(row - added) + added
    return float(known.usual[others].sum() - before[-1]) / max(len(ones), len(others))
