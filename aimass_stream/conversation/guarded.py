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
NO_ANSWER = "Sorry, I can't reach my language model right now. I can still do simple things: ask me what I can do."


class GuardedBrain:
    """Never raises `BrainFailed`. Owns the model and closes it."""

    def __init__(self, model: Brain, commands: OfflineBrain) -> None:
        self.name = model.name
        self._model, self._commands = model, commands

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        if self._commands.takes(request):
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
            elif request.items and request.items[-1].kind == "function_call_output":
                async for delta in self._commands.reply(request):  # what the tool found out is an answer in itself
                    yield delta
            else:
                yield TextDelta(NO_ANSWER)

    async def close(self) -> None:
        await self._model.close()
