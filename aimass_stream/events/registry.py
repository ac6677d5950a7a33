"""What an event is, and the list of all that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel

EVENTS: dict[str, type[EventData]] = {}


class EventData(BaseModel):
    """Base of all event payloads; a subclass names its `type` and registers itself."""

    type: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        EVENTS[cls.type] = cls


@dataclass(slots=True, frozen=True)
class Event:
    """One event, numbered."""

    type: str
    seq: int  # from 1, no gaps in a session
    pts: float | None  # s, media time
    track: str | None
    data: dict[str, Any]

    def json(self) -> dict[str, Any]:
        return {"type": self.type, "seq": self.seq, "pts": self.pts, "track": self.track, "data": self.data}


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of every event's `data`, by type."""
    return {name: data.model_json_schema() for name, data in sorted(EVENTS.items())}
