"""The load of `make bench-platform`: it asks a real server over real sockets, and tells no failure as an answer."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.platform import callers
from benchmarks.platform.load import Order, run

pytestmark = pytest.mark.anyio

BODY = b'{"input": 1}'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200 if self.path == "/fine" and body == BODY else 400
        self.send_response(status)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def order(port: int, path: str, seconds: float = 0.3, rate: float = 0.0) -> Order:
    return Order("127.0.0.1", port, path, base64.b64encode(BODY).decode(), {}, callers=3, seconds=seconds, warm=0.05,
                 rate=rate)


async def test_callers_ask_as_fast_as_they_are_answered() -> None:
    with serving() as port:
        found = await run(order(port, "/fine"))
    told = callers.figures([found, found])
    assert found["errors"] == 0
    assert found["count"] > 10
    assert told["per_s"] == pytest.approx(found["count"] / found["seconds"], rel=0.01)
    assert 0 < told["p50"] <= told["p95"] <= told["p99"]
    assert callers.fine(told)


async def test_a_rate_is_kept() -> None:
    with serving() as port:
        found = await run(order(port, "/fine", seconds=0.6, rate=30))
    assert found["count"] <= 30 * 0.6 + 3, "never more than was asked for"
    assert found["count"] >= 3


async def test_refusals_are_no_answers() -> None:
    with serving() as port:
        found = await run(order(port, "/missing"))
    told = callers.figures([found])
    assert (found["count"], told["p50"]) == (0, None)
    assert found["errors"] > 0
    assert "400" in told["error"]
    assert not callers.fine(told)


async def test_an_answer_without_its_length_is_an_error() -> None:
    with serving() as port:
        found = await run(order(port, "/endless"))
    assert found["count"] == 0
    assert "without its length" in found["first_error"]
