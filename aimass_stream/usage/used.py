"""What the ledger is asked and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .meter import Sum, What

By: TypeAlias = Literal["total", "key", "app", "model", "time"]
Span: TypeAlias = Literal["hour", "day"]

SPANS: dict[Span, int] = {"hour": 3600, "day": 86400}  # s


@dataclass(slots=True)
class Used:
    """What was used of one thing: a key, an app, a model, all of them, or anything in one span."""

    value: str
    sums: dict[What, Sum] = field(default_factory=dict)
