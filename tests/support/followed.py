"""A room of the server's that a test follows."""

from __future__ import annotations

import asyncio
from typing import Any

from aimass_stream.client import Client


class Followed:
    """A room of the server's, and what is told of it."""

    def __init__(self, client: Client, room: dict[str, Any]) -> None:
        self.id, self.client = room["id"], client
        self.events: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.client.rooms.follow(self.id):
            self.events.append(event)
            self._news.set()

    def of(self, kind: str, **said: Any) -> list[dict[str, Any]]:
        return [each for each in self.events
                if each["type"] == kind and all(each.get(key) == value for key, value in said.items())]

    async def until(self, kind: str, count: int = 1, **said: Any) -> dict[str, Any]:
        """The last of so many events."""
        async with asyncio.timeout(60):
            while len(self.of(kind, **said)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind, **said)[count - 1]

    async def vanish(self) -> None:
        """Follow it no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def over(self) -> str:
        """Why it is over."""
        async with asyncio.timeout(60):
            await self._task
        return str(self.events[-1]["reason"])

    async def show(self) -> dict[str, dict[str, Any]]:
        """The participants by name."""
        return {each["name"]: each for each in (await self.client.rooms.show(self.id))["participants"]}
