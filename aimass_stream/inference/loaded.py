"""A model that the engine has loaded, and what the engine keeps count of for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from .contract import Model
from .desks import Desk
from .inline import Inline
from .slots import Slots
from .statistics import Tally, best_way
from .warming import Speed


@dataclass(slots=True)
class Loaded:
    model: Model
    desk: Desk
    speed: Speed
    slots: Slots
    tally: Tally
    limit: int = 1  # rows put together
    at_once: int = 1  # runs
    running: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0  # in a row
    failed: str = ""  # why it was taken out
    closed: bool = False
    lost: bool = False  # with a thread that does not come back from it
    inline: Inline = field(init=False)

    def __post_init__(self) -> None:
        self.limit, self.at_once = best_way(self.speed.alone, self.speed.beside)
        self.inline = Inline(self.model, self.speed.alone)
        self.idle.set()
