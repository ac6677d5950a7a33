"""/admin: people and how much they may use, the log of what was done, everybody's jobs, and the server itself."""

from __future__ import annotations

import time
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from ...accounts.text import QUOTAS
from ...apps.seeds import AUTHOR, REVIEWER
from ...ports import ROLES
from .. import accounts as account_routes
from .. import audit as audit_routes
from .. import health
from .. import jobs as job_routes
from .. import keys as key_routes
from .. import teams as team_routes
from ..cursors import CursorQuery
from ..deps import AccountsDep, CallerDep, NodeDep, SettingsDep
from ..hub import quarantine
from ..hub.parts import HubDep
from ..jobs import JobsDep
from .drawn import draw, people_of
from .drawn import router as page_router

router = page_router()

ROWS = 50
STATES = get_args(job_routes.JobInfo.model_fields["state"].annotation)

Word = Annotated[str, Query(max_length=200)]


@router.get("/admin")
async def begin() -> Response:
    return RedirectResponse("/admin/users", 303)


@router.get("/admin/users")
async def users(request: Request, accounts: AccountsDep, caller: CallerDep, q: Word = "", cursor: CursorQuery = None
                ) -> Response:
    found = await account_routes.list_accounts(request, Response(), accounts, caller, q, cursor, ROWS)
    return await draw(request, "admin-users.html", caller, users=found.accounts, q=q, roles=list(ROLES),
                      servants=servants_of(accounts),
                      more=_more(found.next, q=q))


@router.get("/admin/audit")
async def audit(request: Request, accounts: AccountsDep, caller: CallerDep, q: Word = "", who: Word = "",
                what: Word = "", cursor: CursorQuery = None) -> Response:
    caller.need("admin")
    found = await audit_routes.list_entries(request, Response(), accounts, caller, who or None, what or None, None,
                                            q or None, None, None, cursor, ROWS)
    return await draw(request, "admin-audit.html", caller, entries=found.entries, q=q, who=who, what=what,
                      more=_more(found.next, q=q, who=who, what=what))


@router.get("/admin/nodes")
async def nodes(request: Request, node: NodeDep, caller: CallerDep) -> Response:
    """This server; each of several on one database has its own."""
    return await draw(request, "admin-nodes.html", caller, node=await health.show_node(node, caller), now=time.time(),
                      more="")


@router.get("/admin/quarantine")
async def waiting(request: Request, hub: HubDep, caller: CallerDep, cursor: CursorQuery = None) -> Response:
    """Models that are code, and what they would call."""
    found = await quarantine.list_quarantine(request, Response(), hub, caller, cursor, ROWS)
    return await draw(request, "admin-quarantine.html", caller, waiting=found.waiting, names=people_of(request),
                      more=_more(found.next))


@router.get("/admin/quotas")
async def quotas(request: Request, accounts: AccountsDep, settings: SettingsDep, caller: CallerDep, q: Word = "",
                 cursor: CursorQuery = None) -> Response:
    """Of users; and, beside the first page of them, of teams and of the keys that have their own or are looked for."""
    found = await account_routes.list_accounts(request, Response(), accounts, caller, q, cursor, ROWS)
    words = q.casefold()
    keys = [key_routes.shown(key) for key in accounts.directory.keys.values() if key.revoked is None and (
        key.quotas or (words and (words in key.title.casefold() or words in f"aim_{key.prefix}")))]
    teams = [team for team in (await team_routes.list_teams(accounts, caller)).teams
             if words in team.name.casefold() or words in team.title.casefold()]
    usual = {name: getattr(settings, f"limit_{name}") for name in QUOTAS}
    return await draw(request, "admin-quotas.html", caller, usual=usual, q=q, per_address=settings.limit_per_address,
                      users=found.accounts, servants=servants_of(accounts), teams=[] if cursor else teams[:ROWS],
                      keys=[] if cursor else sorted(keys, key=lambda key: -key.created)[:ROWS],
                      names=people_of(request), more=_more(found.next, q=q))


@router.get("/admin/jobs")
async def jobs(request: Request, board: JobsDep, caller: CallerDep, state: Word = "", cursor: CursorQuery = None
               ) -> Response:
    found = await job_routes.list_jobs(request, Response(), board, caller, None,
                                       state if state in STATES else None,  # type: ignore[arg-type]
                                       True, cursor, ROWS)
    return await draw(request, "admin-jobs.html", caller, jobs=found.jobs, state=state, states=STATES,
                      more=_more(found.next, state=state))


def servants_of(accounts: Any) -> set[str]:
    """Ids of accounts of the server's own: nobody can sign in to them, and there is nothing to look after."""
    found = (accounts.directory.users.get(accounts.directory.names.get(name, "")) for name in (AUTHOR, REVIEWER))
    return {user.id for user in found if user is not None and user.state == "disabled" and user.seen is None}


def _more(cursor: str | None, **asked: str) -> str:
    """The query of the next page; empty, where there is none."""
    return urlencode({name: value for name, value in (asked | {"cursor": cursor}).items() if value}) if cursor else ""
