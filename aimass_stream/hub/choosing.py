"""``model=auto``: which model is taken for a task, and why.

A model's quality is what its card measured (`MEASURES`), its latency what the engine measured here; else what its
trial or its card says. With a bound on latency the best of those that keep it is taken, without one the best; with
``quality="fast"`` the fastest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..errors import NotFound
from ..figures import short
from ..inference import Entry
from ..inference.statistics import ModelStatistics

Quality: TypeAlias = Literal["best", "balanced", "fast"]

AUTO = "auto"
# in a card, the higher the better, 0 to 1; of those that are errors, 1 less them
MEASURES = ("quality", "accuracy", "ap50", "map", "f1", "auc")
ERRORS = ("wer", "wer_real", "error", "loss")
UNKNOWN = 0.5  # quality of what nobody measured
BALANCE = 0.1  # quality that twice the time has to be worth


@dataclass(frozen=True, slots=True)
class Candidate:
    name: str  # as a caller would name it
    served: str  # as the engine knows it
    task: str
    quality: float | None  # 0 to 1
    measure: str  # what told so
    ms: float | None  # of a run

    def says(self) -> str:
        quality = f"{self.measure} {self.quality:g}" if self.quality is not None else "quality not measured"
        return f"{quality}, {f'{short(self.ms)} ms' if self.ms is not None else 'time not measured'}"


@dataclass(frozen=True, slots=True)
class Chosen:
    name: str
    served: str
    reason: str
    others: int  # that were looked at besides


def candidate(name: str, entry: Entry, facts: Mapping[str, Any], measured: ModelStatistics | None) -> Candidate:
    quality, measure = _quality(entry.card)
    trial = facts.get("trial")
    ms: float | None = None
    if measured is not None and measured.runs:
        ms = measured.run_p50 * 1000
    elif measured is not None and measured.measured:
        ms = measured.measured[min(measured.measured)] * 1000
    elif isinstance(trial, dict) and isinstance(trial.get("ms"), int | float):
        ms = float(trial["ms"])
    else:
        ms = _milliseconds(entry.card)
    return Candidate(name, entry.name, entry.task, quality, measure, ms)


def choose(candidates: Iterable[Candidate], task: str, latency_ms: float | None = None, quality: Quality = "balanced"
           ) -> Chosen:
    """Raises `NotFound` where nothing does this task, or none in time."""
    there = [each for each in candidates if each.task == task]
    if not there:
        raise NotFound(f"no model here does {task[:64]!r}", field="task")
    punctual = [each for each in there if latency_ms is None or (each.ms is not None and each.ms <= latency_ms)]
    if not punctual:
        known = sorted(each.ms for each in there if each.ms is not None)
        fastest = f"the fastest takes {short(known[0])} ms" if known else "nobody has measured one yet"
        raise NotFound(f"no model for {task[:64]!r} keeps {latency_ms:g} ms: {fastest}", field="latency_ms")
    best = min(punctual, key=lambda each: _rank(each, quality))
    bound = f" of those within {latency_ms:g} ms" if latency_ms is not None else ""
    what = {"best": "the best", "balanced": "the best for its time", "fast": "the fastest"}[quality]
    return Chosen(best.name, best.served, f"{what} of {len(there)} for {task}{bound}: {best.says()}", len(there) - 1)


def _rank(each: Candidate, quality: Quality) -> tuple[float, float, str]:
    good = UNKNOWN if each.quality is None else each.quality
    slow = float("inf") if each.ms is None else max(each.ms, 1e-3)
    if quality == "fast":
        return slow, -good, each.name
    if quality == "best":
        return -good, slow, each.name
    from math import log2

    return BALANCE * log2(slow) - good if slow != float("inf") else 1e6 - good, slow, each.name


def _quality(card: Mapping[str, Any]) -> tuple[float | None, str]:
    for name in MEASURES:
        if isinstance(card.get(name), int | float) and 0 <= card[name] <= 1:
            return float(card[name]), name
    for name in ERRORS:
        if isinstance(card.get(name), int | float) and 0 <= card[name] <= 1:
            return 1 - float(card[name]), f"1 - {name}"
    return None, ""


def _milliseconds(card: Mapping[str, Any]) -> float | None:
    """The least that a card says, whatever it calls it."""
    found: list[float] = []
    for key, value in card.items():
        values = value.values() if isinstance(value, dict) else [value]
        if key == "milliseconds" or key.endswith("_ms"):
            found += [float(each) for each in values if isinstance(each, int | float)]
    return min(found, default=None)
