"""Which of a client's functions a sentence asks for, without a language model: only where its name is said.

"What's the weather in Paris?" calls `get_weather` with ``{"city": "Paris"}``: the words of the name that mean
something are in the sentence, and what is needed can be read from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ..speech.grammar import tokens
from ..speech.quantities import number
from .brain import Described, ToolCall

EMPTY = frozenset({"get", "set", "fetch", "find", "look", "lookup", "up", "search", "do", "run", "call", "make", "the",
                   "a", "an", "of", "for", "to", "tool", "function", "query", "current", "check", "by", "with"})
BEFORE_NAMES = ("in", "for", "of", "about", "at", "to", "from", "called", "named", "with")
CUT = frozenset({"please", "now", "today", "right", "thanks", "like"})


def guess_call(text: str, tools: Sequence[Described], tool_choice: str = "auto") -> ToolCall | None:
    """A call that is surely meant, or that `tool_choice` demands ("required", or a name)."""
    if tool_choice == "none":
        return None
    said = tokens(text)
    wanted = [tool for tool in tools if tool_choice in ("auto", "required", tool.name)]
    ranked = sorted(wanted, key=lambda tool: -_score(tool, said))
    if not ranked or (tool_choice == "auto" and _score(ranked[0], said) < 1):
        return None
    arguments = _arguments(ranked[0], text, said)
    if arguments is None:
        return None
    return ToolCall(ranked[0].name, json.dumps(arguments))


def _score(tool: Described, said: list[str]) -> float:
    """The share of the name's words that were said."""
    words = [word for word in tokens(re.sub(r"[_\-.]|(?<=[a-z])(?=[A-Z])", " ", tool.name)) if word not in EMPTY]
    stems = {word.rstrip("s") for word in said}
    return sum(word.rstrip("s") in stems for word in words) / len(words) if words else 0.0


def _arguments(tool: Described, text: str, said: list[str]) -> dict[str, Any] | None:
    """The parameters that are needed, None if one can't be read; of the others those that can't be mistaken."""
    properties = tool.parameters.get("properties") or {}
    required = tool.parameters.get("required") or []
    found: dict[str, Any] = {}
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        value = _value(schema if isinstance(schema, dict) else {}, text, said, needed=name in required)
        if value is not None:
            found[name] = value
        elif name in required:
            return None
    return found


def _value(schema: dict[str, Any], text: str, said: list[str], *, needed: bool) -> Any:
    if isinstance(schema.get("enum"), list):
        return next((value for value in schema["enum"] if set(tokens(str(value))) <= set(said)), None)
    match schema.get("type"):
        case "integer" | "number" as kind:
            values = [readings[0][1] for at, word in enumerate(said)
                      if word not in ("a", "an", "to", "for", "oh", "o") and (readings := number(said, at))]
            return None if not values else int(values[0]) if kind == "integer" else values[0]
        case "boolean":
            return True if needed else None
        case "string" | None:
            return _name_in(text) or (text.strip() if needed else None)
        case _:
            return None


def _name_in(text: str) -> str | None:
    """What stands behind the last "in", "for", "of"..., as it was written."""
    words = re.findall(r"[^\s?!,;]+", text.strip().rstrip("."))
    places = [place for place, word in enumerate(words) if word.lower() in BEFORE_NAMES]
    if not places:
        return None
    rest = words[places[-1] + 1 :]
    while rest and rest[-1].lower() in CUT:
        rest.pop()
    while rest and rest[0].lower() in ("the", "a", "an"):
        rest.pop(0)
    return " ".join(rest) or None
