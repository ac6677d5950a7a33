"""/v1/teams: people who share models, apps, keys and what they may use."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ..accounts import Accounts
from ..accounts.directory import Team
from .deps import AccountsDep, CallerDep
from .etags import IfMatch, revision, seen, tagged
from .keys import QUOTAS, Quotas
from .problems import RESPONSES
from .repeats import CreatingRoute

router = APIRouter(prefix="/v1/teams", tags=["teams"], responses=RESPONSES, route_class=CreatingRoute)


class MemberView(BaseModel):
    user: str
    name: str
    title: str
    role: Literal["owner", "member"]


class TeamView(BaseModel):
    id: str
    name: str
    title: str
    quotas: dict[str, int] = Field(description=QUOTAS)
    created: float = Field(description="s since the epoch")
    members: list[MemberView]


class TeamList(BaseModel):
    teams: list[TeamView]


class TeamBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="1 to 64 letters, digits and . _ - + @")
    title: str = ""


class TeamChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str | None = None
    quotas: Quotas | None = Field(None, max_length=16, description=f"{QUOTAS}. For admins")


class MemberBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["owner", "member"] = "member"


def shown(accounts: Accounts, team: Team) -> TeamView:
    users = accounts.directory.users
    return TeamView(id=team.id, name=team.name, title=team.title, quotas=dict(team.quotas), created=team.created,
                    members=[MemberView(user=user, name=users[user].name, title=users[user].title, role=role)
                             for user, role in sorted(team.members.items())])


@router.get("")
async def list_teams(accounts: AccountsDep, caller: CallerDep) -> TeamList:
    """Those that the caller is in; all, for an admin."""
    caller.need("keys")
    return TeamList(teams=[shown(accounts, team) for team in accounts.parts.teams.find(caller)])


@router.post("", status_code=201)
async def make_team(body: TeamBody, response: Response, accounts: AccountsDep, caller: CallerDep) -> TeamView:
    """Who makes it owns it."""
    caller.need("keys")
    team = await accounts.parts.teams.make(caller, body.name, body.title)
    response.headers["Location"] = f"/v1/teams/{team.id}"
    return tagged(response, team.version, shown(accounts, team))


@router.get("/{team_id}", response_model=TeamView)
async def show_team(team_id: str, request: Request, response: Response, accounts: AccountsDep,
                    caller: CallerDep) -> Any:
    caller.need("keys")
    team = accounts.parts.teams.get(caller, team_id)
    return seen(request, response, team.version, shown(accounts, team))


@router.patch("/{team_id}")
async def change_team(team_id: str, body: TeamChange, response: Response, accounts: AccountsDep, caller: CallerDep,
                      if_match: IfMatch = None) -> TeamView:
    """By its owners; how much it may use, by an admin."""
    caller.need("keys")
    team = await accounts.parts.teams.change(caller, team_id, title=body.title, quotas=body.quotas,
                                             seen=revision(if_match))
    return tagged(response, team.version, shown(accounts, team))


@router.delete("/{team_id}", status_code=204)
async def end_team(team_id: str, accounts: AccountsDep, caller: CallerDep) -> Response:
    """Its keys are revoked."""
    caller.need("keys")
    await accounts.parts.teams.end(caller, team_id)
    return Response(status_code=204)


@router.put("/{team_id}/members/{user}")
async def put_member(team_id: str, user: str, body: MemberBody, accounts: AccountsDep, caller: CallerDep) -> TeamView:
    """Add somebody by name or id, or give them another role. By the team's owners."""
    caller.need("keys")
    return shown(accounts, await accounts.parts.teams.put(caller, team_id, user, body.role))


@router.delete("/{team_id}/members/{user}")
async def remove_member(team_id: str, user: str, accounts: AccountsDep, caller: CallerDep) -> TeamView:
    """Leave, or send somebody away, by id. Keys that they made for the team are revoked."""
    caller.need("keys")
    return shown(accounts, await accounts.parts.teams.remove(caller, team_id, user))
