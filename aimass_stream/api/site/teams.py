"""/teams: those that one is in, and one of them: who is in it, what they share, and how much they may use."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Request, Response

from ...ports import Caller
from .. import accounts as account_routes
from .. import keys as key_routes
from .. import teams as team_routes
from ..apps import apps as gallery
from ..apps.parts import AppsDep
from ..deps import AccountsDep, CallerDep
from ..hub import models as catalogue
from ..hub.parts import HubDep
from .account import used_by_key
from .drawn import draw
from .drawn import router as page_router

router = page_router()

ROWS = 100  # of models, apps and keys


@router.get("/teams")
async def find(request: Request, accounts: AccountsDep, caller: CallerDep) -> Response:
    found = (await team_routes.list_teams(accounts, caller)).teams
    return await draw(request, "teams.html", caller, teams=found)


@router.get("/teams/{team_id}")
async def show(team_id: str, request: Request, accounts: AccountsDep, hub: HubDep, apps: AppsDep,
               caller: CallerDep) -> Response:
    team = await team_routes.show_team(team_id, request, Response(), accounts, caller)
    role = next((each.role for each in team.members if each.user == caller.user), None)
    as_team = _as(caller, team_id)
    keys = await key_routes.list_keys(request, Response(), accounts, caller, team_id, None, ROWS)
    models = await catalogue.find_models(request, Response(), hub, as_team, mine=True, limit=ROWS)
    shared = await gallery.find_apps(request, Response(), apps, as_team, "", True, "new", None, ROWS)
    return await draw(
        request, "team.html", caller, team=team, role=role, leads=role == "owner" or "admin" in caller.scopes,
        keys=[key for key in keys.keys if key.revoked is None],
        limits=await account_routes.show_limits(accounts, as_team), models=models.models, apps=shared.apps,
        used=await used_by_key(request, caller, team_id))


def _as(caller: Caller, team: str) -> Caller:
    """Who acts for the team, as a key of its own would."""
    return replace(caller, id="", team=team, role="user", scopes=caller.scopes - {"admin"})
