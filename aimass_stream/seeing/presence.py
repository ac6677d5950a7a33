"""Who is there: names for faces that are followed, and who came and left."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .detector import Thing
from .gallery import Match

VOTES = 5  # looks at a face that count, the last ones
AGREE = 3  # of them for one person, and it is that one
AGAIN = 0.5  # s from one look at a face that has a name to the next
MISSED = 2.0  # s without a face after which it is another one


@dataclass(slots=True)
class _Face:
    first: float  # s of media time
    seen: float
    votes: deque[str] = field(default_factory=lambda: deque(maxlen=VOTES))  # ids; empty: unknown
    person: str = ""
    likeness: float = 0.0
    looked: float = float("-inf")  # s of media time


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody `came`, or `left` and was last seen `at` that moment."""

    what: Literal["came", "left"]
    person: str  # id
    at: float  # s of media time
    stayed: float = 0.0  # s


class Presence:
    """Of one track of pictures: `due`, `look` for what that answers, then `update`, for every picture."""

    def __init__(self) -> None:
        self._faces: dict[int, _Face] = {}  # by the number that it is followed by
        self._here: dict[str, tuple[float, float]] = {}  # by person: since when, and when last seen, s

    def reset(self) -> None:
        """Faces that are followed from now on are others; who is there stays so for as long as `update` allows."""
        self._faces.clear()

    def due(self, things: Sequence[Thing], seconds: float, smallest: float, most: int) -> list[Thing]:
        """Whose faces are to be looked at in this picture: nameless ones first, then those longest not looked at."""
        waiting = [(bool(face.person), face.looked, thing) for thing in things
                   if thing.id and not thing.predicted and min(_size(thing)) >= smallest
                   and (len((face := self._faces.setdefault(thing.id, _Face(seconds, seconds))).votes) < VOTES
                        or seconds - face.looked >= AGAIN)]
        return [thing for *_, thing in sorted(waiting, key=lambda each: each[:2])[:most]]

    def look(self, number: int, match: Match, seconds: float) -> None:
        """What a look at the face with that number says."""
        face = self._faces.setdefault(number, _Face(seconds, seconds))
        face.looked, face.likeness = seconds, match.likeness
        face.votes.append(match.person)
        person, votes = Counter(face.votes).most_common(1)[0]
        if votes >= AGREE:
            face.person = person

    def who(self, number: int) -> tuple[str, float]:
        """The id of that face's person, empty while it is unknown, and the likeness of the last look."""
        face = self._faces.get(number)
        return (face.person, face.likeness) if face is not None else ("", 0.0)

    def update(self, things: Sequence[Thing], seconds: float, patience: float, known: Mapping[str, str]) -> list[Visit]:
        """Who came and left by this picture. `patience` (s): of who is not seen for so long, it is said that they left;
        `known` has everybody: who is not in it is nobody's name any more.
        """
        for thing in things:
            face = self._faces.get(thing.id)
            if face is None or thing.predicted:
                continue
            face.seen = seconds
            if face.person and face.person not in known:
                self._faces[thing.id] = face = _Face(seconds, seconds)
        self._faces = {number: face for number, face in self._faces.items() if seconds - face.seen <= MISSED}
        visits = []
        for face in self._faces.values():
            person = face.person
            if not person or face.seen != seconds:
                continue
            since, _ = self._here.get(person, (face.first, seconds))
            if person not in self._here:
                visits.append(Visit("came", person, since))
            self._here[person] = since, seconds
        gone = [person for person, (_, last) in self._here.items() if seconds - last > patience or person not in known]
        return [*visits, *self._left(gone)]

    def leave(self) -> list[Visit]:
        """Nobody is looked for any more."""
        return self._left(list(self._here))

    @property
    def here(self) -> dict[str, float]:
        """Everybody who is there, with the media time they came, s."""
        return {person: since for person, (since, _) in self._here.items()}

    def _left(self, people: Sequence[str]) -> list[Visit]:
        spans = [(person, *self._here.pop(person)) for person in people]
        return [Visit("left", person, last, last - since) for person, since, last in spans]


def _size(thing: Thing) -> tuple[float, float]:
    left, top, right, bottom = thing.box
    return right - left, bottom - top
