"""What is seen of somebody else's meeting: one stay in it, whatever system it is. An adapter is one folder here.

`Stay` is made by joining, and over once `left` is set: then nothing of it is in the room any more, or the room is
gone. All calls are made on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from ..session import Session

Kind: TypeAlias = Literal["audio", "video"]

MOST = 1000  # participants that are told apart
LONGEST_NAME = 128  # characters
OURS = "AI Mass"
MARK = f"({OURS})"  # at the end of our own names: no server of this kind listens to another


@dataclass(frozen=True, slots=True)
class Participant:
    """One of the others, as the room tells of them. `tracks` are what can be taken: the room's id and kind of each."""

    id: str
    name: str  # text that somebody typed, whatever is in it
    tracks: tuple[tuple[str, Kind], ...] = ()


class Line(Protocol):
    """Media between the room and one session. It ends by itself when the room or the network ends it."""

    @property
    def ended(self) -> asyncio.Event: ...
    async def close(self) -> None:
        """Nothing of it is left in the room afterwards. May be called again."""
        ...


class Shown(Line, Protocol):
    @property
    def shown_out(self) -> bool:
        """Whether somebody of the room ended it: then it is not shown again."""
        ...

    async def rename(self, name: str) -> None:
        """Raises `AimassError`."""
        ...


class Stay(Protocol):
    """One stay in a room."""

    @property
    def roster(self) -> Mapping[str, Participant]:
        """The others by id, at most `MOST`; without what we publish ourselves."""
        ...

    @property
    def left(self) -> asyncio.Event: ...
    @property
    def reason(self) -> str:
        """Why it is over."""
        ...

    @property
    def final(self) -> bool:
        """Whether it is over for good: we were shown out, or the room is gone."""
        ...

    async def hear(self, participant: Participant, session: Session) -> Line:
        """Feed the session with their tracks, named ``audio-0`` and ``video-0``. Raises `AimassError`."""
        ...

    async def publish(self, name: str, session: Session, kinds: Sequence[Kind]) -> Shown:
        """Show the room what comes out of the session, as somebody of this name. Raises `AimassError`."""
        ...

    def say(self, text: str) -> bool:
        """A message to all by the room's data channel; False where it could not be sent. Returns at once."""
        ...

    async def leave(self) -> None: ...


class Join(Protocol):
    """How to join one room: the same again after a stay was cut. `changed` is called whenever the roster has."""

    async def __call__(self, changed: Callable[[], None]) -> Stay:
        """Raises `AimassError`."""
        ...


def firsts(participant: Participant) -> list[tuple[str, Kind]]:
    """One track of each kind: the microphone and the camera."""
    kinds: dict[Kind, str] = {}
    for track, kind in participant.tracks:
        kinds.setdefault(kind, track)
    return [(track, kind) for kind, track in sorted(kinds.items())]


def marked(name: str) -> str:
    """A name of ours, as the room shows it."""
    return name if ours(name) else f"{name} {MARK}"


def ours(name: str) -> bool:
    """No person: of this server, or of another of its kind."""
    return name == OURS or name.endswith(MARK)


def named(value: object) -> str:
    """A participant's name as text: bounded, on one line, without what a terminal would obey."""
    text = value if isinstance(value, str) else ""
    return "".join(each if each.isprintable() else " " for each in text[:LONGEST_NAME]).strip() or "somebody"
