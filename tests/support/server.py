"""A real server on a free port of 127.0.0.1, in the test's own loop or in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

import httpx
from fastapi import FastAPI

from aimass_stream.node import Node
from aimass_stream.server import Server, create_app
from aimass_stream.settings import Settings
from aimass_stream.stages import Registry

from .command import BYTECODE
from .options import settings


class Running:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.node: Node = server.node
        self.state: Any = cast(FastAPI, server.config.app).state
        self.url = f"http://127.0.0.1:{server.bound_port}"
        self.ws_url = f"ws://127.0.0.1:{server.bound_port}"


class Prompt(Server):
    """Ends once it is told to: uvicorn looks ten times a second."""

    def __init__(self, settings: Settings, app: FastAPI) -> None:
        super().__init__(settings, app)
        self._told = asyncio.Event()

    def leave(self) -> None:
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        both = [asyncio.ensure_future(each) for each in (super().main_loop(), self._told.wait())]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for each in both:
            each.cancel()


_before: list[bool] = []  # applications that this process made


def _undescribed() -> NoReturn:
    raise AssertionError("this server has no openapi.json: it wants to be `serve(..., described=True)`")


def _build(options: Settings, registry: Registry | None, described: bool) -> Prompt:
    # making openapi.json costs more than all else here; the first time also works routes out, which requests then share
    app = create_app(options, registry=registry, described=described or not _before)
    _before.append(True)
    if not described:
        setattr(app, "openapi", _undescribed)  # noqa: B010  mypy takes it for a method
    server = Prompt(options, app)
    server.config.log_level = "warning"
    server.config.load()  # imports uvicorn's protocols, which `aimass serve` does before anybody is there
    return server


@asynccontextmanager
async def serve(options: Settings | None = None, *, registry: Registry | None = None,
                described: bool = False) -> AsyncIterator[Running]:
    """The server; whoever asks it for its openapi.json wants it `described`."""
    options = options or settings()
    server = await asyncio.to_thread(_build, options, registry, described)
    task = asyncio.create_task(server._serve(None))  # without uvicorn's signal handlers: they are the test runner's
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.005)
    try:
        yield Running(server)
    finally:
        await server.node.close()
        server.leave()
        await task


@contextmanager
def served(*arguments: str, env: dict[str, str] | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`aimass serve` as a process; answers its URL and the process."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "aimass_stream", "serve", "--port", "0", "--data-dir", folder, *arguments],
                stdout=output, stderr=subprocess.STDOUT,
                env=os.environ | BYTECODE | {"AIMASS_FETCH": "false", "AIMASS_WARM": "false",
                                  "AIMASS_BUILTIN_APPS": "false"} | (env or {}),
            )
        try:
            yield _url(process, log), process
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        if " is at " in text:
            url = text.split(" is at ")[1].split()[0].rstrip("/")
            httpx.get(f"{url}/healthz", verify=False, timeout=10).raise_for_status()  # its certificate is its own
            return url
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
