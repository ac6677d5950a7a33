"""/v1/accounts: the caller's own account, and everybody's for an admin."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ..accounts import Accounts, csrf_of, session_cookie
from ..accounts.directory import SIGN_IN, User
from ..accounts.text import plain
from ..errors import Conflict, Forbidden
from ..ports import Caller, Role
from .cursors import CursorQuery, LimitQuery, decode, link, page
from .deps import AccountsDep, CallerDep
from .etags import IfMatch, revision, seen, tagged
from .keys import QUOTAS, Quotas
from .problems import RESPONSES
from .repeats import SECRET, CreatingRoute

router = APIRouter(prefix="/v1/accounts", tags=["accounts"], responses=RESPONSES, route_class=CreatingRoute)


class AccountView(BaseModel):
    id: str
    name: str = Field(description="to sign in with")
    title: str = Field(description="what people call them")
    role: Role
    state: Literal["invited", "active", "disabled", "erased"]
    quotas: dict[str, int] = Field(description=QUOTAS)
    created: float = Field(description="s since the epoch")
    seen: float | None = Field(description="s since the epoch: when they last signed in")


class AccountList(BaseModel):
    accounts: list[AccountView] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


class MembershipView(BaseModel):
    id: str
    name: str
    role: Literal["owner", "member"]


class Me(BaseModel):
    name: str
    user: AccountView | None = Field(description="null: the server's own key, or nobody in particular")
    role: Role
    scopes: list[str]
    team: str = Field(description="the team that the key was made for, or empty")
    teams: list[MembershipView]
    signed_in: bool = Field(description="by a cookie")
    csrf_token: str | None = Field(description="for the header X-CSRF-Token of all that a page changes")


class MeChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str


class PasswordBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    old: SecretStr
    new: SecretStr


class EraseBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    password: SecretStr = Field(description="once more: this can't be undone")


class SignInView(BaseModel):
    id: str
    address: str
    agent: str = Field(description="what the browser called itself")
    created: float
    expires: float
    this: bool = Field(description="it is the one that asks")


class SignInList(BaseModel):
    sign_ins: list[SignInView] = Field(description="the newest first")


class LimitView(BaseModel):
    limit: int | None = Field(description="null: as much as they like")
    used: int | None = Field(description="in the minute or the day that is counted now")


class InviteBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    role: str = "user"
    title: str = ""


class Invited(AccountView):
    token: str = Field(description="for POST /v1/accounts/accept, within 7 days, once. It is not shown again")


class AccountChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str | None = None
    role: str | None = None
    state: Literal["active", "disabled"] | None = None
    quotas: Quotas | None = Field(None, max_length=16, description=QUOTAS)


def shown(user: User) -> AccountView:
    return AccountView(id=user.id, name=user.name, title=user.title, role=user.role, state=user.state,
                       quotas=dict(user.quotas), created=user.created, seen=user.seen)


# one's own ----------------------------------------------------------------------------------------------


def _own(accounts: Accounts, caller: Caller) -> User:
    """Raises `Conflict` for who has no account, and `Forbidden` for a key that may not look after it."""
    caller.need("keys")
    if not caller.user:
        raise Conflict(f"{caller.name} is no account: sign in")
    if caller.team:
        raise Forbidden("a team's key is not for its maker's account")
    return accounts.parts.people.get(caller.user)


@router.get("/me", response_model=Me)
async def show_me(request: Request, response: Response, accounts: AccountsDep, caller: CallerDep) -> Any:
    """Who asks, and what they may do."""
    directory, cookie = accounts.directory, session_cookie(request.headers.get("cookie"))
    signed_in = caller.id.startswith(SIGN_IN)
    user = directory.users[caller.user] if caller.user else None
    me = Me(name=caller.name, user=shown(user) if user else None, role=caller.role, scopes=sorted(caller.scopes),
            team=caller.team, signed_in=signed_in,
            teams=[MembershipView(id=team.id, name=team.name, role=team.members[caller.user])
                   for team in (directory.teams[team] for team in sorted(caller.teams))],
            csrf_token=csrf_of(cookie) if signed_in and cookie is not None else None)
    return seen(request, response, user.version if user else 0, me)


@router.patch("/me")
async def change_me(body: MeChange, response: Response, accounts: AccountsDep, caller: CallerDep,
                    if_match: IfMatch = None) -> AccountView:
    user = await accounts.parts.people.change(caller, _own(accounts, caller).id, title=body.title,
                                              seen=revision(if_match))
    return tagged(response, user.version, shown(user))


@router.post("/me/password", status_code=204)
async def set_password(body: PasswordBody, accounts: AccountsDep, caller: CallerDep) -> Response:
    """Every other cookie session of theirs ends."""
    _own(accounts, caller)
    await accounts.parts.people.set_password(caller, body.old.get_secret_value(), body.new.get_secret_value())
    return Response(status_code=204)


@router.get("/me/limits")
async def show_limits(accounts: AccountsDep, caller: CallerDep) -> dict[str, LimitView]:
    """How much the caller may use, alone or with their team, and how much of that is used up."""
    return {name: LimitView(**found) for name, found in (await accounts.parts.allowance.report(caller)).items()}


@router.get("/me/sign-ins")
async def list_sign_ins(accounts: AccountsDep, caller: CallerDep) -> SignInList:
    """Where one is signed in."""
    user = _own(accounts, caller)
    return SignInList(sign_ins=[SignInView(id=one.id, address=one.address, agent=one.agent, created=one.created,
                                           expires=one.expires, this=one.id == caller.id)
                                for one in accounts.parts.people.sign_ins(user.id)])


@router.delete("/me/sign-ins/{sign_in_id}", status_code=204)
async def end_sign_in(sign_in_id: str, accounts: AccountsDep, caller: CallerDep) -> Response:
    """Sign out somewhere else; what was opened from there ends."""
    _own(accounts, caller)
    await accounts.parts.people.sign_out(caller, sign_in_id)
    return Response(status_code=204)


@router.get("/me/export")
async def export_me(response: Response, accounts: AccountsDep, caller: CallerDep) -> dict[str, Any]:
    """All that the server keeps of the caller, as JSON. No secrets are in it."""
    user = _own(accounts, caller)
    response.headers.update({"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="account.json"'})
    return await accounts.parts.privacy.export(caller, user)


@router.post("/me/erase", status_code=204)
async def erase_me(body: EraseBody, accounts: AccountsDep, caller: CallerDep) -> Response:
    """Erase the account with all that is its own. What stays is the id, in the audit log, until that is let go of."""
    user = _own(accounts, caller)
    await accounts.parts.people.prove(caller, body.password.get_secret_value())
    await accounts.parts.privacy.erase(caller, user)
    return Response(status_code=204)


# everybody's --------------------------------------------------------------------------------------------


@router.get("")
async def list_accounts(request: Request, response: Response, accounts: AccountsDep, caller: CallerDep,
                        q: Annotated[str | None, Query(max_length=200, description="part of a name or title")] = None,
                        cursor: CursorQuery = None, limit: LimitQuery = 50) -> AccountList:
    """For admins."""
    caller.need("admin")
    after = decode(cursor, float, str)
    users = await accounts.parts.people.find(plain(q or "", "q"), after=cast(Any, after), limit=limit + 1)
    rows, following = page(users, limit, lambda user: (user.created, user.id))
    link(request, response, following)
    return AccountList(accounts=[shown(user) for user in rows], next=following)


@router.post("", status_code=201, openapi_extra=SECRET)
async def invite(body: InviteBody, response: Response, accounts: AccountsDep, caller: CallerDep) -> Invited:
    """Make an account; whoever it is for sets the password with the token."""
    caller.need("admin")
    user, token = await accounts.parts.people.invite(caller, body.name, body.role, body.title)
    response.headers.update({"Location": f"/v1/accounts/{user.id}", "Cache-Control": "no-store"})
    return Invited(**shown(user).model_dump(), token=token)


@router.get("/{user_id}", response_model=AccountView)
async def show_account(user_id: str, request: Request, response: Response, accounts: AccountsDep,
                       caller: CallerDep) -> Any:
    """For admins."""
    caller.need("admin")
    user = accounts.parts.people.get(user_id)
    return seen(request, response, user.version, shown(user))


@router.patch("/{user_id}")
async def change_account(user_id: str, body: AccountChange, response: Response, accounts: AccountsDep,
                         caller: CallerDep, if_match: IfMatch = None) -> AccountView:
    """For admins. Who is disabled is signed out, and what they have opened ends."""
    caller.need("admin")
    user = await accounts.parts.people.change(caller, user_id, title=body.title, role=body.role, state=body.state,
                                              quotas=body.quotas, seen=revision(if_match))
    return tagged(response, user.version, shown(user))


@router.post("/{user_id}/link", status_code=201, openapi_extra=SECRET)
async def link_account(user_id: str, response: Response, accounts: AccountsDep, caller: CallerDep) -> Invited:
    """For admins: a new token for who has lost the password or the invitation."""
    caller.need("admin")
    token = await accounts.parts.people.link(caller, user_id)
    response.headers["Cache-Control"] = "no-store"
    return Invited(**shown(accounts.parts.people.get(user_id)).model_dump(), token=token)


@router.get("/{user_id}/export")
async def export_account(user_id: str, response: Response, accounts: AccountsDep, caller: CallerDep) -> dict[str, Any]:
    """For admins, who are asked by somebody for what is theirs."""
    caller.need("admin")
    response.headers["Cache-Control"] = "no-store"
    return await accounts.parts.privacy.export(caller, accounts.parts.people.get(user_id))


@router.delete("/{user_id}", status_code=204)
async def erase_account(user_id: str, accounts: AccountsDep, caller: CallerDep) -> Response:
    """For admins."""
    caller.need("admin")
    await accounts.parts.privacy.erase(caller, accounts.parts.people.get(user_id))
    return Response(status_code=204)
