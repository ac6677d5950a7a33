"""What phones are heard as, and how like a command that is."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from aimass_stream.hearing.confusions import CLOSE, FAR, KNOWN, NUMBERS, sounds_like
from aimass_stream.hearing.phones import FRAMES, Timed
from benchmarks.speech_confusions import aligned, trained


def timed(text: str, each: float = 8.0, start: float = 0.0) -> list[Timed]:
    return [Timed(phone, start + place * each) for place, phone in enumerate(text.split())]


MIRROR = "M IH R ER DH AH P IH K CH ER"


def test_the_table_holds_probabilities() -> None:
    assert [table.shape for table in KNOWN] == [(39, 39), (39,), (39,), (39,)]
    assert np.exp(-KNOWN.confused).sum(axis=1) + np.exp(-KNOWN.missed) == pytest.approx(np.ones(39), abs=0.03)
    assert np.exp(-KNOWN.usual).sum() == pytest.approx(1, abs=0.03)
    assert (KNOWN.confused.argmin(axis=1) == np.arange(39)).mean() > 0.7, "most are heard as themselves"


def test_what_was_said_is_likelier_than_anything_else() -> None:
    said = timed(MIRROR)
    same, near = sounds_like(said, said), sounds_like(said, timed("N IH R ER DH AH B IH T CH ER"))
    other = sounds_like(said, timed("S OW V AE L Y UW Z F AO HH"))
    assert same > near > 0 > other
    assert sounds_like(said, timed(MIRROR, start=200)) < near, "at another time it is something else"
    assert sounds_like([], said) < 0
    assert sounds_like(said, []) < 0


def test_it_is_the_cheapest_way_of_all() -> None:
    """Cell by cell, as `aligned` goes it: the sum of its steps."""
    random = Random(3)
    for _ in range(20):
        said, heard = (timed(" ".join(random.choices(list(FRAMES), k=random.randrange(1, 20))), random.uniform(5, 12))
                       for _ in range(2))
        cost, one, two = 0.0, iter(said), iter(heard)
        for first, second in aligned(said, heard, KNOWN):
            if first is None:
                assert second is not None
                cost += KNOWN.added[second]
                next(two)
            elif second is None:
                cost += KNOWN.missed[first]
                next(one)
            else:
                cost += KNOWN.confused[first, second]
                cost += max(0.0, abs(next(one).middle - next(two).middle) - CLOSE) * FAR
        usual = sum(KNOWN.usual[NUMBERS[phone]] for phone, _ in heard)
        assert sounds_like(said, heard) == pytest.approx((usual - cost) / max(len(said), len(heard)))


def test_what_is_mistaken_often_is_learnt() -> None:
    said = timed("B AA B AA")
    found = trained([(said, timed("P AA P AA"))] * 30, [timed("P AA")])
    assert found.confused[NUMBERS["B"]].argmin() == NUMBERS["P"]
    assert found.confused[NUMBERS["AA"]].argmin() == NUMBERS["AA"]
    assert found.missed[NUMBERS["B"]] > found.confused[NUMBERS["B"], NUMBERS["P"]]
