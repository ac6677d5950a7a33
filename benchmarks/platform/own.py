"""Our server with a data folder of its own, and what is put into its hub."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from ..servers import HERE, OURS, SUBJECTS, Server, Subject
from ..speech.section import Result

# nothing is looked for on a network, no ears are made ready, no apps published: what is measured is the platform
ENVIRONMENT = {"AIMASS_FETCH": "false", "AIMASS_WARM": "false", "AIMASS_BUILTIN_APPS": "false", "AIMASS_DEVICE": "cpu"}
FAILURES = (ConnectionError, TimeoutError, OSError, httpx.HTTPError, ValueError, KeyError)
PART = 8 << 20  # bytes of an upload's parts
READY = 180.0  # s until a version has been checked, a server answers


def folder(name: str) -> Path:
    """A new, empty data folder beside the other things of the benchmarks; on a real disk, not in memory."""
    (HERE / "work").mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"platform-{name}-", dir=HERE / "work"))


@contextlib.contextmanager
def running(subject: Subject, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """A server on all cores; at the end its whole tree is gone, children that it forgot, too."""
    server = Server(subject, environment=environment, core=None)
    try:
        yield server
    finally:
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(server.process.pid).children(recursive=True)
        server.stop()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@contextlib.contextmanager
def ours(name: str, environment: dict[str, str] | None = None, data: Path | None = None) -> Iterator[Server]:
    """AI Mass Stream with an empty hub, or with the folder `data`, which is kept."""
    place = data or folder(name)
    try:
        with running(SUBJECTS[OURS], ENVIRONMENT | {"AIMASS_DATA_DIR": str(place)} | (environment or {})) as server:
            wait(lambda: httpx.get(f"{server.base}/healthz", timeout=5).status_code == 200, "the server")
            yield server
    finally:
        if data is None:
            shutil.rmtree(place, ignore_errors=True)


def wait(ready: Callable[[], bool], what: str, seconds: float = READY) -> None:
    """Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if ready():
                return
        time.sleep(0.05)
    raise TimeoutError(f"{what} was not ready within {seconds:g} s")


class Hub:
    """The routes of the hub that the measurements need; all raise `httpx.HTTPError` or `ValueError` with the answer."""

    def __init__(self, base: str, timeout: float = 120) -> None:
        self.http = httpx.Client(base_url=base, timeout=timeout)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        reply = self.http.request(method, path, **options)
        if reply.is_error:
            raise ValueError(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
        return json.loads(reply.content) if reply.content else {}

    def upload(self, name: str, content: bytes) -> str:
        upload: str = self.ask("POST", "/v1/uploads", json={"name": name, "size": len(content)})["id"]
        for begin in range(0, len(content), PART):
            self.ask("PATCH", f"/v1/uploads/{upload}", content=content[begin : begin + PART], headers={
                "Upload-Offset": str(begin), "Content-Type": "application/offset+octet-stream"})
        return upload

    def put(self, name: str, content: bytes, *, deploy: bool = True, **manifest: Any) -> Result:
        """A model with this ONNX file as its next version, checked, and what `name` means from now on."""
        if self.http.get(f"/v1/hub/models/{name}").status_code == 404:
            self.ask("POST", "/v1/hub/models", json={"name": name, "visibility": "public"})
        version = self.ask("POST", f"/v1/hub/models/{name}/versions", json={
            "uploads": {"model.onnx": self.upload("model.onnx", content)}, "manifest": manifest})
        path = f"/v1/hub/models/{name}/versions/{version['number']}"

        def checked() -> bool:
            version.update(self.ask("GET", path))
            return bool(version["state"] != "checking")

        wait(checked, f"{name}@{version['number']}")
        if version["state"] != "ready":
            raise ValueError(f"{name} is {version['state']}: {version['reason']}")
        if deploy:
            self.deploy(name, version["number"])
        return dict(version)

    def deploy(self, name: str, number: int) -> None:
        self.ask("PUT", f"/v1/hub/models/{name}/aliases/production", json={"version": number})


def kill(server: Server) -> None:
    """As a pulled plug does to a process: at once, and without a word."""
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
