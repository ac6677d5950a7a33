"""What a stage is: one step of a pipeline, for the frames of one track.

`process` answers the frame(s) that go on, or None to swallow; what comes later goes through `context.emit`.
A frame of another kind, or another track's, enters that track's lane after this stage. A stage that
raises is passed by: its frame goes on untouched. Native work over 2 ms belongs in `context.run`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

from pydantic import BaseModel

from .events import EventData
from .frames import Frame, Kind

Result: TypeAlias = Frame | Sequence[Frame] | None


class Context(Protocol):
    """What the pipeline hands a stage at its start; all calls are made on the loop."""

    track: str
    session: str  # the session's id: what it shares with others (a device) is shared fairly by it
    engine: Any  # inference.Engine, for stages with a model

    def emit(self, frame: Frame) -> None: ...
    def event(self, data: EventData, frame: Frame | None = None) -> None: ...
    def drop(self, reason: str, count: int = 1) -> None: ...
    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]: ...


class Stage(Protocol):
    """`Params` is a pydantic model: its fields' units and ranges make the page's controls."""

    accepts: ClassVar[frozenset[Kind]]
    Params: ClassVar[type[BaseModel]]

    async def start(self, context: Context) -> None: ...
    async def process(self, frame: Any) -> Result: ...
    def update(self, params: Any) -> None: ...
    async def close(self) -> None: ...
