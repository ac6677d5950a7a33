from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from aimass_stream.conversation.brain import BrainRequest, Canned, Function, TextDelta, ToolCall
from aimass_stream.conversation.record import Item
from aimass_stream.conversation.reply import LONGEST, ROUNDS, Action, Call, Delta, Done, Reply, ReplyEvent, Sound
from aimass_stream.errors import ModelFailed
from aimass_stream.inference import Engine, installed
from aimass_stream.speaking.speaker import Speaker
from aimass_stream.speaking.voices import open_synthesizer
from tests.support.options import settings
from tests.support.waiting import until

from .around import TOOLBOX, Around

pytestmark = pytest.mark.anyio

ASKED = BrainRequest((Item(text="?"),), tools=TOOLBOX.for_models())


class Script:
    """A brain that gives these in turn, one list a round; a callable is raised or awaited."""

    name = "script"

    def __init__(self, *rounds: list[Any]) -> None:
        self.rounds = list(rounds)
        self.requests: list[BrainRequest] = []
        self.closed = 0

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        self.requests.append(request)
        try:
            for step in self.rounds[min(len(self.requests), len(self.rounds)) - 1]:
                if isinstance(step, str):
                    yield TextDelta(step)
                elif isinstance(step, ToolCall):
                    yield step
                else:
                    await step()
        finally:
            self.closed += 1

    async def close(self) -> None:
        """Nothing is held."""


async def events(reply: Reply) -> list[ReplyEvent]:
    return [event async for event in reply.events()]


def raising(error: Exception) -> Callable[[], Any]:
    async def step() -> None:
        raise error

    return step


async def test_text_then_the_end() -> None:
    reply = Reply(Script(["One ", "two."]), ASKED, around=Around())
    assert await events(reply) == [Delta("One "), Delta("two."), Done("completed", "One two.")]
    assert reply.moments.first_words is not None


async def test_a_tool_is_used_and_the_brain_goes_on_with_what_it_gave() -> None:
    brain = Script(["Let me see. ", ToolCall("clock", '{"what": "time"}', "c1")], ["Afternoon."])
    reply = Reply(brain, ASKED, around=Around(), toolbox=TOOLBOX)
    told = await events(reply)
    (action,) = [event for event in told if isinstance(event, Action)]
    assert action.result.text == "It is 2:05 PM UTC."
    assert all(item.internal and item.call_id == "c1" for item in action.items)
    assert told[-1] == Done("completed", "Let me see. Afternoon.")
    assert [(item.kind, item.role) for item in brain.requests[1].items] == [
        ("message", "user"), ("message", "assistant"), ("function_call", "assistant"),
        ("function_call_output", "user")]


async def test_a_clients_tool_ends_the_reply() -> None:
    theirs = Function("clock")  # of the same name as ours: the client's counts
    brain = Script([ToolCall("clock", "{}", "c1")], ["never"])
    told = await events(Reply(brain, BrainRequest(ASKED.items, tools=(theirs,)), around=Around(), toolbox=TOOLBOX))
    assert told == [Call(ToolCall("clock", "{}", "c1")), Done("completed", "")]


@pytest.mark.parametrize(("call", "told"), [
    (ToolCall("nothing"), "There is no tool 'nothing'."),
    (ToolCall("clock", "}{"), "The arguments are no JSON object."),
    (ToolCall("timer", '{"action": "set", "seconds": -1}'), "A timer can be set for up to a week."),
])
async def test_a_wrong_call_is_told_to_the_brain(call: ToolCall, told: str) -> None:
    brain = Script([call], ["Sorry."])
    assert (await events(Reply(brain, ASKED, around=Around(), toolbox=TOOLBOX)))[-1] == Done("completed", "Sorry.")
    assert brain.requests[1].items[-1].text == told


async def test_a_brain_that_only_calls_tools_comes_to_an_end() -> None:
    brain = Script([ToolCall("clock")])
    assert (await events(Reply(brain, ASKED, around=Around(), toolbox=TOOLBOX)))[-1] == Done("completed", "")
    assert len(brain.requests) == ROUNDS


async def test_what_changes_something_waits_until_the_turn_is_over() -> None:
    around = Around("assistant")
    call = ToolCall("steer", '{"action": "on", "stage": "mirror"}')
    reply = Reply(Script(["Well. ", ToolCall("clock"), call], ["Done."]), ASKED, around=around, toolbox=TOOLBOX,
                  confirmed=False)
    told: list[ReplyEvent] = []

    async def read() -> None:
        told.extend([event async for event in reply.events()])

    task = asyncio.create_task(read())
    reply.start()
    await until(lambda: reply.moments.first_words)
    for _ in range(20):
        await asyncio.sleep(0)
    assert around.running == [{"stage": "assistant"}]
    reply.confirm()
    await task
    assert around.running == [{"stage": "assistant"}, {"stage": "mirror"}]
    assert told[-1] == Done("completed", "Well. Done.")


@pytest.mark.parametrize("error", [ModelFailed("The model is ill."), ValueError("The model is ill.")])
async def test_a_failure_is_told_after_what_came_before(error: Exception) -> None:
    told = await events(Reply(Script(["One. ", raising(error)]), ASKED, around=Around()))
    assert told[0] == Delta("One. ")
    assert isinstance(told[-1], Done)
    assert (told[-1].status, told[-1].text) == ("failed", "One. ")
    assert "The model is ill." in told[-1].error


async def test_an_endless_reply_is_cut() -> None:
    reply = Reply(Script(["x" * 7000] * 9), ASKED, around=Around())
    await events(reply)
    assert len(reply.text) == LONGEST


async def test_cancelling_ends_the_brain() -> None:
    never = asyncio.Event()
    brain = Script(["One. ", never.wait])
    reply = Reply(brain, ASKED, around=Around())
    told = []
    async for event in reply.events():
        told.append(event)
        reply.cancel()
    await reply.close()
    assert (told, brain.closed) == ([Delta("One. ")], 1)
    await reply.close()


async def test_it_is_spoken_while_it_is_thought() -> None:
    engine = Engine(installed())
    later = asyncio.Event()
    try:
        voice = await open_synthesizer(engine, settings(), "espeak")
        reply = Reply(Script(["Good morning to you. ", "And so on. ", later.wait, "The end."]), ASKED, around=Around(),
                      speaker=Speaker(voice))
        clauses: list[str] = []
        loudest = 0
        async for event in reply.events():
            if isinstance(event, Sound):
                later.set()  # the first clause sounds before the last words are there
                loudest = max(loudest, int(np.abs(event.piece.samples).max(initial=0)))
                clauses += [event.piece.text] if event.piece.first else []
        assert clauses == ["Good morning to you.", "And so on.", "The end."]
        assert loudest > 3000
        assert reply.moments.first_sound is not None
        cancelled = Reply(Canned("One two three. " * 50), ASKED, around=Around(), speaker=Speaker(voice))
        async for event in cancelled.events():
            if isinstance(event, Sound):
                break
        await cancelled.close()
    finally:
        await engine.close()
