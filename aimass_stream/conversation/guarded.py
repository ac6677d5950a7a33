"""A language model with the command layer beside it.

What the layer is sure of, it takes: "stop", "louder" and timers answer at once and always alike. All else is the
model's, which may use the same tools. When the model fails, the user is told so in words, and the layer answers
what it can.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from .brain import Brain, BrainFailed, BrainRequest, TextDelta, ToolCall
from .offline import OfflineBrain

log = logging.getLogger(__name__)

BROKE_OFF = " Sorry, I lost my thread there."
UNREACHABLE = "Sorry, I can't reach my language model right now."
NO_ANSWER = f"{UNREACHABLE} I can still do simple things: ask me what I can do."


class GuardedBrain:
    """Never raises `BrainFailed`. Owns the model and closes it."""

    def __init__(self, model: Brain, commands: OfflineBrain, *, reserve: bool = False) -> None:
        """`reserve`: the layer takes nothing from a model that answers."""
        self.name = model.name
        self._model, self._commands, self._reserve = model, commands, reserve

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        takes = self._commands.takes(request)
        tool_ran = bool(request.items) and request.items[-1].kind == "function_call_output"
        if takes and (tool_ran or not self._reserve):
            async for delta in self._commands.reply(request):
                yield delta
            return
        began = False
        try:
            async for delta in self._model.reply(request):
                began = began or isinstance(delta, ToolCall) or bool(delta.text.strip())
                yield delta
        except BrainFailed as error:
            log.warning("%s", error.detail)
            if began:
                yield TextDelta(BROKE_OFF)
            elif takes or tool_ran:
                async for delta in self._commands.reply(request):  # what a tool found out is an answer in itself
                    yield delta
            else:
                yield TextDelta(NO_ANSWER if self._commands.able else UNREACHABLE)

    async def close(self) -> None:
        await self._model.close()
