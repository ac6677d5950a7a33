"""What commands print of records: tables, times, sizes, bars."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import typer

Told: TypeAlias = Callable[[str, int, int], None]  # what, how much of it is done, of how much

UNITS = ("B", "kB", "MB", "GB", "TB")


def plain(text: object) -> str:
    """What people wrote, without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """A row each; `nothing` where there is none. None is shown as a dash."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo(nothing)
        return
    made = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        made.add_row(*(Text("-" if value is None or value == "" else plain(value)) for value in row))
    Console().print(made)


def facts(**told: object) -> None:
    """A line each of what is known."""
    told = {name: value for name, value in told.items() if value not in (None, "", [], {})}
    wide = max(map(len, told), default=0) + 2
    for name, value in told.items():
        typer.echo(f"{name.replace('_', ' ') + ':':{wide}}{plain(value)}")


def moment(at: float | None) -> str:
    return "" if not at else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def amount(count: float) -> str:
    """Bytes for people."""
    for unit in UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {UNITS[-1]}"


@contextmanager
def bar(*, quiet: bool, bytes: bool = True) -> Iterator[Told]:
    """Of progress, on a terminal, beside what is printed; a line of it for each thing that is told of."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    tasks: dict[str, Any] = {}
    columns = (TextColumn("{task.description}", markup=False), BarColumn(),
               DownloadColumn() if bytes else TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(plain(what), total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield told
