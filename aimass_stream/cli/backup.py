"""`aimass backup` and `aimass restore`: all that a server keeps, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from .common import AsJson, print_json

if TYPE_CHECKING:
    from ..settings import Settings
    from ..store.backup import Kept, Told

File: TypeAlias = Annotated[Path, typer.Argument(help="The backup, a tar file.")]
DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="The server's folder.")]


def backup(file: File, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Write all that a server keeps into one file, also while it runs: databases, blobs, models, certificates."""
    from ..store.backup import back_up

    settings = _settings(data_dir)
    with _bar(quiet=as_json) as told:
        kept = back_up(settings, file, told)
    _say(kept, f"{file} has", as_json)
    if settings.blobs and not as_json:
        typer.echo("Files in the object store are not in it.")
    if kept.elsewhere and not as_json:
        typer.echo("The database is PostgreSQL and not in it: take it with pg_dump, after this.")


def restore(
    file: File, data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Move aside what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put back what `aimass backup` wrote. Everything is checked before anything is changed."""
    from ..store.backup import restore

    settings = _settings(data_dir)
    with _bar(quiet=as_json) as told:
        kept = restore(settings, file, told, force=force)
    _say(kept, f"Restored to {settings.data_dir}:", as_json)
    if kept.elsewhere and not as_json:
        typer.echo("The database was PostgreSQL and is not in it: bring it back with pg_restore.")


def _settings(data_dir: Path | None) -> Settings:
    from .launch import settings_of

    return settings_of({} if data_dir is None else {"data_dir": data_dir})


def _say(kept: Kept, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"files": kept.files, "bytes": kept.size, "databases": list(kept.databases),
                    "missing": kept.missing, "postgresql": kept.elsewhere})
    else:
        more = f"; {kept.missing} went meanwhile" if kept.missing else ""
        typer.echo(f"{what} {kept.files} files, {kept.size / 1e6:.1f} MB{more}.")


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield told
