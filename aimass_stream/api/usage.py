"""/v1/usage: who used what, how much, and how long it took."""

from __future__ import annotations

import time
from typing import Annotated, Literal, cast, get_args

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ..accounts.directory import Directory
from ..errors import Forbidden, InvalidInput
from ..ports import Caller
from ..usage import SPANS, Span, Sum, Usage, Used
from ..usage.meter import What, percentile
from .apps.parts import apps_of
from .cursors import CursorQuery, LimitQuery, decode, link, page
from .deps import CallerDep, accounts_of
from .problems import RESPONSES

router = APIRouter(prefix="/v1/usage", tags=["usage"], responses=RESPONSES)

USUAL = 86400.0  # s
BY_HOURS = 3 * 86400.0  # s that are still told by the hour; what is longer goes by whole days
LAST = 253402300800.0  # s since the epoch: the year 10000

Moment = Annotated[float | None, Query(ge=0, lt=LAST, description="s since the epoch")]


class Percentiles(BaseModel):
    """ms; of buckets that grow by √2, so within a fifth."""

    p50: float
    p95: float
    p99: float


class Row(BaseModel):
    value: str = Field(description="which key, app or model; of `by=time` when it began, s since the epoch")
    title: str = Field("", description="what people call the key or the app, or whose browser it was")
    requests: int = Field(description="for inference by REST")
    errors: int
    latency: Percentiles | None = Field(description="of requests, from the first byte to the answer")
    sessions: int = Field(description="begun")
    session_minutes: float
    drops: int = Field(description="frames that sessions dropped")
    frame_latency: Percentiles | None = Field(description="of frames through sessions, looked at every few seconds")
    first_words_latency: Percentiles | None = Field(
        description="of utterances, from when somebody begins to speak to the first words; by the model that hears")


class UsageList(BaseModel):
    begin: float = Field(description="s since the epoch: what was asked for, widened to whole spans")
    end: float
    span: Span = Field(description="hours for up to three days, else days (UTC)")
    by: str
    rows: list[Row]
    next: str | None = Field(description="`cursor` of the next page")


def usage_of(request: Request) -> Usage:
    return cast(Usage, request.app.state.usage)


@router.get("")
async def show_usage(
        request: Request, response: Response, caller: CallerDep, begin: Annotated[Moment, Query(alias="from")] = None,
        end: Annotated[Moment, Query(alias="to")] = None,
        by: Literal["total", "key", "app", "model", "time"] = "total",
        of: Annotated[str | None, Query(max_length=64, description="whose: the id of a user, team, key or app; an "
                                        "admin may ask for anybody's, and sees the whole server's without")] = None,
        cursor: CursorQuery = None, limit: LimitQuery = 100) -> UsageList:
    """What was used from one moment to another, the last day where nothing is said. Written every few seconds."""
    caller.need("usage:read")
    end = time.time() if end is None else end
    begin = end - USUAL if begin is None else begin
    if begin >= end:
        raise InvalidInput("from must be before to", field="from")
    span: Span = "hour" if end - begin <= BY_HOURS else "day"
    length = SPANS[span]
    first, last = int(begin // length * length), int(-(-end // length) * length)
    after = decode(cursor, str)
    if after is not None and by == "time" and not str(after[0]).isdecimal():
        raise InvalidInput("this is no cursor of this list", field="cursor")
    directory = accounts_of(request).directory
    key = directory.keys.get(of or "")
    scope = _scope(caller, of, theirs=key is not None and caller.owns(key.team or key.user))
    found = await usage_of(request).ledger.read(scope, by, span, first, last,
                                                after=str(after[0])[:20 if by == "time" else 512] if after else "",
                                                limit=limit + 1)
    shown, following = page(found, limit, lambda used: (used.value,))
    link(request, response, following)
    titles = {}
    if by == "key":
        titles = {used.value: _called(directory, used.value, caller) for used in shown}
    elif by == "app":
        titles = await apps_of(request).catalogue.called(caller, [used.value for used in shown])
    return UsageList(begin=first, end=last, span=span, by=by, next=following,
                     rows=[_row(used, titles.get(used.value, "")) for used in shown])


def _called(directory: Directory, one: str, caller: Caller) -> str:
    """A key's title, with whose it is where that is somebody else: everybody's first one is called alike."""
    key = directory.keys.get(one)
    whose = directory.called(key.user) if key is not None and key.user != caller.user else ""
    return f"{directory.called(one)}, {whose}" if whose else directory.called(one)


def _scope(caller: Caller, of: str | None, *, theirs: bool = False) -> str:
    """Whose use is shown; `theirs`: `of` is a key of the caller's. Raises `Forbidden`."""
    own = [each for each in (caller.user, caller.team, caller.id) if each]
    if theirs or "admin" in caller.scopes or of in own or (of in caller.teams and not caller.team):
        return of or ""
    if of is not None or not own:
        raise Forbidden("this is not yours: see your own, or ask an admin", scope="admin")
    return own[0]


def _row(used: Used, title: str) -> Row:
    request, session, frame, words = (used.sums.get(what, Sum()) for what in get_args(What))
    return Row(value=used.value, title=title, requests=request.count, errors=request.errors,
               latency=_percentiles(request), sessions=session.count,
               session_minutes=round(session.seconds / 60, 3), drops=session.drops,
               frame_latency=_percentiles(frame), first_words_latency=_percentiles(words))


def _percentiles(of: Sum) -> Percentiles | None:
    p50, p95, p99 = (percentile(of.buckets, share) for share in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        return None
    return Percentiles(p50=round(p50 * 1000, 3), p95=round(p95 * 1000, 3), p99=round(p99 * 1000, 3))
