"""Hello, thanks, stop, say that again, and what can you do."""

from __future__ import annotations

from typing import Any, ClassVar

from ...speech.grammar import Command, Phrase
from ..tools import Surroundings, Tool, ToolResult

ANSWERS = {
    "hello": "Hello. What can I do for you?",
    "how": "I'm fine, thank you.",
    "thanks": "You're welcome.",
    "stop": "Okay.",
    "bye": "Goodbye.",
    "who": "I'm the built-in assistant of A I Mass Stream. I run on this server and need no language model.",
    "help": "I can tell the time and the date, set timers and alarms, calculate, convert units, spell words, remember "
            "notes, and change your picture and sound. For example, say: set a timer for ten minutes, or: mirror the "
            "picture.",
}
NOTHING_SAID = "I haven't said anything yet."


class SmallTalk(Tool):
    name = "small_talk"
    description = "Answers greetings and thanks, repeats the last reply, and says what the assistant can do."
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["what"], "properties": {
        "what": {"type": "string", "enum": [*ANSWERS, "repeat"]}}}
    phrases = (
        Phrase("hello", ("(hello|hi|hey|good morning|good afternoon|good evening) [there|computer|assistant]",)),
        Phrase("how", ("how are you [doing] [today]", "how do you do")),
        Phrase("thanks", ("(thank you|thanks|cheers) [very much|so much|a lot]",
                          "(great|perfect|good|nice) [thank you]", "that is (great|perfect|good|nice)")),
        Phrase("stop", ("stop [it|that|talking|speaking|now]", "(be quiet|quiet|shut up|silence|enough|hush)",
                        "never mind", "nevermind", "forget it", "cancel [that|it]", "that is (enough|all)",
                        "(no|okay|ok) (stop|enough|never mind)", "stop stop [stop]", "wait [stop]", "hold on")),
        Phrase("bye", ("(goodbye|good bye|bye|bye bye|see you [later]|good night)",)),
        Phrase("who", ("(who|what) are you", "what is your name", "who am i talking to")),
        Phrase("help", ("help [me]", "what can you do [for me]", "what can i (say|ask|do) [here]",
                        "what (commands|skills) (do you have|are there|do you know)", "what do you know")),
        Phrase("repeat", ("(repeat|say) that [again]", "repeat [it]", "[please] say (it|that) again", "say again",
                          "what did you [just] say", "(come again|pardon [me]|what was that)")),
    )
    for_models = False

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        return {"what": command.name}

    def changes(self, arguments: dict[str, Any]) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        if arguments.get("what") != "repeat":
            return ToolResult(ANSWERS.get(str(arguments.get("what")), ANSWERS["help"]))
        whole = around.memory.get("last_reply")  # the record has only what was heard of it
        last = around.record.last("assistant")
        return ToolResult(str(whole or (last.text if last is not None else "") or NOTHING_SAID))
