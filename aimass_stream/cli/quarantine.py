"""`aimass models quarantine`: models that are code, and what an admin decides on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .given import number
from .tables import amount, bar, moment, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Quarantined, Version

quarantine = typer.Typer(help="Models that are code: what waits for an admin, approve it, reject it.",
                         no_args_is_help=True)

Versioned: TypeAlias = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Which one: fish@2.")]
Reason: TypeAlias = Annotated[str, typer.Option(help="Why; its owner and the audit log are told.")]


@quarantine.command("list")
def list_waiting(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List what waits, the longest first, with what it would call."""
    found = asked(url, api_key, no_verify, lambda client: client.models.quarantine())
    if as_json:
        print_json(found)
        return
    table(("Version", "Format", "Size", "Sent", "By", "What it would do"), [
        (each.version.model, each.version.format, amount(each.version.size), moment(each.version.created),
         _who(each), each.version.reason) for each in found], "Nothing waits.")


@quarantine.command()
def approve(name: Versioned, reason: Reason,
            wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is tried.")] = True, url: Url = URL,
            api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Have somebody else's code tried in its cell, where it runs from then on."""
    model, which = _version(name)

    async def work(client: Client) -> Version:
        version = await client.models.approve(model, which, reason)
        if not wait:
            return version
        with bar(quiet=as_json, bytes=False) as told:
            return await client.models.checked(model, which, lambda seen: told(
                seen.message or "checking", round(1000 * (seen.progress or 0)), 1000))

    version = asked(url, api_key, no_verify, work)
    _say(version, as_json)
    raise typer.Exit(int(version.state not in ("ready", "checking")))


@quarantine.command()
def reject(name: Versioned, reason: Reason, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Refuse it; its owner reads why."""
    model, which = _version(name)
    _say(asked(url, api_key, no_verify, lambda client: client.models.reject(model, which, reason)), as_json)


def _version(name: str) -> tuple[str, int]:
    model, _, which = name.partition("@")
    return model, number(which)


def _who(waiting: Quarantined) -> str:
    who = waiting.creator_name or waiting.owner_name or waiting.creator or waiting.owner
    return f"{who} (you)" if waiting.own and who else "you" if waiting.own else who


def _say(version: Version, as_json: bool) -> None:
    if as_json:
        print_json(version)
    else:
        typer.echo(f"{version.model} is {version.state}" + (f": {version.reason}" if version.reason else "."))
