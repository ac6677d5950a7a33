"""/account: one's keys, what one has used, where one is signed in, and all that is kept of one."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Query, Request, Response

from ...ports import Caller
from .. import accounts as account_routes
from .. import keys as key_routes
from .. import usage as usage_routes
from ..cursors import CursorQuery
from ..deps import AccountsDep, CallerDep
from .drawn import draw
from .drawn import router as page_router

router = page_router()

MONTH = 30 * 86400.0  # s
MOST_KEYS = 200  # whose use is looked at


async def used_by_key(request: Request, caller: Caller, of: str | None = None) -> dict[str, int] | None:
    """Requests and sessions of the last 30 days by the ids of keys; None for who may not see them."""
    if "usage:read" not in caller.scopes:
        return None
    begin = time.time() - MONTH
    found = await usage_routes.show_usage(request, Response(), caller, begin, None, "key", of, None, MOST_KEYS)
    return {row.value: row.requests + row.sessions for row in found.rows}


@router.get("/account")
async def account(request: Request, accounts: AccountsDep, caller: CallerDep, cursor: CursorQuery = None,
                  revoked: Annotated[bool, Query()] = False) -> Response:
    """`revoked`: keys that are good for nothing any more, too."""
    caller.need("keys")
    me = await account_routes.show_me(request, Response(), accounts, caller)
    keys = await key_routes.list_keys(request, Response(), accounts, caller, None, cursor, 100)
    own = me.user is not None and not me.team
    sign_ins = (await account_routes.list_sign_ins(accounts, caller)).sign_ins if own else []
    return await draw(request, "account.html", caller, me=me, own=own, sign_ins=sign_ins, revoked=revoked,
                      used=await used_by_key(request, caller),
                      keys=[key for key in keys.keys if revoked or key.revoked is None], next=keys.next,
                      limits=await account_routes.show_limits(accounts, caller))
