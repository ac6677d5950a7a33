"""The way into a LiveKit room, whether its library is installed or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import Unavailable
from ..address import target_of

if TYPE_CHECKING:
    from .stay import LiveKitRoom

LACKS = "LiveKit's library is not installed on this server: pip install 'aimass-stream[livekit]'"


@dataclass(frozen=True, slots=True, repr=False)
class LiveKitDoor:
    """Where a room is, and what opens it: a token for it, or the key and secret that make one."""

    url: str
    room: str
    token: str = ""
    api_key: str = ""
    api_secret: str = ""


@dataclass(frozen=True, slots=True)
class LiveKitJoin:
    """Join that room as `name`, which a token has its own of. Only for who may reach private addresses: the library
    follows a server wherever that sends it."""

    door: LiveKitDoor
    name: str
    captions: bool

    async def __call__(self, changed: Callable[[], None]) -> LiveKitRoom:
        await target_of(self.door.url, private=True)
        try:
            stay = await asyncio.to_thread(import_module, ".stay", __package__)  # 0.5 s of work
            tokens = await asyncio.to_thread(import_module, ".tokens", __package__)
        except ImportError as error:
            raise Unavailable(LACKS, field="kind") from error
        room: LiveKitRoom = await stay.enter(self.door.url, tokens.token_of(self.door, self.name), changed,
                                             captions=self.captions)
        return room
