"""A part of the report: how it is measured, and how its figures are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..aims import Aim

Result = dict[str, Any]
Plot = tuple[str, str]  # file name, caption
NONE = "–"


def no_plots(result: Result, folder: Path) -> list[Plot]:
    return []


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    minutes: float  # about, of a full run
    run: Callable[[bool], Result]  # quick -> figures, as JSON
    tell: Callable[[Result], str]  # Markdown
    aims: Callable[[Result], Sequence[Aim]]
    plots: Callable[[Result, Path], list[Plot]] = field(default=no_plots)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.0f}"


def percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"
