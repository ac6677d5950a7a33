"""What a brain is: something that is asked with a conversation and answers in pieces of text and calls of tools.

Whether it is a language model behind a URL, the built-in command layer, or both is nobody else's business:
replies, protocols and the assistant see this contract only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from ..errors import Unavailable
from ..settings import Settings
from .record import Item, new_id
from .tools import Surroundings, Toolbox

Choice: TypeAlias = Literal["default", "offline"]  # what a client may ask for; the URL is the operator's alone


class BrainFailed(Unavailable):
    """No answer in time, an answer that makes no sense, or one that broke off."""

    title = "The language model failed"


class Described(Protocol):
    """What a brain is told of a tool. `parameters` is a JSON Schema of an object."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Function:
    """A tool that somebody else runs: a client that defined it, over its protocol."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The brain wants a tool to be run. `arguments` is a JSON object as text, whole."""

    name: str
    arguments: str = "{}"
    call_id: str = field(default_factory=lambda: new_id("call"))


@dataclass(frozen=True, slots=True)
class BrainRequest:
    items: tuple[Item, ...]  # the conversation, the oldest first; `Record.for_brain`
    instructions: str = ""
    tools: tuple[Described, ...] = ()
    tool_choice: str = "auto"  # "auto", "none", "required", or a tool's name
    model: str = ""  # empty: the operator's
    temperature: float | None = None
    max_tokens: int | None = None
    language: str = "en"  # BCP 47, what the user speaks
    session: str = ""


class Brain(Protocol):
    """Shared by the turns of one conversation; `reply` may run several times at once."""

    name: str  # for people: "offline", or the model's name

    def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        """The answer, as it comes. Closing the iterator cancels it. Raises `BrainFailed`."""
        ...

    async def close(self) -> None: ...


class Canned:
    """Says one text: a greeting, a timer that rings."""

    name = "canned"

    def __init__(self, text: str) -> None:
        self._text = text

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        yield TextDelta(self._text)

    async def close(self) -> None:
        """Nothing is held."""


def open_brain(settings: Settings, toolbox: Toolbox, around: Surroundings, *, choice: Choice = "default",
               reserve: bool = False) -> Brain:
    """As `brains.open_brain`, whose modules it imports when it is first called."""
    from . import brains

    return brains.open_brain(settings, toolbox, around, choice=choice, reserve=reserve)
