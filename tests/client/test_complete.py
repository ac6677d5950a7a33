"""Every route of the interface has a method of the client, or stands below with the reason why it has none."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from aimass_stream.client.blocking import SyncClient
from aimass_stream.client.connection import Connection
from aimass_stream.client.rest import Client
from aimass_stream.errors import AimassError
from aimass_stream.server import create_app
from tests.support.options import settings

pytestmark = pytest.mark.anyio

MEDIA = "live media: Client.rtc, Client.stream, or any client of the protocol"
FORMS = "a form with files: curl, or any client of HTTP; docs/api/images.md has it"
OPENAI = "OpenAI's shape: openai-python"
OIP = "the Open Inference Protocol: tritonclient"
COOKIES = "for browsers: a program has a key, which account.sign_in gets"
LEFT = {  # why there is no method, by how "METHOD path" begins
    "POST /v1/webrtc/offer": MEDIA, "POST /v1/whip": MEDIA, "PATCH /v1/whip": MEDIA, "DELETE /v1/whip": MEDIA,
    "OPTIONS /v1/whip": MEDIA, "POST /v1/whep": MEDIA, "PATCH /v1/whep": MEDIA, "DELETE /v1/whep": MEDIA,
    "OPTIONS /v1/whep": MEDIA, "POST /v1/realtime": OPENAI, "POST /v1/audio": OPENAI, "GET /v1/audio": OPENAI,
    "GET /v1/models": OPENAI, "GET /v1/images": FORMS, "POST /v1/images": FORMS, "POST /v1/videos": FORMS,
    "GET /v2": OIP, "POST /v2": OIP, "GET /healthz": "for whoever starts the server; Client.ready says more",
    "OPTIONS /v1/uploads": "tus asks with it what is possible, and Uploads.send knows",
    "HEAD /v1/uploads": "the same as GET, for clients of tus",
    "PATCH /v1/uploads": "Uploads.send does, while bytes are missing",
    "GET /predict": "Client.describe with an empty name", "POST /predict": "Client.predict with an empty name",
}
JOB = {"id": "x", "kind": "x", "state": "done"}
ENDS = {"next": None, "has_more": False}  # of lists: there is no other page
PLAIN = {"GET /predict", "POST /predict"}  # these alone, not what begins so
# what else a method is called with, where it depends on that which route it takes
SAID: dict[str, tuple[dict[str, Any], ...]] = {
    "account.sign_in": ({"new": True}, {"token": "inv_x"}), "users.show": ({"user": "usr_x"},),
    "watch.delete_feedback": ({"feedback_id": "x"},), "watch.put_alerts": ({"rules": []},),
    "watch.alerts": ({},), "models.image": ({"folder": "nowhere"},)}


def sample(schema: Mapping[str, Any], schemas: Mapping[str, Any], deep: int = 0) -> Any:
    """Something that the schema allows; of several states, the last, for that is mostly an end."""
    if "$ref" in schema:
        return sample(schemas[schema["$ref"].rpartition("/")[2]], schemas, deep)
    if "enum" in schema or "const" in schema:
        return schema["enum"][-1] if "enum" in schema else schema["const"]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], schemas, deep)
    kind = schema.get("type")
    if kind == "object":
        if isinstance(schema.get("additionalProperties"), dict) and deep < 3:
            return {"x": sample(schema["additionalProperties"], schemas, deep + 1)}
        return {name: ENDS[name] if name in ENDS else sample(each, schemas, deep + 1)
                for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}), schemas, deep + 1)] if deep < 4 else []
    return {"string": "x", "integer": 1, "number": 1.0, "boolean": True}.get(str(kind), {})


class Server(ThreadingHTTPServer):
    """Answers every described route with something that its description allows, and writes down which was asked."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.described, self.asked = described, set[str]()
        self.patterns = [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)), path) for path in sorted(
            described["paths"], key=lambda path: path.count("{"))]
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        for pattern, found in self.patterns:
            operation = self.described["paths"][found].get(method.lower())
            if pattern.fullmatch(path) and operation is not None:
                self.asked.add(f"{method} {found}")
                status, response = next((int(code), each) for code, each in operation["responses"].items()
                                        if code.startswith("2"))
                content = response.get("content", {}).get("application/json", {}).get("schema")
                return status, None if content is None else sample(content, self.described["components"]["schemas"])
        return 404, {"detail": f"{method} {path} is not described"}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, body = self.server.answer(self.command, self.path.partition("?")[0])
        content = b"" if body is None else json.dumps(body).encode()
        streamed = self.path.startswith(("/v1/jobs/", "/v1/rooms/")) and self.path.partition("?")[0].endswith("/events")
        content = b"data: " + json.dumps(JOB).encode() + b"\n\n" if streamed else content
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@contextmanager
def answering(described: Mapping[str, Any]) -> Iterator[Server]:
    with Server(described) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def methods(client: Client) -> Iterator[tuple[str, Any]]:
    """Every public method that asks the server something, by its name: ``apps.find``."""
    own = {name for name, _ in inspect.getmembers(Connection)}
    for name, _ in inspect.getmembers(Client):
        part = getattr(client, name) if not name.startswith("_") and name not in own else None
        if inspect.iscoroutinefunction(part):
            yield name, part
        elif part is not None and hasattr(part, "_connection"):
            for inner, method in inspect.getmembers(part, inspect.isroutine):
                if not inner.startswith("_"):
                    yield f"{name}.{inner}", method


def arguments(method: Any, file: Path) -> dict[str, Any]:
    """Something for every argument that has to be given."""
    hints, made = get_type_hints(method), dict[str, Any]()
    for each in inspect.signature(method).parameters.values():
        hint = str(hints.get(each.name))
        if each.default is not inspect.Parameter.empty or each.kind == inspect.Parameter.VAR_KEYWORD:
            continue
        made[each.name] = (file if "Path" in hint and "folder" not in each.name else file.parent if "Path" in hint else
                           {} if "Mapping" in hint or "dict" in hint else [] if "list" in hint else
                           1 if "int" in hint and "str" not in hint else True if "bool" in hint else
                           1.0 if "float" in hint else "x")
    return made


async def called(method: Any, given: Mapping[str, Any]) -> None:
    """Once; what is made of the answer may fail, for that makes no sense."""
    with suppress(AimassError, TimeoutError, StopAsyncIteration, KeyError, ValueError, TypeError):
        async with asyncio.timeout(20):
            coming = method(**given)
            await (anext(coming) if inspect.isasyncgen(coming) else coming)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(settings(data_dir=tmp_path_factory.mktemp("described"))).openapi()


async def test_every_route_has_a_method(described: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "inside" / "x.json"
    file.parent.mkdir()
    file.write_text("{}")
    routes = {f"{method.upper()} {path}" for path, each in described["paths"].items() for method in each}
    left = {route for route in routes for begin in LEFT if route == begin or (
        begin not in PLAIN and route.startswith(begin))}
    with answering(described) as server:
        async with Client(server.url, "a key") as client:
            for name, method in methods(client):
                for given in (*SAID.get(name, ()), {}):
                    await called(method, arguments(method, file) | given)
        found = set(server.asked)
    assert not routes - found - left, f"no method of the client asks {sorted(routes - found - left)}"
    assert {begin for begin in LEFT if not any(route.startswith(begin) for route in routes)} == set(), "no such routes"
    assert left & found - {"GET /v1/models", "GET /v1/models/{name}"} == set(), "these have a method after all"


async def test_programs_without_asyncio_have_every_method(described: dict[str, Any]) -> None:
    async with Client() as client:
        names = {name for name, _ in methods(client)}
    assert {name for name in names if not has(name)} == set()


def has(name: str) -> bool:
    """Whether `SyncClient` has it, too; its parts say in their notes what they are."""
    part, _, method = name.rpartition(".")
    if not part:
        return hasattr(SyncClient, method)
    kind = get_type_hints(getattr(SyncClient, part).func)["return"] if hasattr(SyncClient, part) else None
    return kind is not None and hasattr(kind, method)
