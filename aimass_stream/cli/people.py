"""`aimass keys` and `aimass users`: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .given import Quotas, quotas_of, sure
from .tables import facts, moment, table

if TYPE_CHECKING:
    from ..client import Client, records

keys = typer.Typer(help="API keys: list, show, create, change, revoke.", no_args_is_help=True)
users = typer.Typer(help="Everybody's accounts, for admins: list, show, create, role, quota, disable, enable, link, "
                         "export, delete.", no_args_is_help=True)

DAY = 86400.0  # s
LONGEST = 3653  # days that a server has a key be good for

Name: TypeAlias = Annotated[str, typer.Argument(help="To sign in with.", autocompletion=completing.users)]
Which: TypeAlias = Annotated[str, typer.Argument(metavar="KEY", help="Its id, or what it begins with.",
                                               autocompletion=completing.keys)]
Role: TypeAlias = Annotated[str, typer.Argument(help="user, developer, reviewer or admin.",
                                                autocompletion=lambda: ["user", "developer", "reviewer", "admin"])]


@keys.command("list")
def list_keys(team: Annotated[str | None, typer.Option(help="Those of a team, by its id.")] = None, url: Url = URL,
              api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List one's keys and those of one's teams; all, for an admin."""
    found = asked(url, api_key, no_verify, lambda client: client.keys.find(team=team))
    if as_json:
        print_json(found)
        return
    several = len({each.user for each in found}) > 1  # an admin's list has everybody's
    table(("Id", "Begins with", "Title", *(["Whose"] if several else []), "State", "Last used", "Scopes"), [
        (each.id, each.prefix, each.title, *([each.user_name or each.user or "the server's"] if several else []),
         _state(each), moment(each.used), " ".join(each.scopes)) for each in found],
        "No keys. Make one: aimass keys create")


@keys.command("create")
def create_key(
    title: Annotated[str, typer.Argument(help="What it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What it may do, of what its maker may; may be "
                                                    "said several times. Without it: all.")] = None,
    team: Annotated[str, typer.Option(help="A team's id: the key is the team's.")] = "",
    days: Annotated[float | None, typer.Option(min=0.0001, max=LONGEST, help="How long it is good for.")] = None,
    quota: Quotas = None, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Make a key and print it, which is done only once."""
    quotas = quotas_of(quota or [])
    made = asked(url, api_key, no_verify, lambda client: client.keys.create(
        title, scopes=scope, team=team, seconds=None if days is None else days * DAY, quotas=quotas))
    if as_json:
        print_json(made)
    else:
        typer.echo(made.key)
        typer.echo(f"This is shown once. Revoke it: aimass keys revoke {made.id}", err=True)


@keys.command("show")
def show_key(key: Which, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """Show what a key may do, and when it was used last."""
    async def work(client: Client) -> records.Key:
        return await client.keys.show(await _id(client, key))

    _say_key(asked(url, api_key, no_verify, work), as_json)


@keys.command("change")
def change_key(key: Which, title: Annotated[str | None, typer.Option(help="What it is for.")] = None,
               quota: Quotas = None, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
               as_json: AsJson = False) -> None:
    """Change the title of a key, or how much can be done with it; requests= takes a quota back."""
    quotas = quotas_of(quota) if quota else None

    async def work(client: Client) -> records.Key:
        return await client.keys.change(await _id(client, key), title=title, quotas=quotas)

    _say_key(asked(url, api_key, no_verify, work), as_json)


@keys.command("revoke")
def revoke_key(key: Which, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
               ) -> None:
    """Revoke a key: what it has opened ends at once."""
    async def work(client: Client) -> records.Key:
        return await client.keys.revoke(await _id(client, key))

    made = asked(url, api_key, no_verify, work)
    if as_json:
        print_json(made)
    else:
        typer.echo(f"{made.prefix} is revoked.")


@users.command("list")
def list_users(words: Annotated[str, typer.Argument(help="Part of a name or title.")] = "", url: Url = URL,
               api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List the accounts of a server."""
    found = asked(url, api_key, no_verify, lambda client: client.users.find(words))
    if as_json:
        print_json(found)
        return
    table(("Name", "Title", "Role", "State", "Made", "Last signed in", "Id"), [
        (each.name, each.title, each.role, each.state, moment(each.created), moment(each.seen), each.id)
        for each in found], "No accounts.")


@users.command("show")
def show_user(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
              ) -> None:
    """Show somebody's account."""
    _say(asked(url, api_key, no_verify, lambda client: client.users.show(name)), as_json)


@users.command("export")
def export_user(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = True
                ) -> None:
    """Print all that the server keeps of somebody, as JSON in any case; no secrets are in it."""
    print_json(asked(url, api_key, no_verify, lambda client: client.users.export(name)))


@users.command("create")
def create_user(name: Name, role: Annotated[str, typer.Option(help="user, developer, reviewer or admin.")] = "user",
                title: Annotated[str, typer.Option(help="What people call them.")] = "", url: Url = URL,
                api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Invite somebody, who sets the password with the token that is printed."""
    made = asked(url, api_key, no_verify, lambda client: client.users.create(name, role=role, title=title))
    _invited(made, url, as_json)


@users.command()
def role(name: Name, role: Role, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
         as_json: AsJson = False) -> None:
    """Give somebody a role."""
    _say(asked(url, api_key, no_verify, lambda client: client.users.change(name, role=role)), as_json)


@users.command()
def disable(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
            ) -> None:
    """Keep somebody out: they are signed out, and what they have opened ends."""
    _say(asked(url, api_key, no_verify, lambda client: client.users.change(name, state="disabled")), as_json)


@users.command()
def enable(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
           ) -> None:
    """Let somebody in again."""
    _say(asked(url, api_key, no_verify, lambda client: client.users.change(name, state="active")), as_json)


@users.command()
def quota(name: Name, quotas: Annotated[list[str], typer.Argument(metavar="NAME=COUNT...")], url: Url = URL,
          api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Say how much somebody may use: requests=100 session_minutes= (the latter as usual again)."""
    given = quotas_of(quotas, "NAME=COUNT")
    _say(asked(url, api_key, no_verify, lambda client: client.users.change(name, quotas=given)), as_json)


@users.command()
def link(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """A new token for who has lost the password or the invitation."""
    _invited(asked(url, api_key, no_verify, lambda client: client.users.link(name)), url, as_json)


@users.command()
def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False, url: Url = URL,
           api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Erase an account with all that is its own."""
    sure(yes, f"Erase {name} with all that is theirs?")
    asked(url, api_key, no_verify, lambda client: client.users.delete(name))
    say(as_json, f"{name} is erased.", erased=name)


def _invited(made: records.User, url: str, as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        typer.echo(made.token)
        typer.echo(f"This is shown once. {made.name} signs in with: aimass login --server {url} --token TOKEN",
                   err=True)


def _say(made: records.User, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    facts(Name=made.name, Title=made.title, Id=made.id, Role=made.role, State=made.state, Made=moment(made.created),
          Last_signed_in=moment(made.seen), Quotas=_counts(made.quotas))


async def _id(client: Client, key: str) -> str:
    """Of a key that is named by its id or its beginning."""
    found = [key] if not key or key.startswith("key_") else [
        each.id for each in await client.keys.find() if key.startswith(each.prefix)]
    return found[0] if found else key


def _say_key(made: records.Key, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    facts(Key=made.prefix, Id=made.id, Title=made.title, State=_state(made), May=" ".join(made.scopes),
          Of=made.team or made.user, Quotas=_counts(made.quotas), Made=moment(made.created), Used=moment(made.used))


def _counts(quotas: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in quotas.items())


def _state(key: records.Key) -> str:
    if key.revoked:
        return f"revoked {moment(key.revoked)}"
    return f"until {moment(key.expires)}" if key.expires else "good"
