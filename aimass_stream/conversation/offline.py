"""The built-in brain: a deterministic command layer. It does what its tools can, and says plainly what it can't.

It knows what a tool can do from the phrases that the tool declares. A recogniser mishears: a word that no phrase
has is taken for one that differs in a letter or two, but only in commands without free text, and only where few
words are wrong. What is not a command as a whole is none.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..speech.grammar import OPEN, Choice, Node, Phrase, Row, Said, match, parse, slots_of, tokens
from ..speech.quantities import ALIKE, ONES, SCALES, SECONDS, TEENS, TENS, UNITS
from .brain import BrainRequest, TextDelta, ToolCall
from .guess import guess_call
from .record import Item, new_id
from .tools import Surroundings, Tool, Toolbox

LONGEST = 60  # words of a command
FILLERS = frozenset({"um", "uh", "er", "erm", "hm", "hmm", "ah", "oh", "well", "so", "just", "actually", "like"})
GREETING = "Hello. I'm listening. You can ask me what I can do."
CANNOT = "Sorry, I can't help with that"
WHO = "I'm the built-in assistant, without a language model. Ask me what I can do."
REPEATED = 12  # words of what was heard that are said back
NOT_HEARD = "Sorry, I didn't catch that."
OWN_CALL = "cmd"  # prefix of the ids of calls that this layer made


@dataclass(frozen=True, slots=True)
class Intent:
    """A command that was understood."""

    tool: Tool
    arguments: dict[str, Any]


class OfflineBrain:
    name = "offline"

    def __init__(self, toolbox: Toolbox, around: Surroundings) -> None:
        self._toolbox, self._around = toolbox, around

    @property
    def able(self) -> bool:
        """There is something that it can do."""
        return bool(self._toolbox.all())

    def understand(self, text: str) -> Intent | None:
        """The command that this text is as a whole, None if it is none that we are sure of."""
        said = tokens(text)
        if not said or len(said) > LONGEST:
            return None
        offers = [(tool, phrase) for tool in self._toolbox.all() for phrase in _phrases(tool, self._around)]
        closed = [offer for offer in offers if not _open(offer[1])]
        opened = [offer for offer in offers if _open(offer[1])]
        return (self._first(text, closed) or self._first(text, opened)
                or self._first(corrected(said, _vocabulary(closed)), closed))

    def _first(self, text: str | None, offers: list[tuple[Tool, Phrase]]) -> Intent | None:
        if not text:
            return None
        said = frozenset(tokens(text))
        for tool, phrase in offers:
            possible = tuple(pattern for pattern in phrase.patterns if needed(pattern) <= said)
            command = match(text, (replace(phrase, patterns=possible),)) if possible else None
            arguments = None if command is None else tool.arguments(command, self._around)
            if arguments is not None:
                return Intent(tool, arguments)
        return None

    def takes(self, request: BrainRequest) -> bool:
        """True for what this layer is sure of: a command, or the output of a call that it made."""
        last = request.items[-1] if request.items else None
        if last is None or request.tool_choice not in ("auto", "required"):
            return False
        if last.kind == "function_call_output":
            return last.call_id.startswith(f"{OWN_CALL}_")
        return last.kind == "message" and last.role == "user" and self.understand(last.text) is not None

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        last = request.items[-1] if request.items else None
        if last is None or (last.kind == "message" and last.role != "user"):
            yield TextDelta(GREETING)
        elif last.kind == "function_call_output":
            yield TextDelta(_outputs(request.items))
        else:
            yield self._answer(last.text, request)

    async def close(self) -> None:
        """Nothing is held."""

    def _answer(self, text: str, request: BrainRequest) -> TextDelta | ToolCall:
        intent = self.understand(text) if request.tool_choice != "none" else None
        if intent is not None:
            return ToolCall(intent.tool.name, json.dumps(intent.arguments, default=str), new_id(OWN_CALL))
        theirs = [tool for tool in request.tools if self._toolbox.get(tool.name) is not tool]
        call = guess_call(text, theirs, request.tool_choice)
        if call is not None:
            return call
        if not tokens(text):
            return TextDelta(NOT_HEARD)
        again = any(item.text.startswith(CANNOT) for item in request.items if item.role == "assistant")
        return TextDelta(cannot(text, again))


def cannot(text: str, again: bool = False) -> str:
    """Also says what was heard: who was misheard knows then why nothing happened."""
    words = text.split()
    heard = " ".join(words[:REPEATED]).rstrip(" .,!?") + (" and so on" if len(words) > REPEATED else "")
    return f"{CANNOT}{' either' if again else ''}. I heard: {heard}." + ("" if again else f" {WHO}")


def _phrases(tool: Tool, around: Surroundings) -> tuple[Phrase, ...]:
    try:
        return tool.commands(around)
    except Exception:  # another package's skill: `Toolbox.phrases` logs it
        return ()


def _outputs(items: tuple[Item, ...]) -> str:
    """What the last tools gave, as sentences."""
    texts: list[str] = []
    for item in reversed(items):
        if item.kind != "function_call_output":
            break
        texts.insert(0, _speakable(item.text))
    return " ".join(texts).strip() or "Done."


def _speakable(output: str) -> str:
    """Another's output may be JSON: its text, or what it holds, one after the other."""
    try:
        value = json.loads(output)
    except (ValueError, RecursionError):
        return output
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            return str(value["text"])
        return "; ".join(f"{str(key).replace('_', ' ')}: {inner}" for key, inner in value.items()) + "."
    return str(value)


def _open(phrase: Phrase) -> bool:
    return any(_has_free_text(pattern) for pattern in phrase.patterns)


@lru_cache(maxsize=4096)
def _has_free_text(pattern: str) -> bool:
    return any(slot.kind in OPEN for slot in slots_of(parse(pattern)))


# misheard words -------------------------------------------------------------------------------------

_QUANTITIES = frozenset({*ONES, *TEENS, *TENS, *SCALES, *ALIKE, *SECONDS, "hundred", "point", "minus", "half", "an",
                         *(f"{word}s" for word in SECONDS),
                         *(word for ways in UNITS.values() for way in ways for word in way.split())})


def corrected(said: list[str], vocabulary: frozenset[str]) -> str | None:
    """The words with those that no command has put right, fillers left out. None: nothing to do, or too much."""
    words = [word for word in said if word not in FILLERS]
    wrong = [word for word in words if word not in vocabulary and not word[0].isdigit()]
    if len(wrong) > max(1, len(words) // 3) or (not wrong and len(words) == len(said)):
        return None
    fixed = []
    for word in words:
        known = word if word not in wrong else nearest(word, vocabulary)
        if known is None:
            return None
        fixed.append(known)
    return " ".join(fixed)


@lru_cache(maxsize=1024)
def nearest(word: str, vocabulary: frozenset[str]) -> str | None:
    """The one word that is nearly this one; None if there is none, or if several are as near."""
    allowed = 0 if len(word) < 4 else 1 if len(word) < 6 else 2
    found: list[tuple[int, str]] = []
    for known in vocabulary:
        if abs(len(known) - len(word)) <= allowed and len(known) >= 4 and (known[0] == word[0] or allowed == 2):
            distance = edits(word, known)
            if distance <= allowed:
                found.append((distance, known))
    best = [known for distance, known in found if distance == min(found)[0]]
    if len(best) > 1:  # "minuts" may be "minute" or "minutes"
        best = [known for known in best if known[-1] == word[-1]]
    return best[0] if len(best) == 1 else None


def edits(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, row[0] = row[0], place
        for column, against in enumerate(other, 1):
            above, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, above + (letter != against))
    return row[-1]


def _vocabulary(offers: Iterable[tuple[Tool, Phrase]]) -> frozenset[str]:
    return _QUANTITIES.union(*(_words(phrase) for _, phrase in offers))


def _words(phrase: Phrase) -> frozenset[str]:
    own = {word for ways in phrase.lists.values() for way in ways for word in tokens(way)}
    return frozenset(own).union(*(_pattern_words(pattern) for pattern in phrase.patterns))


@lru_cache(maxsize=4096)
def needed(pattern: str) -> frozenset[str]:
    """Words without which nothing matches the pattern: most patterns are ruled out by these alone."""
    def words(node: Node) -> frozenset[str]:
        match node:
            case Said(word):
                return frozenset({word})
            case Row(parts):
                return frozenset().union(*(words(part) for part in parts))
            case Choice(ways, needed=True):
                return frozenset.intersection(*(words(way) for way in ways))
            case _:
                return frozenset()

    return words(parse(pattern))


@lru_cache(maxsize=4096)
def _pattern_words(pattern: str) -> frozenset[str]:
    def words(node: Node) -> set[str]:
        match node:
            case Said(word):
                return {word}
            case Row(parts) | Choice(parts):
                return {word for part in parts for word in words(part)}
            case _:
                return set()

    return frozenset(words(parse(pattern)))
