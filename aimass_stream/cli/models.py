"""`aimass models`: trained weights, which there are and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import AsJson, print_json

if TYPE_CHECKING:
    from ..settings import Settings
    from ..weights import Weights

ACTIONS = ("list", "pull", "show", "remove")


def models(
    action: Annotated[str, typer.Argument(help="list, pull, show or remove.",
                                          autocompletion=lambda: list(ACTIONS))] = "list",
    name: Annotated[str, typer.Argument(help="Which weights.")] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Where they are put: its folder models.")] = None,
    hub: Annotated[str | None, typer.Option(help="Where they come from.")] = None,
    as_json: AsJson = False,
) -> None:
    """List trained weights, fetch them (a broken download goes on where it ended), show their card."""
    from .. import weights
    from .launch import settings_of

    if action not in ACTIONS:
        raise typer.BadParameter(f"it is one of {', '.join(ACTIONS)}", param_hint="ACTION")
    if action != "list" and not name:
        raise typer.BadParameter("which one? `aimass models` lists them", param_hint="NAME")
    given = {"data_dir": data_dir, "hub": hub}
    settings = settings_of({key: value for key, value in given.items() if value is not None})
    if action == "list":
        _list(settings, as_json)
    elif action == "pull":
        _pull(weights.checked(name), settings)
    elif action == "show":
        _show(weights.get(name), settings, as_json)
    else:
        weights.remove(weights.get(name), weights.folder_of(settings))
        typer.echo(f"{name} is removed.")


def _list(settings: Settings, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from .. import weights

    folder = weights.folder_of(settings)
    known = [_card(each, weights.state(each, folder)) for each in weights.catalogue().values()]
    if as_json:
        print_json(known)
        return
    whole = Column("Name", no_wrap=True, min_width=max(len(each["name"]) for each in known))  # it has to be typed
    table = Table(whole, "For", "Languages", "Size", "State", "Licence", "What it is", box=None, pad_edge=False)
    for each in known:
        state = each["state"] if each["usable"] or each["state"] == "ready" else f"needs {each['needs']}"
        table.add_row(each["name"], each["for"], ", ".join(each["languages"]).replace("*", "many"),
                      _size(each["bytes"]), state, each["licence"], each["title"])
    Console().print(table)


def _card(each: Weights, state: str) -> dict[str, Any]:
    return {"name": each.name, "title": each.title, "for": each.purpose, "languages": list(each.languages),
            "bytes": each.size, "state": state, "licence": each.licence, "source": each.source,
            "description": each.description, "usable": each.usable, "needs": each.needs, "default": each.default}


def _size(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _show(each: Weights, settings: Settings, as_json: bool) -> None:
    from .. import weights

    folder = weights.folder_of(settings)
    card = _card(each, weights.state(each, folder)) | {"files": [file.json() for file in each.files]}
    if as_json:
        print_json(card)
        return
    manifest = folder / each.name / "model.toml"
    if manifest.is_file():
        typer.echo(f"# {manifest}\n{manifest.read_text(encoding='utf-8')}")
        return
    for key, value in card.items():
        if key != "files":
            typer.echo(f"{key + ':':13}{', '.join(value) if isinstance(value, list) else value}")
    for file in each.files:
        typer.echo(f"  {file.path}  {_size(file.size)}  SHA-256 {file.sha256 or 'told by the hub when it is fetched'}")


def _pull(each: Weights, settings: Settings) -> None:
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
