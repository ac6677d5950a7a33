"""`aimass models rate` and `comments`: what people think of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .tables import moment, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Rating

Name: TypeAlias = Annotated[str, typer.Argument(help="Of the model.", autocompletion=completing.models)]


def add(models: typer.Typer) -> None:
    for command in (rate, comments):
        models.command()(command)


def rate(name: Name, stars: Annotated[int, typer.Argument(min=0, max=5, help="1 to 5; 0 takes it back.")],
         comment: Annotated[str, typer.Option(help="And why.")] = "", url: Url = URL, api_key: Key = None,
         no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Rate a model."""
    async def work(client: Client) -> Rating:
        rating = await client.models.rate(name, stars)
        if comment:
            await client.models.comment(name, comment)
        return rating

    made = asked(url, api_key, no_verify, work)
    if as_json:
        print_json(made)
    elif made.rating is None:
        typer.echo(f"Nobody rates {name}.")
    else:
        typer.echo(f"{name} has {made.rating:.1f} of 5 stars; rated by {made.ratings}.")


def comments(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """Show what people say of a model."""
    found = asked(url, api_key, no_verify, lambda client: client.models.comments(name))
    if as_json:
        print_json(found)
    else:
        table(("When", "Who", "Comment"), [(moment(each.at), each.name, each.text) for each in found],
              "Nobody said anything yet.")
