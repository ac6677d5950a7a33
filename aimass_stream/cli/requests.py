"""`aimass requests`: what people ask the operator for, and the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .tables import facts, moment, table

if TYPE_CHECKING:
    from ..client.records import Asked

requests = typer.Typer(help="Ask whoever runs a server for a model or for more of a quota: ask, list, show, withdraw; "
                            "for admins grant, decline.", no_args_is_help=True)

Id: TypeAlias = Annotated[str, typer.Argument(metavar="REQUEST", help="Its id; `aimass requests list` has it.",
                                               autocompletion=completing.requests)]
KINDS, STATES = ("model", "quota", "other"), ("open", "granted", "declined")


@requests.command()
def ask(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.",
                                        autocompletion=lambda: list(KINDS))],
    subject: Annotated[str, typer.Argument(help="In a line: what is wanted.")],
    text: Annotated[str, typer.Option(help="And more about it.")] = "",
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Ask for something."""
    _say(asked(url, api_key, no_verify, lambda client: client.requests.ask(kind, subject, text)), as_json)


@requests.command("list")
def list_requests(
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATES)}.",
                                              autocompletion=lambda: list(STATES))] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="All there are, for admins.")] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List what one has asked for, the newest first."""
    found = asked(url, api_key, no_verify, lambda client: client.requests.find(state=state, everybody=everybody))
    if as_json:
        print_json(found)
        return
    table(("Id", "Kind", "What for", "Who", "State", "Asked", "Answer"), [
        (each.id, each.kind, each.subject, each.user_name or each.user, each.state, moment(each.created), each.answer)
        for each in found], "Nothing was asked for. Ask: aimass requests ask model 'One that reads number plates'")


@requests.command()
def show(request: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
         ) -> None:
    """Show a request and its answer."""
    _say(asked(url, api_key, no_verify, lambda client: client.requests.show(request)), as_json)


@requests.command()
def withdraw(request: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """Take back a request that nobody has answered."""
    asked(url, api_key, no_verify, lambda client: client.requests.withdraw(request))
    say(as_json, f"{request} is withdrawn.", deleted=request)


@requests.command()
def grant(request: Id, answer: Annotated[str, typer.Option(help="For whoever asked.")] = "", url: Url = URL,
          api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Grant a request, and then do what was asked for: aimass users quota, aimass models upload, ..."""
    _say(asked(url, api_key, no_verify, lambda client: client.requests.answer(request, granted=True, answer=answer)),
         as_json)


@requests.command()
def decline(request: Id, answer: Annotated[str, typer.Option(help="Why, for whoever asked.")], url: Url = URL,
            api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Decline a request."""
    _say(asked(url, api_key, no_verify, lambda client: client.requests.answer(request, granted=False, answer=answer)),
         as_json)


def _say(made: Asked, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    facts(Request=made.id, Kind=made.kind, What_for=made.subject, More=made.text, Who=made.user, State=made.state,
          Asked=moment(made.created), Answer=made.answer, Answered=moment(made.answered))
