"""A hub whose models are watched, without a server around it, and a time that tests set."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aimass_stream.accounts.audit import Audit
from aimass_stream.hub.hub import Hub
from aimass_stream.inference import CpuDevice, Engine, FolderStore
from aimass_stream.store import Blobs, Database
from aimass_stream.watch.clock import Clock
from aimass_stream.watch.watch import Kept, Watch

from .model_hub import _examined

BEGIN = 1_700_000_000.0


class Time:
    """Of a machine: the day can be set, and goes on."""

    def __init__(self) -> None:
        self.day, self.steady = BEGIN, 0.0
        self.clock = Clock(lambda: self.day, lambda: self.steady)

    def goes_on(self, seconds: float) -> None:
        self.day += seconds
        self.steady += seconds


@dataclass
class Posted:
    """What would be posted to others."""

    got: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    answer: tuple[str, int] = ("", 1)

    def __call__(self, url: str, about: str, body: bytes, ended: Callable[[str, int], None], *,
                 message_id: str | None = None) -> None:
        self.got.append((url, json.loads(body), message_id))
        ended(*self.answer)


@dataclass
class Watched:
    hub: Hub
    watch: Watch
    database: Database
    audit: Audit
    time: Time
    posted: Posted


@asynccontextmanager
async def watched(place: Path | str, folder: Path) -> AsyncIterator[Watched]:
    engine = Engine(FolderStore([]), CpuDevice(threads=1, places=1))
    async with Database(place) as database:
        hub = Hub(database, Blobs(folder / "blobs"), engine, engine.store, folder / "hub")  # type: ignore[arg-type]
        hub.importer._examined = _examined  # type: ignore[method-assign]
        await hub.start()
        time, posted, audit = Time(), Posted(), Audit(database)
        watch = Watch(database, hub, audit, posted, Kept(), time.clock)
        watch.start()
        try:
            yield Watched(hub, watch, database, audit, time, posted)
        finally:
            await watch.close()
            await hub.close()
            await engine.close()
