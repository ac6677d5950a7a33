"""A hub on a port of its own: lists files, gives them whole or in part, and can be slow, wrong, or silent."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aimass_stream.weights import WeightFile, Weights, catalogue

REPOSITORY, REVISION = "somebody/some-weights", "0123456789abcdef0123456789abcdef01234567"
LARGE = 64 * 1024  # bytes from which a hub keeps a file's SHA-256


class TestHub:
    __test__ = False

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.asked: list[tuple[str, str]] = []  # path and Range of every request
        self.break_off: dict[str, int] = {}  # bytes of a file after which the connection ends, once
        self.ignores_ranges = False
        self.gives: dict[str, bytes] = {}  # something else than is listed
        self.piece_pause = 0.0  # s after each piece of 64 KiB
        self.silent = threading.Event()  # while set, nothing is answered
        self.ended = threading.Event()
        self.url = ""

    def listing(self, folder: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        for path, body in self.files.items():
            if path.rpartition("/")[0] == folder:
                git = hashlib.sha1(f"blob {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest()
                entry: dict[str, Any] = {"type": "file", "path": path, "size": len(body), "oid": git}
                if len(body) >= LARGE:
                    entry["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130}
                entries.append(entry)
        return entries

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, begun = request.path, 0
        self.asked.append((path, request.headers.get("Range", "")))
        while self.silent.is_set() and not self.ended.wait(0.02):
            pass
        tree = f"/api/models/{REPOSITORY}/tree/{REVISION}"
        if path.startswith(tree):
            self._send(request, 200, json.dumps(self.listing(path[len(tree) :].strip("/"))).encode())
            return
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{REVISION}/").removeprefix("/plain/")
        if name not in self.files:
            self._send(request, 404, b"no such file")
            return
        body = self.gives.get(name, self.files[name])
        wanted = request.headers.get("Range", "")
        if wanted and not self.ignores_ranges:
            begun = int(wanted.removeprefix("bytes=").rstrip("-"))
        self._give(request, name, body, begun)

    def _give(self, request: BaseHTTPRequestHandler, name: str, body: bytes, begun: int) -> None:
        request.send_response(206 if begun else 200)
        request.send_header("Content-Length", str(len(body) - begun))
        if begun:
            request.send_header("Content-Range", f"bytes {begun}-{len(body) - 1}/{len(body)}")
        request.end_headers()
        end = self.break_off.pop(name, len(body))
        for at in range(begun, end, 64 * 1024):
            request.wfile.write(body[at : min(at + 64 * 1024, end)])
            time.sleep(self.piece_pause)
        request.close_connection = end < len(body)

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def hub_with(files: dict[str, bytes]) -> Iterator[TestHub]:
    hub = TestHub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                hub.answer(self)
            except OSError:
                self.close_connection = True  # the client has left

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def offered(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], *entries: Weights) -> Iterator[TestHub]:
    """A hub with these files, and a catalogue with these entries alone."""
    for name in list(catalogue()):
        monkeypatch.delitem(catalogue(), name)
    for each in entries:
        monkeypatch.setitem(catalogue(), each.name, each)
    with hub_with(files) as hub:
        yield hub


def weights(*files: WeightFile, name: str = "some-weights", **fields: Any) -> Weights:
    given: dict[str, Any] = {
        "title": "Some weights", "purpose": "hearing", "engine": "aimass_stream.engines.onnx:OnnxModel",
        "licence": "MIT", "description": 'They are "weights".', "languages": ("en",), "repository": REPOSITORY,
        "revision": REVISION}
    return Weights(name=name, files=files, **(given | fields))
