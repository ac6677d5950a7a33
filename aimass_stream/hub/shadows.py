"""Shadows: a version that is asked what its neighbour is asked, in the gaps, and whose answer nobody gets.

What comes of it is counted: how often the two agree, how far they are apart, and what failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import AimassError
from ..inference import Batch, Engine

log = logging.getLogger(__name__)

MOST = 4  # asked at once of one shadow; the others are left out
RELATIVE, ABSOLUTE = 1e-2, 1e-3  # within which two answers agree


@dataclass(slots=True)
class Comparison:
    """Of a shadow with the version beside it, since the server began."""

    asked: int = 0
    agreed: int = 0
    failed: int = 0
    left_out: int = 0  # there were too many at once
    difference: float = 0.0  # the largest, of all outputs


class Shadows:
    def __init__(self, engine: Engine, of: Callable[[str], str | None]) -> None:
        self._engine, self._of = engine, of
        self._tasks: dict[asyncio.Task[None], str] = {}
        self.seen: dict[str, Comparison] = {}  # by shadow

    def answered(self, model: str, inputs: Batch, outputs: Batch) -> None:
        """The engine answered somebody: have the shadow asked, too, if there is one. Takes microseconds."""
        shadow = self._of(model)
        if shadow is None:
            return
        seen = self.seen.setdefault(shadow, Comparison())
        if sum(name == shadow for name in self._tasks.values()) >= MOST:
            seen.left_out += 1
            return
        task = asyncio.create_task(self._ask(shadow, seen, inputs, outputs), name=f"shadow {shadow}")
        self._tasks[task] = shadow
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _ask(self, shadow: str, seen: Comparison, inputs: Batch, outputs: Batch) -> None:
        seen.asked += 1
        try:
            await self._engine.load(shadow)
            made = await self._engine.submit(shadow, inputs, session=f"shadow {shadow}", background=True)
            apart = await asyncio.to_thread(difference, outputs, made)
        except AimassError as error:
            seen.failed += 1
            log.info("shadow %s: %s", shadow, error.detail)
            return
        seen.difference = max(seen.difference, apart[1])
        seen.agreed += apart[0]

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def difference(one: Batch, other: Batch) -> tuple[bool, float]:
    """Whether they agree, and the largest difference of two numbers."""
    agree, largest = set(one) == set(other), 0.0
    for name in set(one) & set(other):
        if one[name].shape != other[name].shape or one[name].dtype.kind not in "fiub":
            agree = False
            continue
        mine, theirs = one[name].astype(np.float64), other[name].astype(np.float64)
        if mine.size:
            largest = max(largest, float(np.abs(mine - theirs).max()))
            agree = agree and bool(np.allclose(mine, theirs, RELATIVE, ABSOLUTE))
    return agree, largest
