"""`aimass teams` and `aimass audit`: who shares what, and who did what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .given import Quotas, quotas_of, sure
from .tables import moment, plain, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Team

teams = typer.Typer(help="Teams share models, apps, keys and quotas: list, create, change, add, remove, delete.",
                    no_args_is_help=True)

DAY = 86400.0  # s

Id: TypeAlias = Annotated[str, typer.Argument(metavar="TEAM", help="Its name or its id.",
                                               autocompletion=completing.teams)]
User: TypeAlias = Annotated[str, typer.Argument(help="Somebody's name or id.", autocompletion=completing.users)]


@teams.command("list")
def list_teams(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List the teams that one is in; all, for an admin."""
    found = asked(url, api_key, no_verify, lambda client: client.teams.find())
    if as_json:
        print_json(found)
        return
    table(("Name", "Title", "Members", "Id"), [
        (each.name, each.title, _members(each), each.id) for each in found], "No teams. Make one: aimass teams create")


@teams.command()
def create(name: Annotated[str, typer.Argument(help="Letters, digits and . _ - + @.")],
           title: Annotated[str, typer.Option(help="What people call it.")] = "", url: Url = URL, api_key: Key = None,
           no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Make a team, and own it."""
    _say(asked(url, api_key, no_verify, lambda client: client.teams.create(name, title=title)), as_json)


@teams.command()
def change(team: Id, title: Annotated[str | None, typer.Option(help="What people call it.")] = None,
           quota: Quotas = None, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Change what a team is called; for admins also how much it may use, requests= takes a quota back."""
    quotas = quotas_of(quota) if quota else None

    async def work(client: Client) -> Team:
        return await client.teams.change((await _team(client, team)).id, title=title, quotas=quotas)

    _say(asked(url, api_key, no_verify, work), as_json)


@teams.command()
def add(team: Id, user: User, owner: Annotated[bool, typer.Option("--owner", help="Who may change the team.")] = False,
        url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Take somebody into a team, or give them another role in it."""
    async def work(client: Client) -> Team:
        return await client.teams.put((await _team(client, team)).id, user, "owner" if owner else "member")

    _say(asked(url, api_key, no_verify, work), as_json)


@teams.command()
def remove(team: Id, user: User, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Send somebody away, or leave. Keys that they made for the team are revoked."""
    async def work(client: Client) -> Team:
        found = await _team(client, team)
        who = next((each.user for each in found.members if each.name == user.casefold()), user)
        return await client.teams.remove(found.id, who)

    _say(asked(url, api_key, no_verify, work), as_json)


@teams.command()
def delete(team: Id, yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False, url: Url = URL,
           api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """End a team. Its keys are revoked."""
    sure(yes, f"End the team {team}, and revoke its keys?")

    async def work(client: Client) -> None:
        await client.teams.delete((await _team(client, team)).id)

    asked(url, api_key, no_verify, work)
    say(as_json, f"{team} is no more.", deleted=team)


def audit(
    words: Annotated[str, typer.Argument(help="That are all in the entry.")] = "",
    who: Annotated[str | None, typer.Option(help="A user's id.")] = None,
    what: Annotated[str | None, typer.Option(help="key.revoked, or a beginning: key. .")] = None,
    object: Annotated[str | None, typer.Option(help="What it was done to: an id.")] = None,
    days: Annotated[float | None, typer.Option(min=0.0001, help="How many, until now.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many entries at most.")] = 50,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Show who did what, when, from where; one's own deeds, for an admin everybody's."""
    since = None if days is None else time.time() - days * DAY
    found = asked(url, api_key, no_verify, lambda client: client.audit.find(
        words, who=who, what=what, object=object, since=since, most=most))
    if as_json:
        print_json(found)
        return
    table(("When", "Who", "From", "What", "To", "Details"), [
        (moment(each.at), each.name or each.who, each.address, each.what, each.object,
         _details(each.details)) for each in found], "No such entries.")


def _details(told: dict[str, Any]) -> str:
    """Without what is empty."""
    return ", ".join(f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
                     for name, value in told.items() if value not in ("", None, []))


async def _team(client: Client, team: str) -> Team:
    if not team.startswith("team_"):
        for each in await client.teams.find() if team else ():
            if each.name == team.casefold():
                return each
    return await client.teams.show(team)


def _say(made: Team, as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        title = f", {made.title}" if made.title else ""
        typer.echo(plain(f"{made.name}{title} ({made.id}): {_members(made) or 'nobody'}"))


def _members(team: Team) -> str:
    return ", ".join(f"{each.name} (owner)" if each.role == "owner" else each.name for each in team.members)
