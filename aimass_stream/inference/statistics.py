"""What the engine measured of one model."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

WINDOW = 256  # runs remembered for percentiles
RECENT = 10.0  # s
GAIN = 1.1  # a batch pays if it gives this many times the rows a second of single runs
BESIDE = 1.25  # and two runs at once, which take cores that others can use, if they give so many times those of one


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    name: str
    version: str
    device: str
    state: str  # "ready" or "failed"
    measured: dict[int, float]  # batch size -> seconds of one run, measured while loading
    batch_limit: int  # rows put together here; 1: batching does not pay or is not possible
    at_once: int  # runs of it under way at a time
    waiting: int  # requests now
    runs: int
    rows: int
    failures: int
    drops: dict[str, int]  # by reason
    busy: float  # s the device spent on this model
    occupancy: float  # share of the last seconds that it spent so
    memory: int  # bytes that the process has grown by while it was loaded: about
    batch: float  # rows of a run, mean of the last runs
    wait_p50: float  # s
    wait_p95: float  # s
    run_p50: float  # s
    run_p95: float  # s


@dataclass(slots=True)
class Tally:
    """Counts as the engine runs."""

    runs: int = 0
    rows: int = 0
    failures: int = 0
    busy: float = 0.0  # s
    memory: int = 0  # bytes
    drops: dict[str, int] = field(default_factory=dict)
    batches: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    times: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW))  # when, busy: s

    def drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def ran(self, rows: int, seconds: float, waits: list[float], at: float, busy: float) -> None:
        """A run ended at that moment (s, monotonic). `busy` is less than its seconds where it overlapped another."""
        self.runs += 1
        self.rows += rows
        self.busy += busy
        self.batches.append(rows)
        self.times.append(seconds)
        self.waits.extend(waits)
        self.recent.append((at, busy))

    def occupancy(self) -> float:
        """Over `RECENT` seconds, or over the runs that are remembered, where that is less."""
        now = time.monotonic()
        recent = [(at, busy) for at, busy in self.recent if now - at < RECENT]
        if not recent:
            return 0.0
        since = now - RECENT if len(recent) < len(self.recent) or len(recent) < WINDOW else recent[0][0] - recent[0][1]
        return min(1.0, sum(busy for _, busy in recent) / max(now - since, 1e-6))

    def statistics(self, *, name: str, version: str, device: str, state: str, measured: dict[int, float],
                   batch_limit: int, at_once: int, waiting: int) -> ModelStatistics:
        return ModelStatistics(
            name, version, device, state, measured, batch_limit, at_once, waiting, self.runs, self.rows, self.failures,
            dict(self.drops), self.busy, self.occupancy(), self.memory,
            sum(self.batches) / len(self.batches) if self.batches else 0.0,
            percentile(self.waits, 0.5), percentile(self.waits, 0.95),
            percentile(self.times, 0.5), percentile(self.times, 0.95))


def percentile(values: deque[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * share)] if ordered else 0.0


def best_batch(measured: dict[int, float]) -> int:
    """The smallest batch within 5 % of the most rows a second, or 1 where no batch is `GAIN` times better."""
    rates = {size: size / seconds for size, seconds in measured.items()}
    best = max(rates.values(), default=0.0)
    if 1 not in rates or best < GAIN * rates[1]:
        return 1
    return min(size for size, rate in rates.items() if rate >= 0.95 * best)


def best_way(alone: dict[int, float], beside: dict[int, float]) -> tuple[int, int]:
    """Rows to put together, and runs at once: 1, or 2 where those are measured to give `BESIDE` times the rows.

    Both are seconds by batch size: of one run, and of two at once.
    """
    limit = best_batch(alone)
    if not alone or not beside or (
            max(2 * size / seconds for size, seconds in beside.items()) < BESIDE * limit / alone[limit]):
        return limit, 1
    return best_batch(beside), 2
