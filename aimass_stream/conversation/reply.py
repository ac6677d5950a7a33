"""One reply on its way: the brain's words, the tools it uses, and the sound of it, as one stream of events.

Words go to the voice while the brain still thinks. A reply may be begun before the user's turn is surely over
(`confirmed=False`): then it thinks and speaks into its buffers, but a tool that changes something waits for
`confirm`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from ..errors import AimassError
from ..frames import Samples, now
from ..queues import BoundedQueue
from ..speech.words import Word
from .brain import Brain, BrainRequest, Described, TextDelta, ToolCall
from .record import Item
from .tools import Surroundings, Toolbox, ToolResult, read_arguments, use

log = logging.getLogger(__name__)

T = TypeVar("T")

ROUNDS = 5  # of thinking and using tools, then the reply has to do without
WAITING = 64  # events, then the brain and the voice wait for whoever reads them
MOST_CALLS = 8  # in one round; more are not run
LONGEST = 20_000  # characters of one reply; what comes after is left out


class Sounding(Protocol):
    """A piece of the spoken reply, as `speaking.speaker.Piece`. Word times count from the reply's begin."""

    @property
    def samples(self) -> Samples: ...
    @property
    def text(self) -> str: ...
    @property
    def words(self) -> Sequence[Word]: ...
    @property
    def first(self) -> bool: ...


class Speaking(Protocol):
    """Text in, word by word; sound out. `speaking.speaker.Speaker` is one."""

    @property
    def rate(self) -> int: ...
    def say(self, delta: str) -> None: ...
    def finish(self) -> None: ...
    def cancel(self) -> None: ...
    def pieces(self) -> AsyncIterator[Sounding]: ...


@dataclass(frozen=True, slots=True)
class Delta:
    """Further words."""

    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    piece: Sounding


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the client runs. The reply ends after it; the client's output asks for another."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Action:
    """A tool of this server was used. `items` are its call and output, for the record."""

    name: str
    arguments: dict[str, Any]
    result: ToolResult
    items: tuple[Item, Item]


@dataclass(frozen=True, slots=True)
class Done:
    """The last event. `text` is all of it."""

    status: Literal["completed", "failed"]
    text: str
    error: str = ""


ReplyEvent: TypeAlias = Delta | Sound | Call | Action | Done


@dataclass(slots=True)
class Moments:
    """Seconds on the monotonic clock; None: not yet."""

    began: float = field(default_factory=now)
    first_words: float | None = None
    first_sound: float | None = None


class Reply:
    """Read `events` once. Leaving it early, or `cancel`, ends the brain and the voice."""

    def __init__(self, brain: Brain, request: BrainRequest, *, around: Surroundings, toolbox: Toolbox | None = None,
                 speaker: Speaking | None = None, confirmed: bool = True) -> None:
        """`request.tools` are what the brain is told of; those that `toolbox` has run here, all others are the
        client's. `speaker` None: text only."""
        self.request = request
        self.text = ""
        self.moments = Moments()
        self._brain, self._around, self._toolbox, self._speaker = brain, around, toolbox, speaker
        self._confirmed = asyncio.Event()
        if confirmed:
            self._confirmed.set()
        self._queue: BoundedQueue[ReplyEvent] = BoundedQueue(WAITING, "block")
        self._task: asyncio.Task[None] | None = None
        self._error = ""

    @property
    def confirmed(self) -> bool:
        return self._confirmed.is_set()

    def confirm(self) -> None:
        """The turn that this answers is over: effects may happen."""
        self._confirmed.set()

    def start(self) -> None:
        """Begin; `events` does so itself."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="reply")

    def cancel(self) -> None:
        """No more events will come. May be called at any time and again."""
        if self._speaker is not None:
            self._speaker.cancel()
        if self._task is not None:
            self._task.cancel()
        self._queue.clear()
        self._queue.close()

    async def close(self) -> None:
        """Cancel, and wait until nothing of it is left."""
        self.cancel()
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task])

    async def events(self) -> AsyncIterator[ReplyEvent]:
        """Up to and with `Done`; without it if it was cancelled."""
        self.start()
        try:
            while True:
                try:
                    event, _ = await self._queue.get()
                except EOFError:
                    return
                yield event
        finally:
            await self.close()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._think())
                if self._speaker is not None:
                    group.create_task(self._speak(self._speaker))
        except* Exception as errors:
            log.warning("a reply broke off", exc_info=errors)
            self._error = self._error or _first(errors)
        if self._error and self._speaker is not None:
            self._speaker.cancel()
        await self._queue.put(Done("failed" if self._error else "completed", self.text, self._error))
        self._queue.close()

    # words and tools -------------------------------------------------------------------------------

    async def _think(self) -> None:
        request = self.request
        try:
            for _ in range(ROUNDS):
                calls = await self._round(request)
                more = await self._use(calls)
                if more is None:
                    break
                said = (Item(role="assistant", text=self.text),) if self.text.strip() else ()
                request = replace(request, items=(*self.request.items, *said, *more))
                self.request = replace(self.request, items=(*self.request.items, *more))
        except AimassError as error:
            self._error = error.detail
        finally:
            if self._speaker is not None:
                self._speaker.finish()

    async def _round(self, request: BrainRequest) -> list[ToolCall]:
        calls: list[ToolCall] = []
        async with _closing(self._brain.reply(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, ToolCall):
                    calls.append(delta)
                else:
                    await self._said(delta)
        return calls[:MOST_CALLS]

    async def _said(self, delta: TextDelta) -> None:
        text = delta.text[: max(0, LONGEST - len(self.text))]
        if not text:
            return
        if self.moments.first_words is None and text.strip():
            self.moments.first_words = now()
        self.text += text
        if self._speaker is not None:
            self._speaker.say(text)
        await self._queue.put(Delta(text))

    async def _use(self, calls: list[ToolCall]) -> list[Item] | None:
        """Run what runs here. Answers the new items, None if the reply is over with this round."""
        items: list[Item] = []
        mine = [call for call in calls if self._runs_here(call.name)]
        theirs = [call for call in calls if not self._runs_here(call.name)]
        for call in mine:
            items += await self._act(call)
        for call in theirs:
            await self._queue.put(Call(call))
        return None if theirs or not items else items

    def _runs_here(self, name: str) -> bool:
        """Also a tool that nobody has: the brain is told so and may do without."""
        offered: Described | None = next((tool for tool in self.request.tools if tool.name == name), None)
        own = self._toolbox.get(name) if self._toolbox is not None else None
        return offered is None or offered is own

    async def _act(self, call: ToolCall) -> tuple[Item, Item]:
        arguments = read_arguments(call.arguments)
        tool = self._toolbox.get(call.name) if self._toolbox is not None else None
        if tool is None:
            result = ToolResult(f"There is no tool {call.name[:64]!r}.", ok=False)
        elif arguments is None:
            result = ToolResult("The arguments are no JSON object.", ok=False)
        else:
            if tool.changes(arguments):
                await self._confirmed.wait()
            result = await use(tool, arguments, self._around)
        output = json.dumps({"text": result.text, **result.data}, default=str) if result.data else result.text
        items = (
            Item("function_call", "assistant", name=call.name, call_id=call.call_id, arguments=call.arguments,
                 internal=True),
            Item("function_call_output", "user", output, name=call.name, call_id=call.call_id, internal=True))
        await self._queue.put(Action(call.name, arguments or {}, result, items))
        return items

    # sound -----------------------------------------------------------------------------------------

    async def _speak(self, speaker: Speaking) -> None:
        async with _closing(speaker.pieces()) as pieces:
            async for piece in pieces:
                if self.moments.first_sound is None:
                    self.moments.first_sound = now()
                await self._queue.put(Sound(piece))


@contextlib.asynccontextmanager
async def _closing(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close it in the end, if it is a generator: that ends what it does behind the scenes."""
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


def _first(errors: BaseExceptionGroup[BaseException]) -> str:
    error = errors.exceptions[0]
    return error.detail if isinstance(error, AimassError) else f"{type(error).__name__}: {error}"
