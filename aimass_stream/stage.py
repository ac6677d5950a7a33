"""What a stage is: one step of a pipeline, for the frames of one track.

`process` answers the frame(s) that go on, or None to swallow; what comes later goes through `context.emit`.
A frame of another kind, or another track's, enters that track's lane after this stage. A stage that
raises is passed by: its frame goes on untouched. Native work over 2 ms belongs in `context.run`.

A stage that can do with less may say so, for sessions with a promised latency: `ladder` is a sequence of `Rung`, and
`context.rung` the number of the one that is wanted now. A method `reach` may limit the ladder to a range of numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from pydantic import BaseModel

from .events import EventData
from .frames import Frame, Kind
from .settings import Settings

Result: TypeAlias = Frame | Sequence[Frame] | None


@dataclass(frozen=True, slots=True)
class Rung:
    """One way for a stage to work. The first of its ladder is all of it, and each further one takes less time."""

    name: str  # a word or two, which the page shows at the stage
    says: str = ""  # what is less, in a few words for people
    cost: float = 0.0  # share of the first rung's time; 0: half of the rung's before
    scale: float = 1.0  # of the picture's sides that the stage is given; what it answers is enlarged again


@dataclass(frozen=True, slots=True)
class Person:
    """A participant of a room. The name is text that somebody typed, whatever is in it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Caption:
    """A whole utterance that somebody of a room said."""

    participant: str  # id
    speaker: str  # name at that time
    text: str
    at: float  # s since 1970


@dataclass(frozen=True, slots=True)
class Room:
    """The room of somebody else's meeting, at one moment, as one participant's session sees it."""

    name: str
    me: str  # id of whoever the session serves
    people: tuple[Person, ...]  # who is there, `me` among them
    captions: tuple[Caption, ...]  # the last ones of all, in their order


class Context(Protocol):
    """What the pipeline hands a stage at its start; all calls are made on the loop."""

    track: str
    session: str  # the session's id: what it shares with others (a device) is shared fairly by it
    engine: Any  # inference.Engine, for stages with a model
    settings: Settings
    rung: int  # of the stage's ladder, that a promised latency asks for; it changes between two frames

    @property
    def room(self) -> Room | None:
        """The room as it is now that has the session's participant; None for a session that is of no room."""
        ...

    def emit(self, frame: Frame) -> None: ...
    def event(self, data: EventData, frame: Frame | None = None) -> None: ...
    def drop(self, reason: str, count: int = 1) -> None: ...
    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]: ...
    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task beside the frames; it ends with the session at the latest, and if it fails, the session ends."""
        ...

    def beside(self, seconds: float) -> None:
        """So long this stage worked on something that no frame waited for: the governor counts it as the stage's."""
        ...

    def first_words(self, seconds: float, model: str) -> None:
        """So long after somebody began to speak, the first words of it were there, by that model."""
        ...

    def flush(self) -> None:
        """Barge-in: throw away this track's sound that is on its way out, also in the transport."""
        ...

    def pipeline(self) -> list[dict[str, Any]]:
        """The session's list of stages as JSON, to be changed and given to `steer`."""
        ...

    def stages(self) -> list[dict[str, Any]]:
        """All the stages there are, as `Registry.describe` lists them."""
        ...

    def kinds(self) -> frozenset[Kind]:
        """The kinds of frames that the session has had in the last seconds: without a camera, no "video"."""
        ...

    async def steer(self, pipeline: list[dict[str, Any]]) -> None:
        """Run another list of stages, as if the client had asked for it. From a task of its own, not from
        `process`: the change waits for this stage to be idle. Raises `InvalidPipeline`; then nothing changed."""
        ...


class Stage(Protocol):
    """`Params` is a pydantic model: its fields' units and ranges make the page's controls."""

    accepts: ClassVar[frozenset[Kind]]
    Params: ClassVar[type[BaseModel]]

    async def start(self, context: Context) -> None: ...
    async def process(self, frame: Any) -> Result: ...
    def update(self, params: Any) -> None: ...
    async def close(self) -> None: ...
