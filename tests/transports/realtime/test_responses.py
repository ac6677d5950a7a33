"""Responses: asked for, given in text or speech, beside the conversation, with the client's functions, cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chat_server import Answer, call, words
from tests.support.realtime import Client, talking

from .place import REPLY, STORY, client, server, text_item

pytestmark = pytest.mark.anyio

DOOR = {"type": "function", "name": "open_door", "description": "Opens a door.",
        "parameters": {"type": "object", "properties": {"door": {"type": "string"}}}}


async def say(talk: Client, text: str) -> None:
    await talk.send("conversation.item.create", item=text_item(text))


async def answered(talk: Client, **response: Any) -> dict[str, Any]:
    await talk.send("response.create", response=response)
    return (await talk.until("response.done"))["response"]  # type: ignore[no-any-return]


async def test_a_reply_in_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        await talk.configure(output_modalities=["text"])
        await say(talk, "Hello.")
        response = await answered(talk)
        assert response["output"][0]["content"] == [{"type": "output_text", "text": REPLY}]
        assert "".join(event["delta"] for event in talk.of("response.output_text.delta")) == REPLY
        assert next(talk.of("response.output_text.done"))["text"] == REPLY
        assert next(talk.of("response.content_part.added"))["part"] == {"type": "text", "text": ""}
        assert not [kind for kind in talk.kinds if "audio" in kind]
        assert response["usage"]["output_token_details"] == {"text_tokens": 10, "audio_tokens": 0}
        assert set(response["usage"]["input_token_details"]) >= {"text_tokens", "audio_tokens", "cached_tokens"}


async def test_what_a_response_asks_for_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, chat), talking(running.ws_url) as talk:
        await talk.configure(instructions="Be kind.", tools=[DOOR], max_output_tokens=100)
        await say(talk, "Hello.")
        await answered(talk, instructions="Be rude.", tools=[], max_output_tokens=7, output_modalities=["text"],
                       metadata={"client_event_id": "abc"})
        await answered(talk)
        own, usual = chat.requests
        assert "Be rude." in own["messages"][0]["content"]
        assert not own.get("tools")
        assert 7 in own.values()
        assert "Be kind." in usual["messages"][0]["content"]
        assert [tool["function"]["name"] for tool in usual["tools"]] == ["open_door"]
        created = [event["response"] for event in talk.of("response.created")]
        assert created[0]["metadata"] == {"client_event_id": "abc"}
        assert created[0]["output_modalities"] == ["text"]
        assert created[1]["metadata"] is None
        assert created[0]["conversation_id"] == created[1]["conversation_id"]
        assert created[0]["status_details"] is None


async def test_a_function_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, chat), talking(running.ws_url) as talk:
        await talk.configure(tools=[DOOR], output_modalities=["text"])
        await say(talk, "Open the door.")
        response = await answered(talk)
        [item] = response["output"]
        assert (item["type"], item["name"], item["arguments"]) == ("function_call", "open_door", '{"door": "front"}')
        assert item["call_id"] == "call_1"
        kinds = talk.kinds[talk.kinds.index("response.created"):]
        assert kinds == ["response.created", "rate_limits.updated", "response.output_item.added",
                         "conversation.item.added", "response.function_call_arguments.delta",
                         "response.function_call_arguments.done", "conversation.item.done",
                         "response.output_item.done", "response.done"]
        assert next(talk.of("response.output_item.added"))["item"]["status"] == "in_progress"
        await talk.send("conversation.item.create",
                        item={"type": "function_call_output", "call_id": "call_1", "output": "open"})
        assert (await answered(talk))["output"][0]["content"][0]["text"] == "It is done."
        assert chat.requests[1]["messages"][-1] == {"role": "tool", "tool_call_id": "call_1", "content": "open"}


async def test_words_and_then_a_call_are_two_items(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(body: dict[str, Any]) -> Answer:
        async for delta in words("One moment."):
            yield delta
        async for delta in call("open_door", {}):
            yield delta

    async with client(monkeypatch, answers=both) as talk:
        await talk.configure(tools=[DOOR])
        await say(talk, "Open the door.")
        response = await answered(talk)
        assert [item["type"] for item in response["output"]] == ["message", "function_call"]
        assert [event["output_index"] for event in talk.of("response.output_item.done")] == [0, 1]
        first, second = (event["item"]["id"] for event in talk.of("response.output_item.done"))
        assert list(talk.of("conversation.item.added"))[-1]["previous_item_id"] == first != second


async def test_two_at_once_and_cancelling_none_are_the_errors_that_clients_know(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        none = await talk.error("response.cancel")
        assert (none["type"], none["code"]) == ("invalid_request_error", "response_cancel_not_active")
        await say(talk, "Tell me a story.")
        await talk.send("response.create")
        created = (await talk.until("response.created"))["response"]
        second = await talk.error("response.create")
        assert second["code"] == "conversation_already_has_active_response"
        assert created["id"] in second["message"]
        wrong = await talk.error("response.cancel", response_id="resp_other")
        assert (wrong["code"], wrong["param"]) == ("response_cancel_not_active", "response_id")
        await talk.until("response.output_audio.delta")
        await talk.send("response.cancel", response_id=created["id"])
        done = (await talk.until("response.done"))["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        assert len(done["output"][0]["content"][0]["transcript"]) < len(STORY)
        after = len(talk.events)
        await say(talk, "Hello.")
        assert (await answered(talk))["status"] == "completed"
        late = [event for event in talk.events[after:] if event.get("response_id") == created["id"]]
        assert late == []  # nothing of a response comes after its end


async def test_a_response_beside_the_conversation_leaves_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, chat), talking(running.ws_url) as talk:
        await say(talk, "Tell me a story.")
        await talk.send("response.create")
        main = (await talk.until("response.created"))["response"]["id"]
        await talk.send("conversation.item.create", item=text_item("Hello there.", id="item_x"))
        await talk.send("response.create", response={
            "conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "aside"},
            "input": [{"type": "item_reference", "id": "item_x"}, text_item("What is this about?")]})
        while (done := (await talk.until("response.done"))["response"])["id"] == main:
            pass
        assert done["conversation_id"] is None
        assert done["metadata"] == {"topic": "aside"}
        assert done["output"][0]["content"] == [{"type": "output_text", "text": REPLY}]
        item_id = done["output"][0]["id"]
        assert item_id not in [event["item"]["id"] for event in talk.of("conversation.item.added")]
        request = next(each for each in chat.requests if "about" in str(each["messages"][-1]))
        asked = [(each["role"], each["content"]) for each in request["messages"] if each["role"] == "user"]
        assert asked == [("user", "Hello there."), ("user", "What is this about?")]
        await talk.send("response.cancel")
        await talk.until("response.done")


async def test_no_more_than_some_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        story = {"conversation": "none", "output_modalities": ["text"], "input": [text_item("Tell me a story.")]}
        for _ in range(4):
            await talk.send("response.create", response=story)
        created = [(await talk.until("response.created"))["response"]["id"] for _ in range(4)]
        assert (await talk.error("response.create", response=story))["code"] == "rate_limit_exceeded"
        for response_id in created:
            await talk.send("response.cancel", response_id=response_id)
        ended = [(await talk.until("response.done"))["response"]["status"] for _ in range(4)]
        assert ended == ["cancelled"] * 4


async def test_a_language_model_that_cannot_be_reached_is_said_so_and_the_session_lives(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, brain="http://127.0.0.1:9/v1") as talk:
        await say(talk, "Who was Napoleon?")
        response = await answered(talk, output_modalities=["text"])
        assert response["status"] == "completed"
        assert "language model" in response["output"][0]["content"][0]["text"]
        assert (await answered(talk, output_modalities=["text"]))["status"] == "completed"


async def test_without_a_language_model_the_servers_own_skills_answer_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, brain="offline") as talk:
        await say(talk, "What is two plus three?")
        response = await answered(talk, output_modalities=["text"])
        assert "5" in response["output"][0]["content"][0]["text"]
        assert [event["item"]["type"] for event in talk.of("conversation.item.added")] == ["message", "message"]
        first, second = talk.of("conversation.item.added")
        assert second["previous_item_id"] == first["item"]["id"]
        await talk.configure(aimass={"skills": False})
        await say(talk, "What is two plus three?")
        response = await answered(talk, output_modalities=["text"])
        assert "5" not in response["output"][0]["content"][0]["text"]


async def test_a_language_model_that_is_gone_leaves_the_servers_own_skills(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, brain="http://127.0.0.1:9/v1") as talk:
        await say(talk, "What is two plus three?")
        response = await answered(talk, output_modalities=["text"])
        assert "5" in response["output"][0]["content"][0]["text"]
        await talk.configure(aimass={"skills": False})
        await say(talk, "What is two plus three?")
        text = (await answered(talk, output_modalities=["text"]))["output"][0]["content"][0]["text"]
        assert "5" not in text
        assert "ask me" not in text  # there is nothing then that it could do


async def test_one_change_by_voice_keeps_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, brain="offline") as (running, _), talking(running.ws_url) as talk:
        (session,) = running.node.sessions()
        stages: list[list[str]] = []
        for text in ("Mirror the picture.", "Make it louder.", "Turn on the delay."):
            await say(talk, text)
            await answered(talk, output_modalities=["text"])
            stages.append([stage["stage"] for stage in session.spec.json()])
        assert stages == [[], ["gain"], ["gain", "delay"]], "there is no picture to mirror"


REFUSED: list[tuple[Any, str, str | None]] = [
    (7, "invalid_type", "response"),
    ({"conversation": "mine"}, "invalid_value", "response.conversation"),
    ({"metadata": {"a": 1}}, "invalid_type", "response.metadata.a"),
    ({"metadata": {str(number): "" for number in range(17)}}, "invalid_value", "response.metadata"),
    ({"output_modalities": ["smell"]}, "invalid_value", "response.output_modalities[0]"),
    ({"output_modalities": ["text", "audio"]}, "invalid_value", "response.output_modalities"),
    ({"max_output_tokens": 0}, "invalid_value", None),
    ({"audio": "loud"}, "invalid_type", "response.audio"),
    ({"audio": {"output": {"format": {"type": "audio/mp3"}}}}, "invalid_value", "response.audio.output.format"),
    ({"input": "hello"}, "invalid_type", "response.input"),
    ({"input": [{"type": "item_reference", "id": "item_none"}]}, "item_not_found", "response.input[0].id"),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "response.tools[0].type"),
]


async def test_what_cannot_be_asked_for_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        for given, code, param in REFUSED:
            error = await talk.error("response.create", response=given)
            assert error["code"] == code, given
            assert param is None or error["param"] == param, given
        assert "response.created" not in talk.kinds
