"""LiveKit's room tokens: JSON web tokens (RFC 7519) that name a room, who enters it, and what they may do there."""

from __future__ import annotations

import secrets
import time

import jwt

from ...errors import InvalidInput
from ..ports import marked
from .join import LiveKitDoor

VALID_SECONDS = 600  # to enter with; the server renews the token of who is inside
SKEW_SECONDS = 10  # that its clock may be behind ours


def token_of(door: LiveKitDoor, name: str) -> str:
    """The one that was given, or a new one. Raises `InvalidInput`."""
    if not door.token:
        return minted(door, name)
    try:
        claims = jwt.decode(door.token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise InvalidInput("this is no room token of LiveKit: that is a JSON web token", field="token") from None
    video = claims.get("video")
    room = video.get("room") if isinstance(video, dict) else None
    if room != door.room:
        raise InvalidInput(f"the token is for the room {str(room)[:64]!r}" if room else "the token is for no room",
                           field="room")
    return door.token


def minted(door: LiveKitDoor, name: str) -> str:
    """Signed with the door's key, as an agent: LiveKit lets nobody else caption what others say in their name."""
    now = int(time.time())
    may = {"room": door.room, "roomJoin": True, "canSubscribe": True, "canPublish": True, "canPublishData": True}
    claims = {"iss": door.api_key, "sub": f"aimass-{secrets.token_hex(6)}", "name": marked(name), "kind": "agent",
              "nbf": now - SKEW_SECONDS, "exp": now + VALID_SECONDS, "video": may}
    return jwt.encode(claims, door.api_secret, algorithm="HS256")
