"""What commands print of records: tables, times, sizes, bars."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from shutil import get_terminal_size
from typing import Any, TypeAlias
from unicodedata import combining, east_asian_width

import typer

from ..figures import short

Told: TypeAlias = Callable[[str, int, int], None]  # what, how much of it is done, of how much

NARROW = 8  # columns of a terminal that a column of a table keeps
UNITS = ("B", "kB", "MB", "GB", "TB")


def plain(text: object) -> str:
    """What people wrote, without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """A row each; `nothing` where there is none. None is shown as a dash. A terminal gets what fits into it, in several
    lines where need be; a pipe gets a row a line, whole. (rich takes a tenth of a second to load.)"""
    if not rows:
        typer.echo(nothing)
        return
    cells = [[plain(column) for column in columns],
             *(["-" if value is None or value == "" else plain(value) for value in row] for row in rows)]
    widths = _widths([max(map(wide, column)) for column in zip(*cells, strict=True)])
    for number, row in enumerate(cells):
        for line in zip_longest(*(_folded(cell, width) for cell, width in zip(row, widths, strict=True)), fillvalue=""):
            text = "  ".join(f"{part}{' ' * (width - wide(part))}" for part, width in zip(line, widths, strict=True))
            typer.secho(text.rstrip(), bold=number == 0)


def wide(text: str) -> int:
    """Columns of a terminal that it takes: letters of the east take two, marks on letters none."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(each) in "WF" else 0 if combining(each) else 1 for each in text)


def _widths(wanted: list[int]) -> list[int]:
    """What each column gets: the widest give way first."""
    room = get_terminal_size((1 << 20, 24)).columns if sys.stdout.isatty() or "COLUMNS" in os.environ else 1 << 20
    widths = list(wanted)
    over = sum(widths) + 2 * (len(widths) - 1) - room
    while over > 0 and max(widths) > NARROW:
        widest = widths.index(max(widths))
        widths[widest] -= 1
        over -= 1
    return widths


def _folded(text: str, width: int) -> list[str]:
    """Lines that are no wider, broken between words where there are any."""
    if wide(text) <= width:
        return [text]
    lines, line = [], ""
    for word in (piece for each in text.split(" ") for piece in _pieces(each, width)):
        joined = f"{line} {word}" if line else word
        if line and wide(joined) > width:
            lines.append(line)
            joined = word
        line = joined
    return [*lines, line]


def _pieces(word: str, width: int) -> list[str]:
    pieces, piece = [], ""
    for each in word:
        if wide(piece + each) > width:
            pieces.append(piece)
            piece = ""
        piece += each
    return [*pieces, piece]


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
        if count < 999.5:
            return f"{short(count)} {unit}"
        count /= 1000
    return f"{short(count)} {UNITS[-1]}"


@contextmanager
def bar(*, quiet: bool, bytes: bool = True) -> Iterator[Told]:
    """Of progress, on a terminal, beside what is printed; a line of it for each thing that is told of."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    tasks: dict[str, Any] = {}
    columns = (TextColumn("{task.description}", markup=False), BarColumn(),
               DownloadColumn() if bytes else TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(plain(what), total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield told
