"""What waits for each device, and which device a model is run on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .contract import Model
from .device import CpuDevice, Device
from .waiting import Waiting


@dataclass(slots=True)
class Desk:
    """What waits for one device, and the tasks that serve it: one for each run that may be under way."""

    device: Device
    waiting: Waiting
    work: asyncio.Event = field(default_factory=asyncio.Event)
    servers: list[asyncio.Task[None]] = field(default_factory=list)
    under_way: list[Any] = field(default_factory=list)  # models whose runs are
    free_since: float = 0.0  # s, monotonic: end of the last run
    of: str = ""  # the only model that has it
    over: bool = False


class Desks:
    """One each for what is light, for an accelerator, for the processor; and for each model that is apart its own."""

    def __init__(self, device: Device, per_session: int) -> None:
        self._per_session = per_session
        self._device = Desk(device, Waiting(per_session))
        self._light = Desk(CpuDevice(threads=1, name="cpu-light", places=1), Waiting(per_session))
        self._processor = (self._device if isinstance(device, CpuDevice) else Desk(CpuDevice(), Waiting(per_session)))
        self._all = list({id(desk): desk for desk in (self._device, self._light, self._processor)}.values())

    def __iter__(self) -> Iterator[Desk]:
        return iter(tuple(self._all))

    def of(self, model: Model) -> Desk:
        can = model.capabilities
        if not can.apart:
            return self._light if can.light else self._device if can.accelerated else self._processor
        found = next((desk for desk in self._all if desk.of == model.name), None)
        if found is None:
            device = CpuDevice(threads=1, name="cell", places=1)  # its thread only waits
            found = Desk(device, Waiting(self._per_session), of=model.name)
            self._all.append(found)
        return found

    def leave(self, desk: Desk) -> None:
        """Nobody uses it any more: what one model had alone goes."""
        if desk.of and not desk.over:
            desk.over = True
            desk.work.set()
            self._all.remove(desk)
            desk.device.close()
