"""Spell a word."""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import InvalidInput
from ...speech.grammar import Command, Phrase
from ..tools import Surroundings, Tool, ToolResult

LONGEST = 60  # letters


class Spelling(Tool):
    name = "spell"
    description = "Spells a word letter by letter."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["word"], "properties": {
        "word": {"type": "string"}}}
    phrases = (Phrase("spell", ("spell [the word] <text>", "how (do|would) (you|i) spell [the word] <text>",
                                "how is <text> spelled", "how to spell <text>", "what is the spelling of <text>")),)
    example = "spell necessary"
    for_models = False

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        return {"word": command.slots["text"]}

    def changes(self, arguments: dict[str, Any]) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        word = str(arguments.get("word", "")).strip()
        if not 0 < len(word) <= LONGEST:
            raise InvalidInput("I can spell words of up to 60 letters.", field="word")
        letters = [", ".join(letter.upper() for letter in part) for part in word.split()]
        return ToolResult(f"{word.capitalize()} is spelled: {'; '.join(letters)}.", data={"word": word})
