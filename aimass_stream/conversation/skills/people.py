"""Who speaks, where several do: "who am I", "who said that"."""

from __future__ import annotations

from typing import Any, ClassVar

from ...speech.grammar import Command, Phrase
from ..record import Item
from ..tools import Surroundings, Tool, ToolResult

REPEATED = 12  # words of what somebody said that are said back


class People(Tool):
    name = "people"
    description = "Tells who is speaking to the assistant, and who of the others said something last."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["what"], "properties": {
        "what": {"type": "string", "enum": ["me", "last"]}}}
    phrases = (
        Phrase("me", ("who am i", "what is my name", "(do|did) you know (me|my name|who i am)", "who is speaking")),
        Phrase("last", ("who said (that|this|it)", "who (was that|spoke [last|before me]|said something)",
                        "who has (said that|spoken)")),
    )
    for_models = False

    def commands(self, around: Surroundings) -> tuple[Phrase, ...]:
        """None where nobody knows who speaks."""
        return self.phrases if any(item.speaker for item in around.record.items) else ()

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        return {"what": command.name}

    def changes(self, arguments: dict[str, Any]) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        said = [item for item in around.record.items if item.kind == "message" and item.speaker]
        if arguments.get("what") == "me":
            return ToolResult(f"You are {said[-1].speaker}." if said else "I don't know your name.")
        return _last(said[:-1])  # without the question


def _last(said: list[Item]) -> ToolResult:
    if not said:
        return ToolResult("I have heard nobody yet.", ok=False)
    words = said[-1].text.split()
    more = "" if len(words) <= REPEATED else " and so on"
    return ToolResult(f"{said[-1].speaker} said: {' '.join(words[:REPEATED]).rstrip(' .,!?')}{more}.")
