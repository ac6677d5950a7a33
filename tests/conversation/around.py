"""A conversation's surroundings: a real list of stages that can be steered, timers that ring, a clock that stands."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aimass_stream.conversation.brain import BrainRequest, TextDelta, ToolCall
from aimass_stream.conversation.offline import OfflineBrain
from aimass_stream.conversation.record import Item
from aimass_stream.conversation.reply import Action, Done, Reply
from aimass_stream.conversation.tools import Surroundings, Toolbox
from aimass_stream.spec import PipelineSpec
from tests.support.context import REGISTRY

NOON = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)
TOOLBOX = Toolbox(entries=[]).load()


class Around(Surroundings):
    """`said` is what was announced, `running` the list of stages."""

    said: list[str]
    running: list[dict[str, Any]]

    def __init__(self, *running: str, clock: datetime = NOON) -> None:
        super().__init__(session="s_test", clock=lambda: clock, stages=REGISTRY.describe)
        self.said, self.running = [], [{"stage": name} for name in running]
        self.pipeline, self.steer = lambda: [dict(stage) for stage in self.running], self._steer
        self.announce, self.spawn = self.said.append, lambda work, name: asyncio.create_task(work, name=name)

    async def _steer(self, pipeline: list[dict[str, Any]]) -> None:
        """Refuses what a session refuses."""
        PipelineSpec.parse(pipeline).validate(REGISTRY.params, REGISTRY.names)
        self.running = pipeline


async def ask(text: str, around: Surroundings, toolbox: Toolbox = TOOLBOX) -> tuple[str, list[Action]]:
    """What the built-in brain answers, and what it did; the record remembers both."""
    brain = OfflineBrain(toolbox, around)
    request = BrainRequest((*around.record.for_brain(), Item(text=text)), tools=toolbox.for_models())
    reply = Reply(brain, request, around=around, toolbox=toolbox)
    events = [event async for event in reply.events()]
    assert isinstance(events[-1], Done)
    assert events[-1].status == "completed"
    around.record.add(Item(text=text))
    around.record.add(Item(role="assistant", text=reply.text))
    return reply.text, [event for event in events if isinstance(event, Action)]


async def collected(brain: Any, request: BrainRequest) -> tuple[str, list[ToolCall]]:
    """A brain's whole answer."""
    text, calls = "", []
    async for delta in brain.reply(request):
        if isinstance(delta, TextDelta):
            text += delta.text
        else:
            calls.append(delta)
    return text, calls
