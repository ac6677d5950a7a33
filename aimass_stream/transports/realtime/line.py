"""What the families of events share: the line to the client, and the place where the conversation is held."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from ...conversation.tools import Toolbox
from ...node import Node
from ...session import Session
from ...settings import Settings
from .errors import Refused
from .session import Configuration


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(10)}"


class Line(Protocol):
    """The way to one client: a websocket or a data channel."""

    def send(self, text: str) -> None:
        """Never waits; a client that lets too much gather loses its connection."""
        ...

    async def room(self) -> None:
        """Returns when the client has taken most of what was sent: sound is only made as fast as that."""
        ...


class Events:
    """Numbers and sends events."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": new_id("event"), **fields}
        self.line.send(json.dumps(event, separators=(",", ":"), ensure_ascii=False))

    def refuse(self, refused: Refused, event_id: str | None) -> None:
        self.send("error", error=refused.json(event_id))


@dataclass(slots=True)
class Place:
    """One conversation's surroundings; `configuration` is replaced as a whole."""

    node: Node
    session: Session
    events: Events
    toolbox: Toolbox
    configuration: Configuration
    microphone: bool  # the session's transport has one: sound doesn't come by ``input_audio_buffer.append``

    @property
    def settings(self) -> Settings:
        return self.node.settings
