from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aimass_stream.conversation.brain import Brain, BrainFailed, BrainRequest, Canned, Function, open_brain
from aimass_stream.conversation.chat import MAX_ANSWER, ChatBrain, messages
from aimass_stream.conversation.guarded import BROKE_OFF, NO_ANSWER, GuardedBrain
from aimass_stream.conversation.offline import OfflineBrain
from aimass_stream.conversation.record import Item
from aimass_stream.conversation.reply import Action, Done, Reply
from tests.support.chat_server import call, chat_server, words
from tests.support.options import settings

from .around import TOOLBOX, Around, collected

pytestmark = pytest.mark.anyio

HELLO = BrainRequest((Item(text="hello there, who was Napoleon"),))


@asynccontextmanager
async def brain_at(url: str, timeout: float = 2) -> AsyncIterator[ChatBrain]:
    brain = ChatBrain(url, model="m", key="secret", timeout=timeout)
    try:
        yield brain
    finally:
        await brain.close()


@asynccontextmanager
async def raw_server(answer: bytes, *, close: bool = True) -> AsyncIterator[str]:
    """Answers everything with these bytes, then hangs up, or says nothing more."""
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if not close:
                await over.wait()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WORD = b'data: {"choices": [{"delta": {"content": "Well"}}]}\n\n'


async def test_words_come_as_they_are_made() -> None:
    async with chat_server(lambda body: words("He was an emperor.")) as chat, brain_at(chat.url) as brain:
        assert await collected(brain, HELLO) == ("He was an emperor.", [])
        (body,) = chat.requests
    assert (body["model"], body["stream"]) == ("m", True)
    assert body["messages"][0]["role"] == "system"
    assert body["messages"][1] == {"role": "user", "content": "hello there, who was Napoleon"}


async def test_tool_calls_are_put_together_and_their_output_goes_back() -> None:
    def script(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["role"] == "tool":
            return words("It is " + json.loads(body["messages"][-1]["content"])["text"])
        return call("clock", {"what": "time"})

    around = Around()
    async with chat_server(script) as chat, brain_at(chat.url) as brain:
        request = BrainRequest((Item(text="tell me how late it is, dear"),), tools=TOOLBOX.for_models())
        reply = Reply(brain, request, around=around, toolbox=TOOLBOX)
        events = [event async for event in reply.events()]
    (action,) = [event for event in events if isinstance(event, Action)]
    assert (action.name, action.arguments, action.result.text) == ("clock", {"what": "time"}, "It is 2:05 PM UTC.")
    assert events[-1] == Done("completed", "It is It is 2:05 PM UTC.")
    assert {tool["function"]["name"] for tool in chat.requests[0]["tools"]} >= {"clock", "timer", "steer"}
    assert [message["role"] for message in chat.requests[1]["messages"]] == ["system", "user", "assistant", "tool"]


def test_a_conversation_in_the_form_of_the_chat_api() -> None:
    items = (Item(text="a"), Item("function_call", name="f", call_id="1", arguments='{"x": 1}'),
             Item("function_call", name="g", call_id="2"), Item("function_call_output", text="one", call_id="1"),
             Item("function_call_output", text="two", call_id="2"), Item(role="assistant", text="b"))
    system, user, called, first, second, said = messages(BrainRequest(items, "Be kind.", language="fr"))
    assert system["content"].startswith("Be kind.")
    assert "'fr'" in system["content"]
    assert user == {"role": "user", "content": "a"}
    assert [one["function"]["name"] for one in called["tool_calls"]] == ["f", "g"]
    assert [first["tool_call_id"], second["content"]] == ["1", "two"]
    assert said == {"role": "assistant", "content": "b"}


async def test_what_is_asked_of_the_model_is_sent() -> None:
    async with chat_server(lambda body: words("ok")) as chat, brain_at(chat.url) as brain:
        function = Function("f")
        for choice in ("auto", "required", "f", "none"):
            await collected(brain, BrainRequest(HELLO.items, tools=(function,), tool_choice=choice, temperature=0.5,
                                                max_tokens=9, model="other"))
        bodies = chat.requests
    assert [body.get("tool_choice") for body in bodies] == [
        None, "required", {"type": "function", "function": {"name": "f"}}, None]
    assert "tools" not in bodies[3]
    assert {(body["temperature"], body["max_tokens"], body["model"]) for body in bodies} == {(0.5, 9, "other")}


@pytest.mark.parametrize(("answer", "close", "told"), [
    (b"", True, "can't be reached"),
    (b"SSH-2.0-OpenSSH\r\n", True, "can't be reached"),
    (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops", True, "status 500"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", True, "status 302"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<html></html", True, "no answer"),
    (HEAD + b"data: {\xff\xfe\n\n", True, "not JSON"),
    (HEAD + b"data: [1, 2]\n\n", True, "no chunk"),
    (HEAD + b"data: " + b"[" * 100_000 + b"\n\n", True, "not JSON"),
    (HEAD + b'data: {"error": {"message": "no such model"}}\n\n', True, "no such model"),
    (HEAD + b'data: {"choices": [{"delta": {"content": 5}}]}\n\n', True, "no chunk"),
    (HEAD + b'data: {"choices": [{"delta": {"tool_calls": [5]}}]}\n\n', True, "no chunk"),
    (HEAD + b'data: {"choices": [{"delta": {"tool_calls": [{"index": "a"}]}}]}\n\n', True, "can't be read"),
    (HEAD + b"data: " + b"x" * 300_000, False, "without an end"),
    (HEAD + b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % (b"y" * (MAX_ANSWER + 1)), True, "stop talking"),
    (HEAD, False, "said nothing for 0.3 s"),
    (HEAD + WORD, False, "said nothing for 0.3 s"),
    (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n" + WORD, True,
     "can't be reached"),
])
async def test_what_is_no_answer_is_an_error(answer: bytes, close: bool, told: str) -> None:
    async with raw_server(answer, close=close) as url, brain_at(url, timeout=0.3) as brain:
        with pytest.raises(BrainFailed, match=told):
            await collected(brain, HELLO)


async def test_nobody_at_the_address() -> None:
    async with brain_at("http://127.0.0.1:9/v1") as brain:
        with pytest.raises(BrainFailed, match="can't be reached"):
            await collected(brain, HELLO)


async def test_leaving_the_answer_closes_the_connection() -> None:
    left = asyncio.Event()

    async def endless(body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            while True:
                yield {"content": "on and "}
                await asyncio.sleep(0.01)
        finally:
            left.set()

    async with chat_server(endless) as chat, brain_at(chat.url) as brain:
        reply = Reply(brain, HELLO, around=Around())
        async for _ in reply.events():
            break
        await reply.close()
        async with asyncio.timeout(30):
            await left.wait()


# beside the command layer -------------------------------------------------------------------------------


async def guarded(model: Brain, text: str, *more: Item) -> str:
    brain = GuardedBrain(model, OfflineBrain(TOOLBOX, Around()))
    request = BrainRequest((Item(text=text), *more), tools=TOOLBOX.for_models())
    reply = Reply(brain, request, around=Around(), toolbox=TOOLBOX)
    async for _ in reply.events():
        pass
    return reply.text


async def test_sure_commands_never_reach_the_model() -> None:
    async with chat_server(lambda body: words("He was an emperor.")) as chat, brain_at(chat.url) as model:
        assert await guarded(model, "what time is it") == "It is 2:05 PM UTC."
        assert await guarded(model, "stop") == "Okay."
        assert chat.requests == []
        assert await guarded(model, "who was Napoleon") == "He was an emperor."


@pytest.mark.parametrize(("answer", "close", "said"), [
    (HEAD, False, NO_ANSWER),
    (b"garbage\r\n\r\n", True, NO_ANSWER),
    (HEAD + b"data: }{\n\n", True, NO_ANSWER),
    (HEAD + WORD + b"data: }{\n\n", True, "Well" + BROKE_OFF),
    (HEAD + WORD, False, "Well" + BROKE_OFF),
])
async def test_a_model_that_fails_is_told_and_the_conversation_lives(answer: bytes, close: bool, said: str) -> None:
    async with raw_server(answer, close=close) as url, brain_at(url, timeout=0.6) as model:
        assert await guarded(model, "who was Napoleon") == said
        assert await guarded(model, "what is two plus two") == "That is 4."


async def test_in_reserve_the_layer_is_asked_when_the_model_has_failed() -> None:
    def sayer(model: Brain) -> Brain:
        return GuardedBrain(model, OfflineBrain(TOOLBOX, Around()), reserve=True)

    request = BrainRequest((Item(text="what time is it"),), tools=())
    async with chat_server(lambda body: words("Late.")) as chat, brain_at(chat.url) as model:
        assert await collected(sayer(model), request) == ("Late.", [])
    async with brain_at("http://127.0.0.1:9/v1") as model:
        reply = Reply(sayer(model), request, around=Around(), toolbox=TOOLBOX)
        async for _ in reply.events():
            pass
        assert reply.text == "It is 2:05 PM UTC."


async def test_what_a_tool_found_out_is_said_when_the_model_dies_after_it() -> None:
    call_items = (Item("function_call", name="f", call_id="1"),
                  Item("function_call_output", text="It is raining.", call_id="1"))
    async with brain_at("http://127.0.0.1:9/v1") as model:
        assert await guarded(model, "is it raining", *call_items) == "It is raining."


@pytest.mark.parametrize(("brain", "choice", "kind"), [
    ("offline", "default", OfflineBrain), ("http://127.0.0.1:9/v1", "offline", OfflineBrain),
    ("http://127.0.0.1:9/v1", "default", GuardedBrain)])
async def test_a_client_chooses_no_address(brain: str, choice: Any, kind: Callable[..., Any]) -> None:
    opened = open_brain(settings(brain=brain), TOOLBOX, Around(), choice=choice)
    assert type(opened) is kind
    await opened.close()


async def test_a_text_of_its_own() -> None:
    assert await collected(Canned("Good morning."), HELLO) == ("Good morning.", [])
