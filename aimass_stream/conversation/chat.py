"""A language model behind any OpenAI-compatible `/chat/completions`, streamed as server-sent events.

Only the operator names the URL (`settings.brain`): a client that could would make this server send requests
wherever it likes. What comes back is not trusted: it is bounded, and whatever is no answer becomes `BrainFailed`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx

from .brain import BrainFailed, BrainRequest, TextDelta, ToolCall
from .record import Item, new_id

log = logging.getLogger(__name__)

CONNECT = 5.0  # s
MAX_LINE = 256 * 1024  # characters of one server-sent event
MAX_ANSWER = 100_000  # characters of text and arguments together
MAX_CALLS = 16
SPOKEN = ("You are heard, not read. Answer in one to three short sentences of plain words: no lists, no markdown, "
          "no emoji, no links; write numbers and units as they are spoken.")


class ChatBrain:
    """Several replies may run at once. `timeout`, s, is waited for the first word, and between two pieces."""

    def __init__(self, url: str, *, model: str = "", key: str | None = None, timeout: float = 10) -> None:
        self.name = model or "language model"
        self._url = url.rstrip("/") + "/chat/completions"
        self._model, self._timeout = model, timeout
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(headers=headers, follow_redirects=False,
                                         timeout=httpx.Timeout(None, connect=min(CONNECT, timeout)))

    async def reply(self, request: BrainRequest) -> AsyncIterator[TextDelta | ToolCall]:
        """Raises `BrainFailed` when the model does not answer in time, breaks off, or sends what is no answer."""
        body = _body(request, request.model or self._model)
        calls: dict[int, ToolCall] = {}
        received = 0
        try:
            # a timeout around a yield would run on while the reader is away: each step has one of its own
            async with _Events(self._client, self._url, body, self._timeout) as events:
                while (chunk := await events.next()) is not None:
                    text, parts = _read(chunk)
                    received += len(text) + sum(len(str(part)) for part in parts)
                    if received > MAX_ANSWER:
                        raise BrainFailed("the language model does not stop talking")
                    for part in parts:
                        _gather(calls, part)
                    if text:
                        yield TextDelta(text)
        except TimeoutError:  # before its base class
            raise BrainFailed(f"the language model said nothing for {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise BrainFailed(f"the language model can't be reached: {error or type(error).__name__}") from error
        for call in calls.values():
            yield call

    async def close(self) -> None:
        await self._client.aclose()


class _Events:
    """The chunks of one streamed answer."""

    def __init__(self, client: httpx.AsyncClient, url: str, body: dict[str, Any], timeout: float) -> None:
        self._request = client.build_request("POST", url, json=body, headers={"Accept": "text/event-stream"})
        self._client, self._timeout = client, timeout
        self._response: httpx.Response | None = None
        self._lines: AsyncIterator[str] | None = None
        self._useful = False

    async def __aenter__(self) -> _Events:
        async with asyncio.timeout(self._timeout):
            self._response = await self._client.send(self._request, stream=True)
            if self._response.status_code != 200:
                told = (await self._start_of_body()).decode(errors="replace")
                log.warning("the language model refuses: %d %s", self._response.status_code, told)
                await self._response.aclose()
                raise BrainFailed(f"the language model refuses with status {self._response.status_code}")
        self._lines = _lines(self._response)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            await self._response.aclose()

    async def _start_of_body(self) -> bytes:
        assert self._response is not None
        async for data in self._response.aiter_bytes():
            return data[:500]
        return b""

    async def next(self) -> dict[str, Any] | None:
        """The next chunk, None at the end."""
        assert self._lines is not None
        async with asyncio.timeout(self._timeout):
            async for line in self._lines:
                if not line.startswith("data:"):
                    continue  # comments that keep a connection alive, names of events, empty lines
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return None
                self._useful = True
                return _object(data)
        if not self._useful:
            raise BrainFailed("the language model sent no answer")
        return None


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """Lines of at most `MAX_LINE` characters; one that does not end is an error, not memory."""
    rest = ""
    async for text in response.aiter_text():
        *lines, rest = (rest + text).split("\n")
        if len(rest) > MAX_LINE:
            raise BrainFailed("the language model sends a line without an end")
        for line in lines:
            yield line.rstrip("\r")
    if rest:
        yield rest


def _object(data: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise BrainFailed("the language model sends what is not JSON") from None
    if not isinstance(value, dict):
        raise BrainFailed("the language model sends what is no chunk of an answer")
    if value.get("error"):
        raise BrainFailed(f"the language model says: {str(value['error'])[:200]}")
    return value


def _read(chunk: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Text and parts of tool calls of one chunk."""
    choices = chunk.get("choices")
    if not choices:
        return "", []  # a chunk with the usage only
    delta = choices[0].get("delta") if isinstance(choices, list) and isinstance(choices[0], dict) else None
    if delta is None:
        return "", []
    if not isinstance(delta, dict):
        raise BrainFailed("the language model sends what is no chunk of an answer")
    text, parts = delta.get("content") or "", delta.get("tool_calls") or []
    if not isinstance(text, str) or not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BrainFailed("the language model sends what is no chunk of an answer")
    return text, parts


def _gather(calls: dict[int, ToolCall], part: dict[str, Any]) -> None:
    """A tool call comes in pieces: id and name first, then its arguments, letter by letter."""
    place = part.get("index", 0)
    function = part.get("function")
    function = function if isinstance(function, dict) else {}
    name, arguments, call_id = function.get("name") or "", function.get("arguments") or "", part.get("id") or ""
    if not isinstance(place, int) or not all(isinstance(value, str) for value in (name, arguments, call_id)):
        raise BrainFailed("the language model sends a tool call that can't be read")
    old = calls.get(place)
    if old is None:
        if len(calls) >= MAX_CALLS:
            raise BrainFailed("the language model calls too many tools")
        calls[place] = ToolCall(name, arguments, call_id or new_id("call"))
    else:
        calls[place] = ToolCall(old.name or name, old.arguments + arguments, old.call_id)


def _body(request: BrainRequest, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": messages(request), "stream": True}
    if request.tools and request.tool_choice != "none":
        body["tools"] = [{"type": "function", "function": {
            "name": tool.name, "description": tool.description, "parameters": tool.parameters}}
            for tool in request.tools]
        if request.tool_choice == "required":
            body["tool_choice"] = "required"
        elif request.tool_choice != "auto":
            body["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice}}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    return body


def messages(request: BrainRequest) -> list[dict[str, Any]]:
    """The conversation in the form of the chat API: neighbouring calls become one message."""
    language = "" if request.language.startswith("en") else f" The user speaks the language {request.language!r}."
    found: list[dict[str, Any]] = [
        {"role": "system", "content": f"{request.instructions}\n\n{SPOKEN}{language}".strip()}]
    for item in request.items:
        if item.kind == "message":
            found.append({"role": item.role, "content": _said(item)})
        elif item.kind == "function_call_output":
            found.append({"role": "tool", "tool_call_id": item.call_id, "content": item.text})
        elif found[-1].get("tool_calls"):
            found[-1]["tool_calls"].append(_call(item))
        else:
            found.append({"role": "assistant", "content": None, "tool_calls": [_call(item)]})
    return found


def _said(item: Item) -> str:
    """With who said it, quoted: a name can't end where its owner would have it end."""
    return f"{json.dumps(item.speaker, ensure_ascii=False)}: {item.text}" if item.speaker else item.text


def _call(item: Item) -> dict[str, Any]:
    return {"id": item.call_id, "type": "function",
            "function": {"name": item.name, "arguments": item.arguments or "{}"}}
