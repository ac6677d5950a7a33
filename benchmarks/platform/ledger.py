"""What a client was told is kept, and whether it still is after the server was killed.

A write that was sent and not answered may have happened or not; what is found then counts from there on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

GROWS = "upload"  # a kind whose values grow: anything between what was acknowledged and what was sent will do


@dataclass
class Value:
    """Of one thing: None where it is not there, or not any more."""

    known: Any = None  # what was acknowledged
    sent: list[Any] = field(default_factory=list)  # since then, without an answer


class Ledger:
    """Of one server's folder. `begin` before a write is sent, `done` once it is acknowledged, `seen` after a start."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Value] = {}
        self.acknowledged: Counter[str] = Counter()  # writes by kind
        self.cut_off: Counter[str] = Counter()  # writes that a kill left without an answer
        self.checked = 0  # values that were compared
        self.lost: list[str] = []
        self.orphans: list[str] = []  # served, though nobody was told that it is there, or it is something else

    def begin(self, kind: str, name: str, value: Any) -> None:
        self.values.setdefault((kind, name), Value()).sent.append(value)

    def done(self, kind: str, name: str, value: Any) -> None:
        self.values[kind, name] = Value(value)
        self.acknowledged[kind] += 1

    def refused(self, kind: str, name: str, value: Any) -> None:
        """It was answered that it did not happen."""
        self.values[kind, name].sent.remove(value)

    def of(self, kind: str) -> dict[str, Any]:
        """Known values by name, of what is there."""
        return {name: value.known for (each, name), value in self.values.items()
                if each == kind and value.known is not None}

    def names(self, kind: str) -> list[str]:
        """All that were ever written."""
        return [name for each, name in self.values if each == kind]

    def killed(self) -> None:
        """Count what is without an answer now."""
        for (kind, _), value in self.values.items():
            self.cut_off[kind] += len(value.sent)

    def seen(self, kind: str, name: str, found: Any) -> bool:
        """What is there after a start. False where it can't be: then `lost` or `orphans` says so."""
        self.checked += 1
        value = self.values.setdefault((kind, name), Value())
        possible = [value.known, *value.sent]
        fine = _between(value, found) if kind == GROWS else found in possible
        if not fine:
            told = f"{kind} {name}: {_short(found)} is there, and {_short(value.known)} was acknowledged"
            told += f", {', '.join(map(_short, value.sent))} sent" if value.sent else ""
            (self.orphans if value.known is None else self.lost).append(told)
        self.values[kind, name] = Value(found)
        return fine

    def orphan(self, told: str) -> None:
        self.orphans.append(told)


def _between(value: Value, found: Any) -> bool:
    if value.known is None:
        return found is None or found in value.sent
    if found is None:
        return False
    return bool(value.known <= found <= max([value.known, *value.sent]))


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)[:60]
