"""Requests that go past the routers: which do, what those that don't get, and headers that are looked through once."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from aimass_stream.api.headers import first_of, text_of
from aimass_stream.api.shortcut import Application, Shortcut
from tests.support.options import settings

pytestmark = pytest.mark.anyio


class Taken:
    """Notes what comes to it; as an application, and in place of what is behind the shortcut."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.params: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.params.append(scope.get("path_params"))


def asked(path: str, method: str = "POST", kind: str = "http", **headers: str) -> Scope:
    return {"type": kind, "method": method, "path": path,
            "headers": [(name.encode().replace(b"_", b"-"), value.encode()) for name, value in headers.items()]}


async def receive() -> Any:
    raise AssertionError("nobody reads here")


async def send(message: Any) -> None:
    raise AssertionError("nobody answers here")


@pytest.mark.parametrize(("path", "params"), [
    ("/v2/models/fish/infer", {"name": "fish"}),
    ("/v2/models/fish/versions/7/infer", {"name": "fish", "version": "7"})])
async def test_the_protocols_inference(path: str, params: dict[str, str]) -> None:
    routers, infer = Taken(), Taken()
    await Shortcut(routers, infer, settings())(asked(path), receive, send)  # type: ignore[arg-type]
    assert (infer.paths, infer.params, routers.paths) == ([path], [params], [])


@pytest.mark.parametrize("scope", [
    asked("/v2/models/fish/infer", "GET"), asked("/v2/models//infer"), asked("/v2/models/a/versions//infer"),
    asked("/v2/models/a/b/infer"), asked("/v1/models"), asked("/predict"), asked("/predict/"), asked("/predict/a/b"),
    asked("/predict/fish", "GET"), asked("/predict/fish", content_type="multipart/form-data; boundary=1"),
    asked("/predict/fish", content_type="Multipart/Form-Data; boundary=1"), asked("/predict/fish", kind="websocket")])
async def test_everything_else_comes_to_the_routers(scope: Scope) -> None:
    routers, infer = Taken(), Taken()
    await Shortcut(routers, infer, settings())(scope, receive, send)  # type: ignore[arg-type]
    assert (routers.paths, infer.paths) == ([scope["path"]], [])


def test_headers_of_a_request_that_was_made_of_another_are_its_own() -> None:
    scope = asked("/", authorization="Bearer a", host="here")
    assert text_of(first_of(scope), b"authorization") == "Bearer a"
    assert first_of(scope) is first_of(scope)
    inner = dict(scope) | {"headers": [(b"host", b"there"), (b"x", b"1"), (b"x", b"2")]}
    assert first_of(inner) == {b"host": b"there", b"x": b"1"}
    assert text_of(first_of(inner), b"authorization") is None
    assert text_of(first_of(scope), b"host") == "here"


class Failing(Taken):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a fault of ours")


async def answered(app: Application, scope: Scope) -> list[Any]:
    sent: list[Any] = []

    async def noting(message: Any) -> None:
        sent.append(message)

    await app(dict(scope), receive, noting)
    return sent


INFER = asked("/v2/models/fish/infer", host="localhost")


async def test_what_needs_no_layer_goes_past_all_of_them() -> None:
    app, infer = Application(), Taken()
    assert (await answered(app, INFER))[0]["status"] == 404  # until it is told of the short way
    app.short(infer, settings())  # type: ignore[arg-type]
    assert await answered(app, INFER) == []
    assert infer.paths == [INFER["path"]]


@pytest.mark.parametrize("headers", [
    {"host": "localhost", "origin": "https://elsewhere.example"}, {"host": "localhost", "origin": "http://localhost"},
    {"host": "localhost", "transfer_encoding": "chunked"}, {"host": "rebound.example"}, {}])
async def test_what_a_layer_is_for_goes_through_it(headers: dict[str, str]) -> None:
    app, infer = Application(), Taken()
    app.short(infer, settings())  # type: ignore[arg-type]
    assert (await answered(app, asked(INFER["path"], **headers)))[0]["status"] == 404  # there are no routes here
    assert infer.paths == []


async def test_a_fault_of_ours_is_a_problem_on_the_short_way_too(caplog: pytest.LogCaptureFixture) -> None:
    app = Application()
    app.short(Failing(), settings())  # type: ignore[arg-type]
    start, body = await answered(app, INFER)
    assert (start["status"], b"fault" in body["body"]) == (500, False)
    assert dict(start["headers"])[b"content-type"] == b"application/problem+json"
    assert "a fault of ours" in caplog.text
