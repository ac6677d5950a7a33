"""Rooms of other meeting servers that this server joins (docs/api/rooms.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from .connection import Connection, part
from .following import events

JOINING = 60.0  # s that joining or leaving may take


class Rooms:
    """`Client.rooms`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def join(self, url: str, room: str | int, *, kind: str = "janus",
                   pipeline: list[dict[str, Any]] | None = None, app: str | None = None,
                   parameters: dict[str, Any] | None = None, name: str | None = None, pin: str | None = None,
                   token: str | None = None, api_key: str | None = None, api_secret: str | None = None,
                   participants: list[str] | None = None, publish: list[str] | None = None,
                   captions: bool | None = None, max_participants: int | None = None,
                   assistant: dict[str, Any] | None = None, leave_after: float | None = None) -> dict[str, Any]:
        """The room, once the server is in it. Without a pipeline or an app it gets captions; `kind`: janus, livekit;
        `publish`: audio, video; `assistant`: its `name`, and what else docs/api/rooms.md has; `leave_after`: s without
        anybody who follows, after which the server leaves."""
        body = {"kind": kind, "url": url, "room": room, "pipeline": pipeline, "app_id": app, "parameters": parameters,
                "name": name, "pin": pin, "token": token, "api_key": api_key, "api_secret": api_secret,
                "participants": participants, "publish": publish, "captions": captions,
                "max_participants": max_participants, "assistant": assistant, "leave_after": leave_after}
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
        last = after
        following = events(self._connection, lambda: f"{_of(room_id)}/events?after={last}", f"the room {room_id}")
        async with aclosing(following):
            async for event in following:
                last = event["seq"]
                yield event
                if event["type"] == "room.ended":
                    return

    async def leave(self, room_id: str) -> None:
        """The server gives back all that is its own in the room; the room may list it for a moment longer."""
        await self._connection.request("DELETE", _of(room_id), seconds=JOINING)


def _of(room_id: str) -> str:
    return f"/v1/rooms/{part(room_id)}"
