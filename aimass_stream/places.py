"""Zones and lines as parameters of stages."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from .stage_base import Params
from .vision.zones import Line, Zone

MOST = 16  # zones, and as many lines

Part = Annotated[float, Field(ge=0, le=1)]
Spot: TypeAlias = tuple[Part, Part]
Name = Annotated[str, Field(min_length=1, max_length=40)]


class ZoneParams(Params):
    """A polygon in parts of the picture."""

    name: Name
    points: Annotated[tuple[Spot, ...], Field(min_length=3, max_length=32)]

    @property
    def zone(self) -> Zone:
        return Zone(self.name, self.points)


class LineParams(Params):
    """From start to end, in parts of the picture."""

    name: Name
    start: Spot
    end: Spot

    @model_validator(mode="after")
    def _somewhere(self) -> LineParams:
        if self.start == self.end:
            raise ValueError("a line's start and end are two points")
        return self

    @property
    def line(self) -> Line:
        return Line(self.name, self.start, self.end)


Zones: TypeAlias = tuple[ZoneParams, ...]
Lines: TypeAlias = tuple[LineParams, ...]


def told_apart(given: Zones | Lines) -> None:
    """Raises `ValueError` for two of one name."""
    names = [each.name for each in given]
    if len(set(names)) < len(names):
        raise ValueError("each needs a name of its own")
