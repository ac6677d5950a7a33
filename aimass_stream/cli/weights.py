"""`aimass models weights`, `pull` and `remove`: trained weights on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from .common import AsJson, print_json

if TYPE_CHECKING:
    from ..settings import Settings
    from ..weights import Weights

WIDE = 120  # columns of a terminal in which licence and title have room, too

DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="Where they are put: its folder models.")]
Hub: TypeAlias = Annotated[str | None, typer.Option(help="Where they come from.")]
Name: TypeAlias = Annotated[str, typer.Argument(help="Which weights; `aimass models weights` lists them.")]


def weights(
    name: Annotated[str, typer.Argument(help="Show one alone, with its files.")] = "",
    data_dir: DataDir = None, as_json: AsJson = False,
) -> None:
    """List what is installed on this machine and what can be fetched to it; no server is asked."""
    if name:
        _show(name, _settings(data_dir), as_json)
    else:
        _list(_settings(data_dir), as_json)


def fetch(name: Name, data_dir: DataDir = None, hub: Hub = None) -> None:
    """Fetch trained weights to this machine; a broken download goes on where it ended."""
    from .. import weights

    pull(weights.checked(name), _settings(data_dir, hub))


def remove(name: Name, data_dir: DataDir = None) -> None:
    """Remove fetched weights from this machine."""
    from .. import weights

    weights.remove(weights.get(name), weights.folder_of(_settings(data_dir)))
    typer.echo(f"{name} is removed.")


def _settings(data_dir: Path | None, hub: str | None = None) -> Settings:
    from .launch import settings_of

    given = {"data_dir": data_dir, "hub": hub}
    return settings_of({key: value for key, value in given.items() if value is not None})


def _list(settings: Settings, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from .. import weights

    folder = weights.folder_of(settings)
    known = [_card(each, weights.state(each, folder)) for each in weights.catalogue().values()]
    own = _own(settings, {each["name"] for each in known})
    if as_json:
        print_json([*known, *own])
        return
    console = Console()
    wide = console.width >= WIDE
    table = Table(*(Column(name, no_wrap=True) for name in ("Name", "For", "Languages", "Size", "State")),
                  *(("Licence", "What it is") if wide else ()), box=None, pad_edge=False)
    for each in known:
        more = (each["licence"], each["title"]) if wide else ()
        table.add_row(each["name"], each["for"], ", ".join(each["languages"]).replace("*", "many"),
                      _size(weights.get(each["name"])), _state(each), *more)
    console.print(table)
    console.print("\nInstalled beside these:")
    there = Table(*(Column(name, no_wrap=True) for name in ("Name", "For", "State")), "What it is", box=None,
                  pad_edge=False)
    for each in own:
        there.add_row(each["name"], each["for"], _state(each), each["title"])
    console.print(there)
    typer.echo(f"\n{_hears(settings)}\nMore about one: aimass models weights NAME")


def _own(settings: Settings, listed: set[str]) -> list[dict[str, Any]]:
    """Styles, detectors and all else that came with the package or was put into a folder of models."""
    from ..inference import installed
    from ..weights import folder_of, npm

    installed().add(*settings.model_dirs, folder_of(settings))
    found = []
    for entry in installed().entries():
        there = entry.npm is None or npm.installed(entry.npm.package)
        needs = "" if there or entry.npm is None else f"npm {entry.npm.package}"
        if entry.name not in listed:
            found.append({"name": entry.name, "title": entry.title or entry.name, "for": entry.task, "languages": [],
                          "bytes": sum(file.size for file in entry.files), "state": "ready" if there else "absent",
                          "licence": entry.licence, "source": ", ".join(entry.sources),
                          "description": entry.description, "usable": there, "needs": needs, "default": False})
    return found


def _state(card: dict[str, Any]) -> str:
    return str(card["state"]) if card["usable"] or card["state"] == "ready" else f"needs {card['needs']}"


def _hears(settings: Settings) -> str:
    """Which one is heard with, and why."""
    from ..errors import AimassError
    from ..hearing.recognizers import chosen, named
    from ..inference import installed
    from ..weights import folder_of

    installed().add(*settings.model_dirs, folder_of(settings))
    try:
        choice = chosen(settings)
    except AimassError as error:
        return f"Nothing hears here: {error.detail}"
    return f"Hears now: {named(choice.engine, choice.model)}; {choice.reason}."


def _card(each: Weights, state: str) -> dict[str, Any]:
    return {"name": each.name, "title": each.title, "for": each.purpose, "languages": list(each.languages),
            "bytes": each.size, "state": state, "licence": each.licence, "source": each.source,
            "description": each.description, "usable": each.usable, "needs": each.needs, "default": each.default}


def _size(each: Weights) -> str:
    """As far as it is known: hubs tell the rest when it is fetched."""
    known = sum(file.size or 0 for file in each.files)
    if not known:
        return "?"
    return ("" if each.size is not None else "over ") + _amount(known)


def _amount(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if 1e6 <= count < 1e9 else f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count} B"


def _show(name: str, settings: Settings, as_json: bool) -> None:
    from .. import weights
    from ..inference import installed

    folder = weights.folder_of(settings)
    store = installed()
    store.add(*settings.model_dirs, folder)
    if name not in weights.catalogue() and name in store.names() and not as_json:  # it came with the package
        _print_file(store.get(name).folder / "model.toml")
        return
    each = weights.get(name)
    card = _card(each, weights.state(each, folder)) | {"files": [file.json() for file in each.files]}
    if as_json:
        print_json(card)
        return
    manifest = folder / each.name / "model.toml"
    if manifest.is_file():
        _print_file(manifest)
        return
    state = card["state"] if each.usable else f"needs {each.needs}, which is not here: {each.how}"
    for label, value in (("Name", each.name), ("What it is", each.title), ("For", each.purpose),
                         ("Languages", ", ".join(each.languages).replace("*", "many")), ("Size", _size(each)),
                         ("State", state), ("Licence", each.licence), ("From", each.source),
                         ("First start", "fetches it" if each.default else "doesn't fetch it")):
        typer.echo(f"{label + ':':13}{value}")
    typer.echo(f"\n{each.description}\n")
    for file in each.files:
        size = "?" if file.size is None else _amount(file.size)
        typer.echo(f"  {file.path}  {size}  SHA-256 {file.sha256 or 'told by the hub when it is fetched'}")


def _print_file(manifest: Path) -> None:
    typer.echo(f"# {manifest}\n{manifest.read_text(encoding='utf-8')}")


def pull(each: Weights, settings: Settings) -> None:
    """Fetch them with a bar of progress. Raises what `weights.pull` raises; ends the command on Ctrl-C."""
    import asyncio

    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from .. import weights

    folder = weights.folder_of(settings)
    if weights.state(each, folder) == "ready":
        typer.echo(f"{each.name} is here already: {folder / each.name}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())
    try:
        with Progress(*columns) as bar:
            task = bar.add_task(each.name, total=each.size)

            def told(done: int, total: int | None) -> None:
                bar.update(task, completed=done, total=total)

            target = asyncio.run(weights.pull(each, folder, weights.Hub(settings.hub), told))
    except KeyboardInterrupt:
        typer.echo("Stopped. What has arrived is kept: the next pull goes on there.", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{each.name} is in {target}")
