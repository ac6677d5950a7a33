"""`aimass login` and `aimass logout`: a server and a key for it, kept for the commands that follow."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from . import logins
from .common import URL, AsJson, NoVerify, Url, asked, say
from .given import secret

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Key, Me


def login(
    url: Url = URL,
    api_key: Annotated[str | None, typer.Option("--key", "--api-key", help="A key that is there already.")] = None,
    name: Annotated[str, typer.Option(help="Sign in as; a key is made for this machine.")] = "",
    token: Annotated[str, typer.Option(help="Of an invitation, or of the link that the server printed for its first "
                                       "admin; the whole link will do.")] = "",
    new: Annotated[bool, typer.Option("--new", help="Make an account, where the server lets people.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password there.")] = False,
    no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Sign in to a server, for the commands that follow. The key is kept in a file that nobody else may read."""
    url, token = _meant(url, token)
    if not (api_key or name or token or new) and _open(url, no_verify):
        logins.remember(url, None, None)
        say(as_json, f"{url} asks nobody for a key. It is what commands talk to from now on.", server=url, name=None)
        return
    if not api_key and not name and (new or not token or token.startswith("adm_")):
        name = typer.prompt("Name")
    chosen = new or bool(token)
    password = "" if api_key else secret("A password" if chosen else "Password", password_stdin, again=chosen)

    async def work(client: Client) -> tuple[Me, Key | None]:
        key = None
        if not api_key:
            key = await client.account.sign_in(name, password, token=token, new=new,
                                               key_title=f"aimass on {platform.node()}"[:64])
        return await client.account.show(), key

    lost = bool(token) and not token.startswith("adm_")
    me, key = asked(url, api_key, no_verify, work,
                    unknown="An admin makes a new one: aimass users link NAME" if lost else "")
    place = logins.remember(url, key.key if key is not None else api_key, key.id if key is not None else None)
    who = me.user.name if me.user is not None else me.name
    say(as_json, f"{who}, {me.role} at {url}. The key is in {place}.", server=url, name=who, role=me.role,
        file=str(place))


def logout(url: Url = URL, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Forget the key for a server; one that `aimass login` made is revoked."""
    key_id = logins.key_id(url)
    if key_id is not None:
        asked(url, None, no_verify, lambda client: client.keys.revoke(key_id))
    logins.forget(url)
    say(as_json, f"The key for {url} is {'revoked and ' if key_id is not None else ''}forgotten.", server=url,
        revoked=key_id)


def _meant(url: str, token: str) -> tuple[str, str]:
    """A link is a server's address and, after #, a token."""
    if "#" not in token:
        return url, token
    parts = urlsplit(token)
    return f"{parts.scheme}://{parts.netloc}", parts.fragment


def _open(url: str, no_verify: bool) -> bool:
    """Whether everybody is let in there."""
    from ..errors import Unauthorized

    async def work(client: Client) -> bool:
        try:
            await client.account.show()
        except Unauthorized:
            return False
        return True

    return asked(url, None, no_verify, work)
