"""The Python client: REST, and sessions over a websocket or WebRTC with one interface.

    async with Client("http://127.0.0.1:8000") as client:
        async with client.stream(pipeline=[{"stage": "mirror"}], video="vp8") as session:
            await session.send(frame)
            async for frame in session.frames():
                ...
"""

from .rest import Client
from .session import MediaSession
from .stream import StreamSession

__all__ = ["Client", "MediaSession", "StreamSession"]
