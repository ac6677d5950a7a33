"""The rooms that this server is in."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from ..errors import Busy, Conflict, NotFound, Unavailable
from ..node import Node
from ..ports import AppCall, Caller
from ..spec import PipelineSpec
from .ports import Join, Kind
from .room import Room
from .talk import check
from .wish import Place, Wish

log = logging.getLogger(__name__)

KEPT = 32  # rooms that are over and can still be asked about


class Rooms:
    """Made once by the server; `close` it before the node."""

    def __init__(self, node: Node, most: int) -> None:
        self._node = node
        self._most = most
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._joining: list[Room] = []
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def kinds(self, pipeline: PipelineSpec, publish: tuple[Kind, ...]) -> frozenset[Kind]:
        """What has to be taken of participants so that the pipeline has something to do. Raises `InvalidPipeline`."""
        pipeline.validate(self._node.stages.params, self._node.stages.names)
        accepted = {stage["name"]: stage["accepts"] for stage in self._node.stages.describe()}
        kinds: tuple[Kind, ...] = ("audio", "video")
        return frozenset(kind for kind in kinds if kind in publish
                         or any(kind in accepted[stage.name] for stage in pipeline.stages))

    async def pipeline_of(self, caller: Caller, app: AppCall) -> PipelineSpec:
        """Raises `NotFound`, `Forbidden`, `InvalidInput` or `InvalidPipeline`."""
        _, pipeline, _ = await self._node.app(caller, app)
        return pipeline

    async def open(self, caller: Caller, join: Join, wish: Wish, place: Place) -> Room:
        """Join. Raises `Conflict` where we are there already, `Busy`, `Unavailable`, `InvalidInput` for an assistant
        that has no voice, or why it can't be joined."""
        caller.need("media")
        self._go_on()
        there = [room for room in (*self._rooms.values(), *self._joining) if room.state != "ended"]
        for room in there:
            if room.place == place and _shows(room, caller):
                raise _twice(room)
        if len(there) >= self._most:
            raise Busy(f"this server is in as many rooms as it may be ({self._most})", retry_after=5)
        room = Room(self._node, caller, join, wish, place)
        self._joining.append(room)
        try:
            if wish.assistant is not None:
                await check(self._node, wish.assistant)
            await room.start()
        finally:
            self._joining.remove(room)
        self._rooms[room.id] = room
        try:
            self._go_on()
        except Unavailable:
            await room.close("the server stopped")
            raise
        over = [number for number, each in self._rooms.items() if each.state == "ended"]
        for number in over[:-KEPT]:
            del self._rooms[number]
        log.info("%s joined for %s", room.id, caller.name)
        return room

    def _go_on(self) -> None:
        if self._closed or self._node.draining:
            raise Unavailable("the server is stopping", retry_after=10)

    def get(self, room_id: str, caller: Caller) -> Room:
        """If it is theirs. Raises `NotFound`."""
        room = self._rooms.get(room_id)
        if room is None or not _shows(room, caller):
            raise NotFound(f"there is no room {room_id[:64]!r}", field="room_id")
        return room

    def all(self, caller: Caller) -> list[Room]:
        return [room for room in self._rooms.values() if _shows(room, caller)]

    async def leave(self, room_id: str, caller: Caller) -> None:
        """Raises `NotFound`."""
        await self.get(room_id, caller).close("ended by request")
        self._rooms.pop(room_id, None)

    def end_those(self, those: Callable[[Caller], bool], reason: str) -> None:
        """Begin to leave the rooms of these callers."""
        for room in self._rooms.values():
            if room.state != "ended" and those(room.caller):
                task = asyncio.create_task(room.close(reason), name="end of a room")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave all rooms, and join no more."""
        self._closed = True
        await asyncio.gather(*(room.close("the server stopped") for room in self._rooms.values()))


def _twice(room: Room) -> Conflict:
    return Conflict("the server is in this room under this name already: leave it with `aimass rooms leave "
                    f"{room.id}` (DELETE /v1/rooms/{room.id}), or give another name", field="name", room_id=room.id)


def _shows(room: Room, caller: Caller) -> bool:
    return caller.owns(room.caller.owner) or (caller.owner == "" == room.caller.owner)
