"""Handles on the client and proxy processes: JSON lines out, JSON lines in."""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Self

from .servers import CLIENT_CORE, HERE, OURS, Server


class Child:
    """A helper process of the benchmarks that answers one line to each line."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", f"benchmarks.{module}", *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parent,
                                        start_new_session=True)
        self.hello = self._read(30)

    def ask(self, timeout: float = 40, **message: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        reply = self._read(timeout)
        if isinstance(reply, dict) and "error" in reply:
            raise ConnectionError(reply["error"])
        return reply

    def _read(self, timeout: float) -> Any:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            if not ready.select(timeout):
                raise TimeoutError(f"no answer within {timeout:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise ConnectionError("the helper process ended")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Client(Child):
    """One client process; `session` opens a session in it."""

    def __init__(self, module: str = "client") -> None:
        super().__init__(module, str(CLIENT_CORE))
        self._opened = 0

    def load(self) -> tuple[float, float]:
        """CPU seconds used so far, and when (monotonic)."""
        answer = self.ask(do="load")
        return float(answer["cpu"]), float(answer["at"])

    @contextlib.contextmanager
    def session(self, server: Server, *, handler_ms: float = 0, url: str | None = None, patience: int = 3,
                body: dict[str, Any] | None = None, **order: Any) -> Iterator[Session]:
        """A server that answers 429 is asked again `patience` times: it may still be busy with what was before."""
        self._opened += 1
        session = Session(self, f"s{self._opened}", server)
        try:
            while True:
                try:
                    session.open(url or server.url, body or server.subject.body(handler_ms), order)
                    break
                except ConnectionError as error:
                    if not patience or "429" not in str(error):
                        raise
                patience -= 1
                session.close()
                time.sleep(3)
            yield session
        finally:
            session.close()


class Session:
    def __init__(self, client: Client, name: str, server: Server) -> None:
        self.client = client
        self.name = name
        self.server = server
        self.session_id: str | None = None
        self.says_goodbye = True  # ends the session at the server, and not only the connection

    def open(self, url: str, body: dict[str, Any], order: dict[str, Any]) -> None:
        answer = self.client.ask(do="open", id=self.name, url=url, body=body, **order)
        self.session_id = answer.get("session_id")

    def report(self, since: float, until: float, audio: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.ask(do="report", id=self.name, since=since, until=until, audio=audio)
        return answer

    def wait_first(self, seconds: float = 10) -> dict[str, float]:
        """Wait for the first picture; its times."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times: dict[str, float] = self.report(0, 0)["times"]
            if "first_video" in times:
                return times
            time.sleep(0.05)
        raise TimeoutError(f"no picture came back within {seconds:g} s")

    def close(self) -> None:
        if self.says_goodbye and self.session_id is not None and self.server.subject.name == OURS:
            with contextlib.suppress(OSError):  # it may be over already
                self.server.delete(f"/v1/sessions/{self.session_id}")
        with contextlib.suppress(ConnectionError, TimeoutError, OSError):
            self.client.ask(do="close", id=self.name)


class Proxy(Child):
    """A proxy process before one server."""

    def __init__(self, server: Server) -> None:
        super().__init__("proxy", server.base, str(CLIENT_CORE))
        self.url = f"http://127.0.0.1:{self.hello['port']}{server.subject.path}"

    def impair(self, loss: float = 0, delay: float = 0, jitter: float = 0, seed: int = 1) -> float:
        """From the next datagram on; answers when that is (monotonic)."""
        self.ask(do="impair", loss=loss, delay=delay, jitter=jitter, seed=seed)
        return time.monotonic()

    def counts(self) -> list[dict[str, int]]:
        counts: list[dict[str, int]] = self.ask(do="counts")
        return counts
