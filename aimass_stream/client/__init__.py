"""The Python client: REST, and sessions over a websocket or WebRTC with one interface.

    async with Client("http://127.0.0.1:8000") as client:
        async with client.stream(pipeline=[{"stage": "mirror"}], video="vp8") as session:
            await session.send(frame)
            async for frame in session.frames():
                ...

What a server keeps can be asked for without asyncio, too: `SyncClient`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .blocking import SyncClient
    from .rest import Client
    from .session import MediaSession
    from .stream import StreamSession

__all__ = ["Client", "MediaSession", "StreamSession", "SyncClient"]

_HOMES = {"Client": "rest", "MediaSession": "session", "StreamSession": "stream", "SyncClient": "blocking"}


def __getattr__(name: str) -> Any:
    """Media take half a second to import, which a command that asks for a list should not wait for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
