"""Who which part of the interface is for: three groups of it, by the tags that routes have."""

from __future__ import annotations

from typing import Any

# front: what pages and devices of people need; service: what programs call; admin: what who runs or reviews it does
GROUPS: dict[str, tuple[str, ...]] = {
    "front": ("sessions", "webrtc", "whip", "whep", "rooms", "realtime", "apps", "requests", "accounts", "health",
              "catalogue"),
    "service": ("inference", "open inference protocol", "speech", "audio", "images", "vision", "faces", "jobs", "batch",
                "models"),
    "admin": ("keys", "teams", "usage", "audit"),
}
TITLES = {"front": "Front: for pages and devices", "service": "Service: for programs",
          "admin": "Admin: for who runs the server or a team"}


def grouped() -> list[dict[str, Any]]:
    """As `x-tagGroups` of openapi.json, which readers of it show as chapters."""
    return [{"name": name, "x-displayName": TITLES[name], "tags": list(tags)} for name, tags in GROUPS.items()]
