"""Rooms of other meeting servers that this server joins (docs/api/rooms.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from ..errors import Unavailable
from .connection import Connection, part

SILENT = 60.0  # s without a sign of life, which comes every 10 s
TRIES = 5  # of following on, without news between them
WAIT = 0.2  # s before the first of them; twice as long before each further one
JOINING = 60.0  # s that joining may take


class Rooms:
    """`Client.rooms`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def join(self, url: str, room: str | int, *, kind: str = "janus",
                   pipeline: list[dict[str, Any]] | None = None, name: str | None = None, pin: str | None = None,
                   token: str | None = None, api_secret: str | None = None, participants: list[str] | None = None,
                   publish: list[str] | None = None, captions: bool | None = None,
                   max_participants: int | None = None) -> dict[str, Any]:
        """The room, once the server is in it. Without a pipeline it gets captions; `publish`: audio, video."""
        body = {"kind": kind, "url": url, "room": room, "pipeline": pipeline, "name": name, "pin": pin, "token": token,
                "api_secret": api_secret, "participants": participants, "publish": publish, "captions": captions,
                "max_participants": max_participants}
        return dict(await self._connection.request(
            "POST", "/v1/rooms", {key: value for key, value in body.items() if value is not None}, seconds=JOINING))

    async def find(self) -> list[dict[str, Any]]:
        return list((await self._connection.request("GET", "/v1/rooms"))["rooms"])

    async def show(self, room_id: str) -> dict[str, Any]:
        """With its participants, and what is done for each."""
        return dict(await self._connection.request("GET", _of(room_id)))

    async def captions(self, room_id: str) -> list[dict[str, Any]]:
        """What was said, by whom: whole utterances, the oldest first."""
        return list((await self._connection.request("GET", f"{_of(room_id)}/captions"))["captions"])

    async def follow(self, room_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Every event behind `after`, until the room is over; a line that breaks is taken up again."""
        failures = 0
        while True:
            try:
                async with self._connection.streamed(f"{_of(room_id)}/events?after={after}", seconds=SILENT) as answer:
                    async for line in answer.aiter_lines():
                        if line.startswith("data:"):
                            event = json.loads(line[5:])
                            failures, after = 0, event["seq"]
                            yield event
                            if event["type"] == "room.ended":
                                return
            except Unavailable:
                if failures >= TRIES:
                    raise
            failures += 1
            if failures > TRIES:
                raise Unavailable(f"nothing more is told of the room {room_id}")
            await asyncio.sleep(WAIT * 2**failures)

    async def leave(self, room_id: str) -> None:
        """Nothing of the server's is in the room afterwards."""
        await self._connection.request("DELETE", _of(room_id))


def _of(room_id: str) -> str:
    return f"/v1/rooms/{part(room_id)}"
