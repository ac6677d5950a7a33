"""uvicorn's HTTP protocol, whose answers go out in one piece.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends each at once: two system calls,
two packets, and a client that is woken twice, which for a short answer is a good part of all its cost. And for each
request it makes a scope, a task and a handful of other objects, which for a short one cost more than its answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

LONG = 64 * 1024  # bytes that are not copied to be sent together


class Corked:
    """A transport that keeps a write for the one that follows it, or for the loop's next turn."""

    __slots__ = ("_held", "_loop", "plain")

    def __init__(self, plain: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.plain, self._loop = plain, loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            if len(data) > LONG:
                self.plain.write(held)
                self.plain.write(data)
            else:
                self.plain.write(held + data)
        elif len(data) > LONG:
            self.plain.write(data)
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self.plain.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self.plain.write(held)


class Direct(Protocol):
    """Answers requests that need neither a task nor ASGI. Nothing in it waits."""

    def plan(self, target: bytes, given: list[tuple[bytes, bytes]]) -> Any | None:
        """What a POST with these headers is, their names in small letters; None where it is the application's. It is
        asked once for all requests of a connection that begin alike."""
        ...

    def answer(self, plan: Any, address: str, body: bytes, done: dict[str, Any]) -> tuple[bytes, bytes] | None:
        """Lines of headers, among them the length, and the body; None where the application answers after all, with
        what is `done` in the request's scope."""
        ...


class Http(HttpToolsProtocol):
    """A short POST whose body comes with its head may be answered directly, where the application has a `direct`."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any],
                 _loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        plain = not (self.root_path or self.access_log or self.limit_concurrency)
        self._direct: Direct | None = getattr(config.app, "direct", None) if plain else None
        self._fresh = False  # nothing was answered directly of what came last: others' turns come in between
        self._begun: tuple[bytes, list[tuple[bytes, bytes]]] | None = None  # how the last request began
        self._plan: Any | None = None  # and what it is
        self._held: list[bytes] | None = None  # of the body of one that may be answered directly

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = Corked(transport, self.loop)  # type: ignore[assignment]

    def handle_websocket_upgrade(self) -> None:
        """What speaks from now on has the transport itself; nothing is held while no answer was begun."""
        corked: Any = self.transport
        self.transport = corked.plain
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        self._fresh = True
        super().data_received(data)
        if self._held is not None and self.parser is not None:
            self._let_go({})  # the rest of it comes later

    def on_message_begin(self) -> None:
        if self._direct is None:
            super().on_message_begin()
        else:  # its scope is made where it is the application's
            self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        if self._direct is None:
            super().on_headers_complete()
        elif self._may_be_direct(self._direct):
            self._held = []
        else:
            self._begin({})

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        if self._held is None:
            super().on_message_complete()
            return
        assert self._direct is not None
        done: dict[str, Any] = {}
        answer = self._direct.answer(self._plan, self.client[0] if self.client else "", b"".join(self._held), done)
        if answer is None:
            self._let_go(done)
            super().on_message_complete()
            return
        self._held, self._fresh = None, False
        head = b"".join([b"%b: %b\r\n" % pair for pair in self.server_state.default_headers])
        self.transport.write(b"HTTP/1.1 200 OK\r\n%b%b\r\n%b" % (head, *answer))
        self.on_response_complete()

    def _may_be_direct(self, direct: Direct) -> bool:
        parser = self.parser
        if (not self._fresh or parser.get_method() != b"POST" or parser.should_upgrade()
                or (self.cycle is not None and not self.cycle.response_complete) or self.flow.write_paused
                or self.transport.is_closing() or not parser.should_keep_alive() or parser.get_http_version() != "1.1"):
            return False
        if self._begun is None or self._begun != (self.url, self.headers):
            self._begun = self.url, self.headers
            self._plan = direct.plan(self.url, self.headers)
        return self._plan is not None

    def _let_go(self, done: dict[str, Any]) -> None:
        parts, self._held = self._held or (), None
        self._begin(done)
        for part in parts:
            super().on_body(part)

    def _begin(self, done: dict[str, Any]) -> None:
        """As it would have begun without us."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the list is in the scope
        self.scope.update(done)  # type: ignore[typeddict-item]
        super().on_headers_complete()
