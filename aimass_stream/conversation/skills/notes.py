"""Notes for the length of a session: remember this, what did I tell you, where are my keys."""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import Conflict, InvalidInput
from ...speech.grammar import Command, Phrase, tokens
from ..tools import Surroundings, Tool, ToolResult

MOST = 50
LONGEST = 500  # characters of one

OTHER_SIDE = {"my": "your", "mine": "yours", "i": "you", "me": "you", "myself": "yourself", "our": "your",
              "your": "my", "you": "I"}
EMPTY = frozenset({"the", "a", "an", "is", "are", "was", "were", "my", "your", "i", "me", "to", "of", "do", "did",
                   "what", "where", "who", "that", "it", "about", "you", "in", "on", "at"})


class Notes(Tool):
    name = "notes"
    description = "Remembers notes for the length of this session, recalls them, and forgets them."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["action"], "properties": {
        "action": {"type": "string", "enum": ["remember", "recall", "forget"]},
        "text": {"type": "string", "description": "the note; for recall: words that it contains, empty for all"}}}
    phrases = (
        Phrase("remember", ("remember [that|this] <text>", "(make|take) a note [that|of|saying] <text>",
                            "note [down] [that] <text>", "keep in mind [that] <text>",
                            "(do not|never) let me forget [that|to] <text>")),
        Phrase("recall.all", ("(what are|read|list|tell me|show me|show) [all] [of] [my|the] notes",
                              "what did i (say|tell you|ask you to remember)", "what do you remember",
                              "what (have i|did i) (told you|tell you) to remember",
                              "what (should|did) you remember", "do i have [any] notes")),
        Phrase("recall.one", ("what do you (remember|know) about <text>", "what did i say about <text>",
                              "where (is|are|did i put) <text>", "who is <text>", "what (is|are|was) <text>",
                              "when (is|was) <text>")),
        Phrase("recall.mine", ("where (is|are|did i put) my <text>",)),
        Phrase("forget", ("forget (everything|all [of] that|[all] my notes|the notes|my note|that note)",
                          "(delete|clear|remove) [all] [of] (my|the) notes")),
    )
    example = "remember that my keys are in the drawer"

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        if command.name == "remember":
            return {"action": "remember", "text": _as_said(command)}
        if command.name == "forget":
            return {"action": "forget"}
        if command.name == "recall.all":
            return {"action": "recall", "text": ""}
        text = str(command.slots["text"])
        if command.name == "recall.mine":  # notes have been made here: it is known that there is none of that
            return {"action": "recall", "text": f"my {text}"} if "notes" in around.memory else None
        # "where are my keys" is only for us if there is a note about keys
        return {"action": "recall", "text": text} if _about(around.memory.get("notes", []), text) else None

    def changes(self, arguments: dict[str, Any]) -> bool:
        return arguments.get("action") != "recall"

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        notes, text = _notes(around), str(arguments.get("text") or "").strip()
        match arguments.get("action"):
            case "remember":
                return _remember(notes, text)
            case "forget":
                count = len(notes)
                notes.clear()
                return ToolResult("I have forgotten your notes." if count else "There are no notes to forget.")
            case _:
                found = _about(notes, text) if text else list(notes)
                return ToolResult(_told(found, text), data={"notes": found})


def _notes(around: Surroundings) -> list[str]:
    notes: list[str] = around.memory.setdefault("notes", [])
    return notes


def _remember(notes: list[str], text: str) -> ToolResult:
    if not 0 < len(text) <= LONGEST:
        raise InvalidInput("What should I remember?", field="text")
    if len(notes) >= MOST:
        raise Conflict(f"I remember {MOST} notes already. Say: forget my notes.")
    notes.append(text)
    return ToolResult(f"I'll remember that {turned(text)}.")


def _about(notes: list[str], text: str) -> list[str]:
    """The notes that contain every word of `text` that means something."""
    wanted = {_stem(word) for word in tokens(text)} - EMPTY
    return [note for note in notes if wanted and wanted <= {_stem(word) for word in tokens(note)}]


def _stem(word: str) -> str:
    return word if word in EMPTY else word.rstrip("s")


def _told(notes: list[str], text: str) -> str:
    if not notes:
        return f"You didn't tell me anything about {turned(text)}." if text else "There are no notes."
    if text:
        return f"You told me that {turned(notes[-1])}."
    if len(notes) == 1:
        return f"You told me that {turned(notes[0])}."
    return "You have " + f"{len(notes)} notes. " + " ".join(f"{number}: {turned(note)}."
                                                           for number, note in enumerate(notes, 1))


def turned(text: str) -> str:
    """From the other's side: "my keys" are "your keys"."""
    words = text.rstrip(" .!").split()
    return " ".join(OTHER_SIDE.get(word.lower(), word) for word in words)


def _as_said(command: Command) -> str:
    """The note with its capitals and marks, where it stands in the text as it does in the slot."""
    words, count = command.text.split(), len(str(command.slots["text"]).split())
    tail = " ".join(words[-count:])
    return tail if " ".join(tokens(tail)) == command.slots["text"] else str(command.slots["text"])
