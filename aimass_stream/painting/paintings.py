"""The paintings that our styles are of, in numbers; models/styles/manners.py wrote them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from .colours import Palette
from .names import Named, named

TABLE = Path(__file__).with_name("paintings.json")


@dataclass(frozen=True, slots=True)
class Painting:
    name: str  # "starry-night"
    title: str
    painter: str
    year: str
    manner: tuple[float, ...]

    @property
    def palette(self) -> Palette:
        first, second, third, *rest = self.manner
        return Palette((first, second, third), (rest[0], rest[1], rest[2]))

    @property
    def named(self) -> Named:
        return named(self.name, self.title, (self.painter,))


@functools.cache
def paintings() -> dict[str, Painting]:
    """By name."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: Painting(name, told["title"], told["painter"], told["year"], tuple(told["manner"]))
            for name, told in table.items()}
