"""/v1/audit: who did what, when, and from where."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ..accounts.text import plain
from ..errors import Forbidden
from .cursors import CursorQuery, LimitQuery, decode, link, page
from .deps import AccountsDep, CallerDep
from .problems import RESPONSES

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=RESPONSES)

Word: TypeAlias = Annotated[str | None, Query(max_length=200)]
Moment: TypeAlias = Annotated[float | None, Query(ge=0, le=1e12, description="s since the epoch")]


class EntryView(BaseModel):
    id: int
    at: float = Field(description="s since the epoch")
    who: str = Field(description="a user's id, or what else may act: api-key, anyone, server")
    name: str = Field(description="what they are called now; empty where they are nobody's any more")
    key: str = Field(description="the id of the key or cookie session that was shown")
    address: str
    what: str = Field(examples=["key.revoked"])
    object: str = Field(description="the id of what it was done to")
    details: dict[str, Any]


class EntryList(BaseModel):
    entries: list[EntryView] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


@router.get("")
async def list_entries(request: Request, response: Response, accounts: AccountsDep, caller: CallerDep, who: Word = None,
                       what: Annotated[str | None, Query(max_length=200, description="`key.revoked`, or a beginning: "
                                                         "`key.`")] = None,
                       object: Word = None, q: Word = None, since: Moment = None, until: Moment = None,
                       cursor: CursorQuery = None, limit: LimitQuery = 50) -> EntryList:
    """All that was done, for an admin; to others, what they did. `q`: words that are all in the entry."""
    caller.need("keys")
    if "admin" not in caller.scopes:
        if not caller.user or who not in (None, caller.user):
            raise Forbidden("what others did is for admins to see")
        who = caller.user
    for name, text in (("who", who), ("what", what), ("object", object), ("q", q)):
        plain(text or "", name)
    position = decode(cursor, int)
    found = await accounts.parts.audit.find(who=who, what=what, object=object, words=q, since=since, until=until,
                                            before=None if position is None else int(position[0]), limit=limit + 1)
    rows, following = page(found, limit, lambda entry: (entry.id,))
    link(request, response, following)
    users = accounts.directory.users
    return EntryList(next=following, entries=[EntryView(
        id=entry.id, at=entry.at, who=entry.who, name=users[entry.who].name if entry.who in users else "",
        key=entry.key, address=entry.address, what=entry.what, object=entry.object, details=entry.details)
        for entry in rows])
