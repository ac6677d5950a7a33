"""What people ask the operator for: a model, more of a quota (docs/api/apps.md)."""

from __future__ import annotations

from .connection import Connection, part
from .records import Asked, read


class Requests:
    """`Client.requests`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, *, state: str | None = None, everybody: bool = False, most: int = 1000) -> list[Asked]:
        """One's own, the newest first; `everybody`: all there are, for admins. `state`: open, granted or declined."""
        rows = await self._connection.pages("/v1/requests", "requests", most, state=state, all=everybody or None)
        return [read(Asked, row) for row in rows]

    async def show(self, request_id: str) -> Asked:
        return read(Asked, await self._connection.request("GET", _of(request_id)))

    async def ask(self, kind: str, subject: str, text: str = "") -> Asked:
        """`kind`: model, quota or other."""
        body = {"kind": kind, "subject": subject, "text": text}
        return read(Asked, await self._connection.request("POST", "/v1/requests", body))

    async def answer(self, request_id: str, *, granted: bool, answer: str = "") -> Asked:
        """By an admin, once. What is granted is then done in its own place."""
        body = {"state": "granted" if granted else "declined", "answer": answer}
        return read(Asked, await self._connection.request("POST", f"{_of(request_id)}/answer", body))

    async def withdraw(self, request_id: str) -> None:
        """One's own, while nobody has answered it."""
        await self._connection.request("DELETE", _of(request_id))


def _of(request_id: str) -> str:
    return f"/v1/requests/{part(request_id)}"
