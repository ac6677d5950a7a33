"""Tools: what an assistant can do besides talking, for language models and for the command layer alike.

A tool has a name, a description and a JSON Schema of its parameters, by which a language model calls it, and
phrases, by which people do. A package offers further ones by naming them in its `pyproject.toml`::

    [project.entry-points."aimass_stream.skills"]
    dice = "my_package:Dice"

What such a name leads to is a class as `Tool` describes it. One that can't be loaded is listed with its error and
harms no other.
"""

from __future__ import annotations

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

from ..errors import AimassError
from ..frames import Kind
from ..speech.grammar import Command, Phrase, parse
from .record import Record

log = logging.getLogger(__name__)

GROUP = "aimass_stream.skills"
TIMEOUT = 20.0  # s that a tool may take
LONGEST_RESULT = 8000  # characters
BOTH: frozenset[Kind] = frozenset({"audio", "video"})

# the command layer asks in this order; adding a skill is one file in skills/ and one line here
BUILT_IN = {
    "small_talk": "skills.small_talk:SmallTalk",
    "people": "skills.people:People",
    "clock": "skills.clock:Clock",
    "timer": "skills.timers:Timers",
    "arithmetic": "skills.arithmetic:Arithmetic",
    "convert": "skills.units:Convert",
    "spell": "skills.spelling:Spelling",
    "notes": "skills.notes:Notes",
    "steer": "skills.steering:Steering",
}


def local_time() -> datetime:
    return datetime.now().astimezone()


@dataclass(slots=True)
class Surroundings:
    """What a tool finds around it: one conversation, and the session that it is held in."""

    session: str = ""
    language: str = "en"
    record: Record = field(default_factory=Record)
    memory: dict[str, Any] = field(default_factory=dict)  # the conversation's own, by tool name; ends with it
    clock: Callable[[], datetime] = local_time
    # the session's list of stages, and how to run another; None: there is none to be changed
    pipeline: Callable[[], list[dict[str, Any]]] = list
    steer: Callable[[list[dict[str, Any]]], Awaitable[None]] | None = None
    stages: Callable[[], list[dict[str, Any]]] = list  # all there are, as `Registry.describe` lists them
    kinds: Callable[[], frozenset[Kind]] = lambda: BOTH  # what comes in now: where there are no pictures, no "video"
    # say something unasked, as soon as nobody speaks; None: nobody would hear it
    announce: Callable[[str], None] | None = None
    spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]] | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`text` is a sentence that can be spoken as it is."""

    text: str
    ok: bool = True
    data: dict[str, Any] = field(default_factory=dict)  # for a program or a language model


class Tool(ABC):
    """One thing that can be done. Made once a process: what it remembers belongs in `around.memory`."""

    name: ClassVar[str]
    description: ClassVar[str]
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "properties": {}}
    phrases: ClassVar[tuple[Phrase, ...]] = ()
    example: ClassVar[str] = ""  # something to say, for "what can you do"
    for_models: ClassVar[bool] = True  # False: a language model does that by itself

    def commands(self, around: Surroundings) -> tuple[Phrase, ...]:
        """The phrases, where they depend on what is around."""
        return self.phrases

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        """What a spoken command asks for, by the schema of `parameters`. None: it is not a command after all."""
        return dict(command.slots)

    def changes(self, arguments: dict[str, Any]) -> bool:
        """True if running has an effect: then it waits until the user's turn is surely over."""
        return True

    @abstractmethod
    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        """Raises what is wrong with the arguments as an `AimassError`; its sentence is spoken."""


class Toolbox:
    """All tools by name. `load` imports them: call it off the loop."""

    def __init__(self, entries: Iterable[EntryPoint] | None = None) -> None:
        """`entries` are those of other packages: None takes what is installed."""
        own = [EntryPoint(name, f"{__package__}.{value}", GROUP) for name, value in BUILT_IN.items()]
        others = entry_points(group=GROUP) if entries is None else entries
        self._entries = [*own, *sorted(others, key=lambda entry: entry.name)]
        self._tools: dict[str, Tool] = {}
        self.errors: dict[str, str] = {}  # what can't be used, and why
        self._loaded = False

    def load(self) -> Toolbox:
        if not self._loaded:
            self._loaded = True
            for entry in self._entries:
                self._load(entry)
            for phrase in self.phrases(Surroundings()):  # read now: all at once takes longer than a loop may be held
                for pattern in phrase.patterns:
                    parse(pattern)
        return self

    def _load(self, entry: EntryPoint) -> None:
        if entry.name in self._tools:
            log.warning("skill %r of %s is left out: there is one of that name", entry.name, entry.value)
            return
        try:
            self.add(entry.load()(), name=entry.name)
        except (Exception, SystemExit) as error:  # whatever another package's import may raise
            log.warning("skill %r can't be loaded", entry.name, exc_info=error)
            self.errors[entry.name] = f"{type(error).__name__}: {error}"

    def add(self, tool: Tool, *, name: str | None = None) -> None:
        """Offer a tool. Raises `TypeError` that says what it lacks."""
        if not isinstance(tool, Tool):
            raise TypeError(f"{tool!r} is not a Tool")
        for attribute in ("name", "description"):
            if not isinstance(getattr(tool, attribute, None), str):
                raise TypeError(f"{type(tool).__name__}.{attribute} must be a text")
        if name is not None and tool.name != name:
            raise TypeError(f"{type(tool).__name__}.name is {tool.name!r}, its entry point's {name!r}")
        json.dumps(tool.parameters)
        self._tools[tool.name] = tool

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        return tuple(self._tools.values())

    def for_models(self) -> tuple[Tool, ...]:
        return tuple(tool for tool in self._tools.values() if tool.for_models)

    def phrases(self, around: Surroundings) -> tuple[Phrase, ...]:
        """What a command grammar is built from."""
        return tuple(phrase for tool in self._tools.values() for phrase in _commands(tool, around))


def _commands(tool: Tool, around: Surroundings) -> tuple[Phrase, ...]:
    try:
        return tool.commands(around)
    except Exception as error:  # another package's skill
        log.warning("skill %r has no phrases now", tool.name, exc_info=error)
        return ()


def read_arguments(text: str) -> dict[str, Any] | None:
    """The JSON object that a brain gave as arguments; None if it is none."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


async def use(tool: Tool, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
    """Run a tool so that nothing it does wrong ends the conversation."""
    try:
        async with asyncio.timeout(TIMEOUT):
            result = await tool.run(arguments, around)
    except AimassError as error:
        return ToolResult(error.detail, ok=False)
    except TimeoutError:
        return ToolResult(f"That took longer than {TIMEOUT:g} seconds, so I stopped it.", ok=False)
    except Exception as error:
        log.warning("tool %r failed", tool.name, exc_info=error)
        return ToolResult("Sorry, that went wrong.", ok=False)
    return result if len(result.text) <= LONGEST_RESULT else ToolResult(result.text[:LONGEST_RESULT], result.ok)
