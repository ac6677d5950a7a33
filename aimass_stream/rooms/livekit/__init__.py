"""LiveKit's rooms, by LiveKit's own client library (the extra ``livekit``), which is loaded when a room is joined."""

from __future__ import annotations

from .join import LiveKitDoor, LiveKitJoin

__all__ = ["LiveKitDoor", "LiveKitJoin"]
