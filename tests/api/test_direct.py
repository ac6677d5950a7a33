"""Requests that are answered past ASGI: as the usual way answers them, counted as there, and none that is not plain."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from aimass_stream.api.direct import Direct
from aimass_stream.inference.inline import SHORT, Inline
from aimass_stream.settings import Settings
from aimass_stream.usage import Meter
from tests.inference.test_inline import Steady
from tests.support.offered import Pile
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio

KEY = "a-key-of-the-server"
PREDICT, INFER = "/predict/steady", "/v2/models/steady/infer"
DATE = re.compile(rb"date: [^\r]*\r\n")
X = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5]}


class Noting(Direct):
    """Notes what it answered."""

    answered = 0

    def answer(self, plan: Any, address: str, body: bytes, done: dict[str, Any]) -> tuple[bytes, bytes] | None:
        found = super().answer(plan, address, body, done)
        self.answered += found is not None
        return found


@dataclass
class Place:
    server: Running
    direct: Noting
    model: Steady

    @asynccontextmanager
    async def line(self, *, direct: bool = True) -> AsyncIterator[Line]:
        """A connection, on which there is the direct way or there is not; one at a time."""
        self.server.server.config.app.direct = self.direct if direct else None  # type: ignore[union-attr]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.server.bound_port)
        try:
            yield Line(reader, writer)
        finally:
            writer.close()

    async def both(self, request: bytes) -> tuple[bytes, bytes, int]:
        """The usual answer, the one where there is the direct way, and how many came by that."""
        async with self.line(direct=False) as line:
            usual = await line.ask(request)
        before = self.direct.answered
        async with self.line() as line:
            return usual, await line.ask(request), self.direct.answered - before


@dataclass
class Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    interim: list[bytes] = field(default_factory=list)

    async def ask(self, *parts: bytes) -> bytes:
        """The whole answer, but for the time in it."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
        async with asyncio.timeout(60):
            return await self.answer()

    async def answer(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100"):
            self.interim.append(head)
            head = await self.reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", head)
        assert size is not None, head
        return DATE.sub(b"", head) + await self.reader.readexactly(int(size[1]))


@asynccontextmanager
async def place(options: Settings | None = None) -> AsyncIterator[Place]:
    async with serve(options or settings(api_key=KEY)) as server:
        model, infer = Steady(), server.state.infer
        await server.node.engine.add(model)
        server.node.engine._models["steady"].inline = Inline(model, {1: SHORT / 4, 2: SHORT / 2})
        infer.offered.catalogue = Pile(model)
        yield Place(server, Noting(infer, server.server.settings, server.state.accounts), model)


def raw(path: str, body: bytes, *lines: str, method: str = "POST", host: str = "localhost", version: str = "1.1",
        key: str | None = KEY, length: str | None = None) -> bytes:
    shown = [] if key is None else [f"Authorization: Bearer {key}"]
    told = [f"Content-Length: {len(body) if length is None else length}"] if length != "" else []
    head = [f"{method} {path} HTTP/{version}", f"Host: {host}", *shown, *told, *lines, "", ""]
    return "\r\n".join(head).encode() + body


def short(value: Any = None) -> bytes:
    return json.dumps({"input": [1, 2.5] if value is None else value}).encode()


def v2(**given: Any) -> bytes:
    return json.dumps({"inputs": [X]} | given).encode()


def binary(path: str = INFER, **given: Any) -> bytes:
    data = np.array([[1, 2.5]], np.float32).tobytes()
    head = v2(inputs=[{"name": "x", "shape": [1, 2], "datatype": "FP32",
                       "parameters": {"binary_data_size": len(data)}}], **given)
    return raw(path, head + data, f"Inference-Header-Content-Length: {len(head)}")


CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(short()), short())

PLAIN = {
    "predict": raw(PREDICT, short(), "Content-Type: application/json"),
    "predict, several rows": raw(PREDICT, short([[1, 2], [3, 4]])),
    "infer": raw(INFER, v2()),
    "infer, of a version": raw("/v2/models/steady/versions/1/infer", v2(id="one")),
    "infer, one output": raw(INFER, v2(outputs=[{"name": "y"}])),
    "infer, binary": binary(),
    "infer, binary both ways": binary(parameters={"binary_data_output": True}),
    "infer, nothing but data": raw(INFER, np.ones((1, 2), np.float32).tobytes(), "Inference-Header-Content-Length: 0"),
    "usual headers": raw(PREDICT, short(), "Accept: */*", "Accept-Encoding: gzip", "Connection: keep-alive",
                         "User-Agent: somebody"),
}
OTHER = {
    "no key": raw(PREDICT, short(), key=None), "a wrong key": raw(INFER, v2(), key="wrong"),
    "a key of nobody's": raw(INFER, v2(), key="aim_12345678_" + "a" * 43),
    "a token for sessions": raw(PREDICT, short(), key="aimc_abc"),
    "another machine's name": raw(PREDICT, short(), host="rebound.example"),
    "a page of elsewhere": raw(PREDICT, short(), "Origin: https://elsewhere.example"),
    "a page of ours": raw(PREDICT, short(), "Origin: http://localhost"),
    "a cookie": raw(PREDICT, short(), "Cookie: a=b"), "by a proxy": raw(PREDICT, short(), "X-Forwarded-For: 10.0.0.1"),
    "a header twice": raw(PREDICT, short(), "Accept: a", "Accept: b"),
    "compressed": raw(PREDICT, short(), "Content-Encoding: gzip"), "a form": raw(
        PREDICT, b"", "Content-Type: multipart/form-data; boundary=1"),
    "no such model": raw("/predict/nothing", short()),
    "no such version": raw("/v2/models/steady/versions/9/infer", v2()),
    "no such path": raw("/v2/models/steady/other", v2()), "a query": raw(PREDICT + "?a=1", short()),
    "an escaped path": raw("/predict/%73teady", short()), "GET": raw(PREDICT, b"", method="GET"),
    "no body": raw(PREDICT, b""), "no JSON": raw(PREDICT, b"{"), "no input": raw(PREDICT, b'{"put": 1}'),
    "another shape": raw(PREDICT, short([1, 2, 3, [4]])), "texts": raw(INFER, v2(inputs=[X | {"data": ["a", "b"]}])),
    "no such output": raw(INFER, v2(outputs=[{"name": "z"}])), "beyond float32": raw(PREDICT, short([1e300, 1])),
    "more rows than are short": raw(PREDICT, short([[1, 2]] * 3)), "what it refuses": raw(PREDICT, short([-1, 1])),
    "more header than body": raw(INFER, v2(), "Inference-Header-Content-Length: 9999"),
    "no number": raw(INFER, v2(), "Inference-Header-Content-Length: many"),
    "HTTP/1.0": raw(PREDICT, short(), version="1.0"), "the last one": raw(PREDICT, short(), "Connection: close"),
    "in chunks": raw(PREDICT, CHUNKED, "Transfer-Encoding: chunked", length=""),
    "waits to be asked for": raw(PREDICT, short(), "Expect: 100-continue"),
    "too large": raw(PREDICT, b'{"input": [1, 2], "pad": "' + b"a" * (1 << 17) + b'"}'),
}


async def test_answers_are_those_of_the_usual_way() -> None:
    async with place() as here:
        for what, request in PLAIN.items():
            usual, direct, count = await here.both(request)
            assert direct == usual, what
            assert (direct[:12], count) == (b"HTTP/1.1 200", 1), what
        for what, request in OTHER.items():
            usual, direct, count = await here.both(request)
            assert direct == usual, what
            assert count == 0, what


async def test_a_fault_of_the_model_or_of_ours_takes_the_usual_way(caplog: pytest.LogCaptureFixture) -> None:
    async with place() as here:
        here.model.fails = True
        usual, direct, count = await here.both(PLAIN["infer"])
        assert (usual == direct, direct[9:10], count) == (True, b"5", 0)
        here.model.fails = False
        catalogue = here.server.state.infer.offered.catalogue
        entry, catalogue.entry = catalogue.entry, None
        usual, direct, count = await here.both(PLAIN["predict"])
        assert (usual == direct, direct[9:12], count) == (True, b"500", 0)
        assert "could not be answered at once" in caplog.text
        catalogue.entry = entry
        here.server.node.engine._models["steady"].inline.rows = 0
        assert (await here.both(PLAIN["predict"]))[2] == 0


async def test_requests_on_one_connection() -> None:
    """Whole, in pieces, several at once: one answer each, in order."""
    async with place() as here, here.line() as line:
        one, other = PLAIN["predict"], PLAIN["infer, binary"]
        first, second = await line.ask(one), await line.ask(other)
        assert (here.direct.answered, first == second) == (2, False)
        for cut in (10, len(one) - 12, len(one) - 1):  # in its first line, between head and body, in the body
            line.writer.write(one[:cut])
            await line.writer.drain()
            await asyncio.sleep(0.02)
            assert await line.ask(one[cut:]) == first
        before = here.direct.answered
        line.writer.write(one + other + raw("/healthz", b"", method="GET") + one)
        answers = [await line.answer() for _ in range(4)]
        assert (answers[0], answers[1], answers[3]) == (first, second, first)
        assert here.direct.answered == before + 1  # others get turns between the rest
        assert await line.ask(OTHER["waits to be asked for"]) == first
        assert line.interim == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        assert (await line.ask(OTHER["no such model"]))[9:12] == b"404"
        assert await line.ask(one) == first
        assert here.direct.answered == before + 2
        assert (await line.ask(OTHER["the last one"])).endswith(first.partition(b"\r\n\r\n")[2])
        assert await line.reader.read() == b""


async def test_a_connection_on_which_nothing_comes_any_more_is_closed() -> None:
    async with place() as here:
        here.server.server.config.timeout_keep_alive = 1  # s
        async with here.line() as line:
            assert (await line.ask(PLAIN["predict"])).startswith(b"HTTP/1.1 200")
            assert here.direct.answered == 1
            async with asyncio.timeout(30):
                assert await line.reader.read() == b""


async def test_who_asks_is_counted_once() -> None:
    options = settings(host="0.0.0.0", insecure=True, limit_requests=3, limit_per_address=1)
    async with place(options) as here:
        once, long = raw(PREDICT, short(), key=None), raw(PREDICT, short([[1, 2]] * 3), key=None)
        for direct, request in ((False, once), (True, once), (True, long)):  # the last takes the usual way after all
            meter = here.server.state.infer.meter = Meter()
            await here.server.state.accounts.parts.allowance.counters.close()  # they begin anew
            async with here.line(direct=direct) as line:
                answers = [await line.ask(request) for _ in range(5)]
            assert [answer[9:12] for answer in answers] == [b"200"] * 3 + [b"429"] * 2, direct
            [counted] = meter.take().values()
            assert (counted.count, counted.errors) == (3, 0), direct
        assert here.direct.answered == 3
        answers = [(await here.both(raw(PREDICT, b"{", key=None)))[1] for _ in range(2)]
        assert {answer[9:12] for answer in answers} == {b"429"}


async def test_a_wrong_key_is_counted_once() -> None:
    async with place() as here, here.line() as line:
        for _ in range(3):
            assert (await line.ask(OTHER["a wrong key"]))[9:12] == b"401"
        assert here.server.state.accounts.parts.wrong.get("127.0.0.1") == 3


async def test_what_a_name_leads_to_is_looked_up_once() -> None:
    """A canary's share is counted by how often that was done."""
    async with place() as here, here.line() as line:
        catalogue = here.server.state.infer.offered.catalogue
        asked: list[str] = []
        resolve = catalogue.resolve

        def noting(name: str, version: str = "", **more: Any) -> Any:
            asked.append(name)
            return resolve(name, version, **more)

        catalogue.resolve = noting
        for request in (PLAIN["predict"], PLAIN["infer"], OTHER["more rows than are short"], OTHER["no such output"]):
            await line.ask(request)
        assert asked == ["steady"] * 4
