"""What the ledger is asked and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .meter import Sum, What

By: TypeAlias = Literal["total", "key", "app", "model", "time"]
Span: TypeAlias = Literal["hour", "day"]

Kept: TypeAlias = Span | Literal["stretch"]  # 16 days in one: a year is read as some forty rows and not as 365

SPANS: dict[Kept, int] = {"hour": 3600, "day": 86400, "stretch": 16 * 86400}  # s


@dataclass(slots=True)
class Used:
    """What was used of one thing: a key, an app, a model, all of them, or anything in one span."""

    value: str
    sums: dict[What, Sum] = field(default_factory=dict)
