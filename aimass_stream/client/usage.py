"""What was used of a server, and how long it took (docs/api/usage.md)."""

from __future__ import annotations

from typing import Any

from .connection import Connection
from .records import UsageRow, read


class Usage:
    """`Client.usage`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, by: str = "total", *, since: float | None = None, until: float | None = None,
                   of: str | None = None, most: int = 1000) -> list[UsageRow]:
        """`by`: total, key, app, model or time. From `since` to `until`, in s since the epoch; without them the last
        day. `of`: the id of a user, team, key or app; without it one's own, for an admin the whole server's."""
        query: dict[str, Any] = {"by": by, "from": since, "to": until, "of": of}
        return [read(UsageRow, row) for row in await self._connection.pages("/v1/usage", "rows", most, **query)]
