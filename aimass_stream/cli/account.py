"""`aimass account`: what is one's own on a server."""

from __future__ import annotations

from typing import Annotated

import typer

from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .given import secret, sure
from .tables import facts, moment, table

account = typer.Typer(help="One's own account: show, limits, change, password, sign-ins, export, erase.",
                      no_args_is_help=True)

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read passwords there, a line each.")]


@account.command()
def show(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Say who one is there, and what one may do."""
    me = asked(url, api_key, no_verify, lambda client: client.account.show())
    if as_json:
        print_json(me)
        return
    facts(Name=me.user.name if me.user is not None else me.name, Title=me.user.title if me.user is not None else "",
          Id=me.user.id if me.user is not None else "", Role=me.role, May=" ".join(me.scopes),
          For_the_team=me.team, Teams=", ".join(f"{each.name} ({each.role})" for each in me.teams), Server=url)


@account.command()
def limits(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show how much one may use of each kind, and has used."""
    found = asked(url, api_key, no_verify, lambda client: client.account.limits())
    if as_json:
        print_json(found)
        return
    table(("What", "Used", "Of"), [
        (name.replace("_", " "), each.used, "any number" if each.limit is None else each.limit)
        for name, each in found.items()], "Nothing is counted here.")


@account.command()
def change(title: Annotated[str, typer.Option(help="What people call you.")], url: Url = URL, api_key: Key = None,
           no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Change what people call you."""
    made = asked(url, api_key, no_verify, lambda client: client.account.change(title=title))
    if as_json:
        print_json(made)
    else:
        facts(Name=made.name, Title=made.title)


@account.command()
def password(from_stdin: FromStdin = False, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
             as_json: AsJson = False) -> None:
    """Set another password. Browsers are signed out; keys stay."""
    old, new = secret("Password", from_stdin), secret("A new password", from_stdin, again=True)
    asked(url, api_key, no_verify, lambda client: client.account.set_password(old, new))
    say(as_json, "The password is set.", set="password")


@account.command("sign-ins")
def sign_ins(end: Annotated[str, typer.Option(help="Sign out there: one of the ids.")] = "", url: Url = URL,
             api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List the browsers where one is signed in."""
    if end:
        asked(url, api_key, no_verify, lambda client: client.account.end_sign_in(end))
    found = asked(url, api_key, no_verify, lambda client: client.account.sign_ins())
    if as_json:
        print_json(found)
        return
    table(("Id", "From", "Browser", "Since", "Until"), [
        (each.id, each.address, each.agent, moment(each.created), moment(each.expires)) for each in found],
        "No browser is signed in.")


@account.command()
def export(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = True) -> None:
    """Print all that the server keeps of one, as JSON in any case; no secrets are in it."""
    print_json(asked(url, api_key, no_verify, lambda client: client.account.export()))


@account.command()
def erase(yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False, from_stdin: FromStdin = False,
          url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Erase one's account with all that is one's own. There is no way back."""
    sure(yes, "Erase your account with all that is yours?")
    password = secret("Password", from_stdin)
    asked(url, api_key, no_verify, lambda client: client.account.erase(password))
    say(as_json, f"Your account at {url} is erased.", erased=url)
