"""Who is whose face: known faces as vectors, when two are one person's, and how often that is wrong.

Every picture of everybody is held against all others' pictures, as if its own person were not known: whoever is taken
for somebody then is a stranger falsely accepted. The threshold is raised until that happens to one in a hundred at
most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..vision.boxes import Floats, Whole

ALLOWED = 0.01  # strangers taken for somebody, at most
ENOUGH = 24  # pictures, and three people, before that counts as measured
PEOPLE = 3
MEASURED = 1000  # pictures that are held against all others: of more, so many at even steps
BLOCK = 64  # of them at once
CLOSER = 0.01  # that the threshold lies above the likest stranger


@dataclass(frozen=True, slots=True)
class Trust:
    """What was measured on the faces that are known."""

    threshold: float = float("inf")  # likeness from which two are one person; inf: nobody is recognised
    strangers: int = 0  # pictures held against all other people
    accepted: int = 0  # of them taken for somebody at that threshold
    known: float = 0.0  # share of people's pictures that are recognised by their others

    @property
    def answers(self) -> bool:
        return bool(np.isfinite(self.threshold))


@dataclass(frozen=True, slots=True)
class Match:
    person: str = ""  # an id; empty: unknown
    likeness: float = 0.0  # to the likest, -1 to 1, whoever that is


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures of one person stand together; vectors have the length 1. Never changed: `with_person` and `without`
    make another.
    """

    people: tuple[str, ...] = ()  # id of the person of each group
    starts: Whole = field(default_factory=lambda: np.zeros(0, np.int64))  # (people,): first row of each
    vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (pictures, values)
    trust: Trust = field(default_factory=Trust)

    def identify(self, vector: Floats) -> Match:
        """Whose face (values,) that is."""
        if not len(self.people) or vector.shape != self.vectors.shape[1:] or not np.isfinite(vector).all():
            return Match()
        likeness = np.maximum.reduceat(self.vectors @ vector, self.starts)
        best = int(likeness.argmax())
        found = float(likeness[best])
        return Match(self.people[best] if found >= self.trust.threshold else "", found)

    def with_person(self, person: str, vectors: Floats) -> Gallery:
        """One more, with vectors (pictures, values). The trust is not measured anew."""
        if not len(self.people):
            return replace(self, people=(person,), starts=np.zeros(1, np.int64), vectors=unit(vectors))
        return replace(self, people=(*self.people, person), starts=np.append(self.starts, len(self.vectors)),
                       vectors=np.concatenate([self.vectors, unit(vectors)]))

    def without(self, person: str) -> Gallery:
        """Nothing of them is left."""
        if person not in self.people:
            return self
        group = self.people.index(person)
        counts = np.diff(self.starts, append=len(self.vectors))
        kept = np.repeat(np.arange(len(self.people)) != group, counts)
        left = np.delete(counts, group)
        return replace(self, people=tuple(each for each in self.people if each != person),
                       starts=np.concatenate([[0], np.cumsum(left)[:-1]]).astype(np.int64) if len(left) else left,
                       vectors=np.ascontiguousarray(self.vectors[kept]))

    def measured(self, least: float | None) -> Gallery:
        """With the trust that these faces earn. `least` is the threshold of the model's card; without one (None)
        nobody is recognised before there is enough to measure on.
        """
        enough = len(self.people) >= PEOPLE and len(self.vectors) >= ENOUGH
        if not len(self.people) or (least is None and not enough):
            return replace(self, trust=Trust(strangers=len(self.vectors) if len(self.people) > 1 else 0))
        others, own = _likeness(self)
        threshold = -1.0 if least is None else least
        if enough:
            spare = int(ALLOWED * len(others))  # so many may be accepted
            threshold = max(threshold, float(np.sort(others)[-1 - spare]) + CLOSER)
        alone = own[np.isfinite(own)]
        return replace(self, trust=Trust(
            threshold, len(others) if len(self.people) > 1 else 0, int((others >= threshold).sum()),
            float((alone >= threshold).mean()) if len(alone) else 0.0))


def unit(vectors: Floats) -> Floats:
    """(n, values), each of the length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


def _likeness(gallery: Gallery) -> tuple[Floats, Floats]:
    """Of each picture that is looked at, to the likest of other people's, and to the likest other one of its own."""
    count = len(gallery.vectors)
    owners = np.repeat(np.arange(len(gallery.people)), np.diff(gallery.starts, append=count))
    rows = np.unique(np.linspace(0, count - 1, min(count, MEASURED)).round().astype(np.int64))
    others, own = [], []
    for begin in range(0, len(rows), BLOCK):
        block = rows[begin : begin + BLOCK]
        likeness = gallery.vectors[block] @ gallery.vectors.T
        mine = owners[block][:, None] == owners[None]
        others.append(np.where(mine, -np.inf, likeness).max(axis=1))
        likeness[np.arange(len(block)), block] = -np.inf
        own.append(np.where(mine, likeness, -np.inf).max(axis=1))
    return np.concatenate(others).astype(np.float32), np.concatenate(own).astype(np.float32)


def gathered(groups: Sequence[tuple[str, Floats]]) -> Gallery:
    """Of people with their vectors, all at once."""
    if not groups:
        return Gallery()
    counts = [len(vectors) for _, vectors in groups]
    return Gallery(tuple(person for person, _ in groups), np.cumsum([0, *counts[:-1]]).astype(np.int64),
                   unit(np.concatenate([vectors for _, vectors in groups])))
