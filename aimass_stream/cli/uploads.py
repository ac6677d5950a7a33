"""`aimass models uploads` and `tags`."""

from __future__ import annotations

from typing import Annotated

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .tables import amount, moment, table


def add(models: typer.Typer) -> None:
    """These commands among those of models."""
    for command in (uploads, tags):
        models.command()(command)


def uploads(
    forget: Annotated[str | None, typer.Option(metavar="UPLOAD", help="Throw away the one with this id.",
                                               autocompletion=completing.uploads)] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List files of one's own that were sent, whole or in part, and are no version's yet."""
    if forget is not None:
        asked(url, api_key, no_verify, lambda client: client.uploads.delete(forget))
        say(as_json, f"{forget} is thrown away.", deleted=forget)
        return
    found = asked(url, api_key, no_verify, lambda client: client.uploads.find())
    if as_json:
        print_json(found)
        return
    table(("Id", "File", "Here", "Of", "Begun", "Kept until"), [
        (each.id, each.name, amount(each.offset), amount(each.size), moment(each.created), moment(each.expires))
        for each in found], "No uploads.")


def tags(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List the tags that models have, the most used first."""
    found = asked(url, api_key, no_verify, lambda client: client.models.tags())
    if as_json:
        print_json(found)
    else:
        table(("Tag", "Models"), list(found.items()), "No tags.")
