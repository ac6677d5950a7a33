"""What routes ask for: the node, the settings, and who is calling."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ..accounts import Accounts
from ..accounts.secret import CONNECT
from ..errors import AimassError, Forbidden, TooLarge
from ..node import Node
from ..ports import Caller
from ..settings import Settings
from .headers import first_of, text_of
from .metering import CALLER

ADMITTED = "aimass.admitted"  # in a request's scope: who was let in, or why not, before ASGI
INSIDE = "aimass.inside"  # in a request's scope: for whom this server makes it, known before
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # methods that change nothing (RFC 9110 section 9.2.1)
CSRF = b"x-csrf-token"
CSRF_FIELD = "csrf_token"  # of a form
FORM = "application/x-www-form-urlencoded"
MAX_FORM = 64 * 1024  # bytes of a form that is looked into for it

bearer = HTTPBearer(auto_error=False, description="An API key, or the server's own; a cookie session needs none")


def node_of(connection: HTTPConnection) -> Node:
    return cast(Node, connection.app.state.node)


def settings_of(connection: HTTPConnection) -> Settings:
    return cast(Settings, connection.app.state.settings)


def accounts_of(connection: HTTPConnection) -> Accounts:
    return cast(Accounts, connection.app.state.accounts)


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client is not None else ""


def caller_of(connection: HTTPConnection, csrf: str | None = None) -> Caller:
    """Who is calling, without counting it; `csrf` where it came in a form. Raises `Unauthorized` or `Forbidden`."""
    return _shown(connection.scope, accounts_of(connection), csrf)


def _shown(scope: Scope, accounts: Accounts, csrf: str | None) -> Caller:
    if INSIDE in scope:
        return accounts.confirm(scope[INSIDE])
    headers, client = first_of(scope), scope.get("client")
    return accounts.authorize(
        text_of(headers, b"authorization"), address=client[0] if client else "", cookie=text_of(headers, b"cookie"),
        csrf=csrf or text_of(headers, CSRF), reads=scope.get("method") in SAFE)


async def admitted(connection: HTTPConnection, *, opens: bool = False) -> Caller:
    """Who is calling, and may do so at this moment. Raises `Unauthorized`, `Forbidden` or `Busy`.

    `opens`: it is to open a session, and a connect token will do.
    """
    headers = first_of(connection.scope)
    csrf = None
    if (b"cookie" in headers and CSRF not in headers and isinstance(connection, Request)
            and headers.get(b"content-type", b"").startswith(FORM.encode())):
        csrf = await _in_form(connection)
    return await admit(connection.scope, csrf, opens=opens)


async def admit(scope: Scope, csrf: str | None = None, *, opens: bool = False) -> Caller:
    """As `admitted`, of what is no form."""
    headers, accounts = first_of(scope), cast(Accounts, scope["app"].state.accounts)
    if not opens and (text_of(headers, b"authorization") or "").partition(" ")[2].strip().startswith(CONNECT):
        raise Forbidden("a connect token opens a session, and nothing else")
    if ADMITTED in scope:
        return _let_in(scope)
    caller = _shown(scope, accounts, csrf)
    allowance = accounts.parts.allowance
    await allowance.request(caller)
    scope[CALLER] = caller
    length = headers.get(b"content-length", b"")
    if length.isdigit():
        await allowance.upload(caller, int(length[:18]))
    elif b"transfer-encoding" in headers:
        await allowance.upload(caller, 0)
    return caller


def _let_in(scope: Scope) -> Caller:
    known: Caller | AimassError = scope[ADMITTED]
    if isinstance(known, AimassError):
        raise known
    scope[CALLER] = known
    return known


async def _in_form(request: Request) -> str | None:
    """The token in a form of a page that runs no script. What was read stays there for the route."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length[:18]) > MAX_FORM:
        raise TooLarge(f"a form has at most {MAX_FORM} bytes")
    found = (await request.form(max_fields=100, max_files=0)).get(CSRF_FIELD)
    return found if isinstance(found, str) else None


async def _caller(connection: HTTPConnection, _: Annotated[object, Security(bearer)] = None) -> Caller:
    return await admitted(connection)


async def _preparing(connection: HTTPConnection, _: Annotated[object, Security(bearer)] = None) -> Caller:
    secret = (text_of(first_of(connection.scope), b"authorization") or "").partition(" ")[2].strip()
    if secret.startswith(CONNECT):
        accounts = accounts_of(connection)
        return accounts.confirm(accounts.tokens.look(secret))
    return await admitted(connection)


async def _opener(connection: HTTPConnection, _: Annotated[object, Security(bearer)] = None) -> Caller:
    return await admitted(connection, opens=True)


def needs(scope: str) -> Any:
    """For all routes of a router: ``APIRouter(dependencies=[needs("media")])``."""
    async def check(caller: CallerDep) -> None:
        caller.need(scope)

    return Depends(check)


NodeDep = Annotated[Node, Depends(node_of)]
SettingsDep = Annotated[Settings, Depends(settings_of)]
AccountsDep = Annotated[Accounts, Depends(accounts_of)]
CallerDep = Annotated[Caller, Depends(_caller)]
OpenerDep = Annotated[Caller, Depends(_opener)]  # who is to open a session, and may have a connect token for that
PreparingDep = Annotated[Caller, Depends(_preparing)]  # the same, before: the token stays good
