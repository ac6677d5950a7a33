"""/v1/keys: API keys, shown once; /v1/connect-tokens: what a page may have to open one session."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..accounts import LONGEST
from ..accounts.directory import Key
from .cursors import CursorQuery, LimitQuery, decode, link, page
from .deps import AccountsDep, CallerDep
from .etags import IfMatch, revision, seen, tagged
from .problems import RESPONSES
from .repeats import SECRET, CreatingRoute

router = APIRouter(prefix="/v1/keys", tags=["keys"], responses=RESPONSES, route_class=CreatingRoute)
connect_router = APIRouter(prefix="/v1/connect-tokens", tags=["keys"], responses=RESPONSES, route_class=CreatingRoute)

# a page's 1e23 is a whole number, too: what is wrong with it is that it is too large
Quotas = dict[str, Annotated[int | None, BeforeValidator(lambda most: int(most) if isinstance(most, float)
                                                         and most.is_integer() else most)]]
QUOTAS = "of requests, sessions, session_minutes, upload_bytes, concurrent_sessions; those left out are as usual"


class KeyView(BaseModel):
    id: str
    prefix: str = Field(description="how the key begins: what is told of it after the first time")
    title: str
    user: str = Field(description="whose it is; empty: the server's own")
    user_name: str = Field("", description="what people call them; in lists")
    team: str = Field(description="the team that it was made for, or empty")
    scopes: list[str]
    quotas: dict[str, int] = Field(description=QUOTAS)
    created: float = Field(description="s since the epoch")
    expires: float | None
    revoked: float | None
    used: float | None = Field(description="s since the epoch: the last time, within a minute")


class KeyMade(KeyView):
    key: str = Field(description="the key itself. It is kept nowhere and never shown again")


class KeyList(BaseModel):
    keys: list[KeyView] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


class KeyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = ""
    scopes: list[str] | None = Field(None, max_length=64,
                                     description="what it may do, of what its maker may; null: all")
    team: str = Field("", max_length=64, description="a team's id: the key is the team's, and counts on its quotas")
    expires_in: float | None = Field(None, description="s; none: it does not expire")
    quotas: Quotas = Field(default={}, max_length=16, description=QUOTAS)


class KeyChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str | None = None
    quotas: Quotas | None = Field(None, max_length=16, description=QUOTAS)


class TokenBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    expires_in: float = Field(LONGEST, ge=1, le=LONGEST, description="s")


class TokenMade(BaseModel):
    token: str = Field(description="good for opening one session, once, as a key would be; the session then goes on "
                                   "by its own resume token")
    expires_in: float = Field(description="s")


def shown(key: Key) -> KeyView:
    return KeyView(id=key.id, prefix=f"aim_{key.prefix}", title=key.title, user=key.user, team=key.team,
                   scopes=sorted(key.scopes), quotas=dict(key.quotas), created=key.created, expires=key.expires,
                   revoked=key.revoked, used=key.used)


@router.get("")
async def list_keys(request: Request, response: Response, accounts: AccountsDep, caller: CallerDep,
                    team: Annotated[str | None, Query(max_length=64)] = None, cursor: CursorQuery = None,
                    limit: LimitQuery = 50) -> KeyList:
    """The caller's keys and those of their teams; all, for an admin."""
    caller.need("keys")
    after = decode(cursor, float, str)
    keys = await accounts.parts.keys.find(caller, team=team, after=cast(Any, after), limit=limit + 1)
    rows, following = page(keys, limit, lambda key: (key.created, key.id))
    link(request, response, following)
    called = accounts.directory.called
    return KeyList(keys=[shown(key).model_copy(update={"user_name": called(key.user)}) for key in rows],
                   next=following)


@router.post("", status_code=201, openapi_extra=SECRET)
async def make_key(body: KeyBody, response: Response, accounts: AccountsDep, caller: CallerDep) -> KeyMade:
    """A key that may do no more than its maker."""
    caller.need("keys")
    key, secret = await accounts.parts.keys.make(caller, body.title, scopes=body.scopes, team=body.team,
                                                 seconds=body.expires_in, quotas=body.quotas)
    response.headers.update({"Location": f"/v1/keys/{key.id}", "Cache-Control": "no-store"})
    return KeyMade(**shown(key).model_dump(), key=secret)


@router.get("/{key_id}", response_model=KeyView)
async def show_key(key_id: str, request: Request, response: Response, accounts: AccountsDep, caller: CallerDep) -> Any:
    caller.need("keys")
    key = accounts.parts.keys.get(caller, key_id)
    return seen(request, response, key.version, shown(key))


@router.patch("/{key_id}")
async def change_key(key_id: str, body: KeyChange, response: Response, accounts: AccountsDep, caller: CallerDep,
                     if_match: IfMatch = None) -> KeyView:
    """Its title, and how much it may use. What it may do stays: make another one for that."""
    caller.need("keys")
    key = await accounts.parts.keys.change(caller, key_id, title=body.title, quotas=body.quotas,
                                           seen=revision(if_match))
    return tagged(response, key.version, shown(key))


@router.delete("/{key_id}")
async def revoke_key(key_id: str, accounts: AccountsDep, caller: CallerDep) -> KeyView:
    """The key is good for nothing any more, and sessions that were opened with it end."""
    caller.need("keys")
    return shown(await accounts.parts.keys.revoke(caller, key_id))


@connect_router.post("", status_code=201, openapi_extra=SECRET)
async def make_connect_token(response: Response, accounts: AccountsDep, caller: CallerDep,
                             body: TokenBody | None = None) -> TokenMade:
    """For a page's script, which should not hold a key. It opens one session with what the caller may use."""
    caller.need("media")
    seconds = (body or TokenBody()).expires_in
    response.headers["Cache-Control"] = "no-store"
    return TokenMade(token=accounts.connect_token(caller, seconds), expires_in=seconds)
