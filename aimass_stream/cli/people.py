"""`aimass keys` and `aimass users`: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .given import quotas_of, sure
from .tables import facts, moment, table

if TYPE_CHECKING:
    from ..client import Client, records

keys = typer.Typer(help="API keys: list, create, revoke.", no_args_is_help=True)
users = typer.Typer(help="Everybody's accounts, for admins: list, create, role, disable, enable, link, delete.",
                    no_args_is_help=True)

DAY = 86400.0  # s

Quotas: TypeAlias = Annotated[list[str] | None, typer.Option(
    "--quota", metavar="NAME=COUNT", help="requests, sessions, session_minutes, upload_bytes, concurrent_sessions.")]
Name: TypeAlias = Annotated[str, typer.Argument(help="To sign in with.")]
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
    table(("Id", "Begins with", "Title", "State", "Last used", "Scopes"), [
        (each.id, each.prefix, each.title, _state(each), moment(each.used), " ".join(each.scopes)) for each in found],
        "No keys. Make one: aimass keys create")


@keys.command("create")
def create_key(
    title: Annotated[str, typer.Argument(help="What it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What it may do, of what its maker may; may be "
                                                    "said several times. Without it: all.")] = None,
    team: Annotated[str, typer.Option(help="A team's id: the key is the team's.")] = "",
    days: Annotated[float | None, typer.Option(min=0.0001, help="How long it is good for.")] = None,
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


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="Its id, or what it begins with.")], url: Url = URL,
               api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Revoke a key: what it has opened ends at once."""
    async def work(client: Client) -> records.Key:
        found = [key] if key.startswith("key_") else [
            each.id for each in await client.keys.find() if key.startswith(each.prefix)]
        return await client.keys.revoke(found[0] if found else key)

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
    given = quotas_of(quotas)
    _say(asked(url, api_key, no_verify, lambda client: client.users.change(name, quotas=given)), as_json)


@users.command()
def link(name: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """A new token for who has lost the password or the invitation."""
    _invited(asked(url, api_key, no_verify, lambda client: client.users.link(name)), url, as_json)


@users.command()
def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False, url: Url = URL,
           api_key: Key = None, no_verify: NoVerify = False) -> None:
    """Erase an account with all that is its own."""
    sure(yes, f"Erase {name} with all that is theirs?")
    asked(url, api_key, no_verify, lambda client: client.users.delete(name))
    typer.echo(f"{name} is erased.")


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
    facts(Name=made.name, Title=made.title, Role=made.role, State=made.state,
          Quotas=", ".join(f"{name} {count}" for name, count in made.quotas.items()))


def _state(key: records.Key) -> str:
    if key.revoked:
        return f"revoked {moment(key.revoked)}"
    return f"until {moment(key.expires)}" if key.expires else "good"
