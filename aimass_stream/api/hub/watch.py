"""How versions of a model do: .../versions/{which}/watch, what people say of answers, and who is told of trouble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from ...errors import InvalidInput, Unavailable
from ...hub.records import TEXT
from ...settings import Settings
from ...webhooks import is_public, resolved, target_of
from ..cursors import CursorQuery, LimitQuery, decode, link, page
from ..deps import CallerDep, SettingsDep
from ..etags import IfMatch, revision, seen, tagged
from ..problems import RESPONSES
from ..repeats import CreatingRoute
from .parts import HubDep, Name, Which

if TYPE_CHECKING:
    from ...watch.watch import Watch

router = APIRouter(prefix="/v1/hub/models/{name}", tags=["models"], responses=RESPONSES, route_class=CreatingRoute)

LOOKUP = 5.0  # s that the address of a webhook is looked for
Verdict = Literal["right", "wrong"]
FeedbackId = Annotated[str, Path(max_length=64)]


class Latency(BaseModel):
    p50: float | None = Field(description="ms; null where nothing was answered")
    p95: float | None
    p99: float | None


class Counted(BaseModel):
    requests: int = Field(description="for inference by REST")
    errors: int = Field(description="of them, those that failed in the model or the server")
    refused: int = Field(description="of them, those whose input was not right, or too much")
    latency_ms: Latency


class Day(Counted):
    day: int = Field(description="its begin, s since the epoch (UTC)")


class Values(BaseModel):
    mean: float | None
    std: float | None
    count: int = Field(description="values that were looked at")
    missing: float = Field(description="share of values that are no numbers, or endless ones")
    bins: list[int] = Field(description="values up to each of `edges`, and above the last")


class FeatureView(Values):
    name: str = Field(description="of an input; with a column (`x[2]`), or `brightness`, `contrast`, `channel0`, "
                                  "`length`, `mean`, `spread` of one")
    psi: float | None = Field(description="population stability index of the last day against the first week; 0.1: "
                                          "somewhat another, 0.25: another; null: too few values, or the first week is "
                                          "not over")
    shift: float | None = Field(description="how far the mean went, in standard deviations of the first week; null "
                                            "while that is not over")
    edges: list[float] | None = Field(description="of the bins, made of the first values that came")
    first_week: Values


class DriftView(BaseModel):
    since: float = Field(description="s since the epoch: the first request")
    until: float = Field(description="end of the first week")
    complete: bool = Field(description="whether the first week is over, and has enough inputs")
    samples: int = Field(description="inputs that the first week has")
    recent: int = Field(description="inputs of the last day; once the first week is over, those after it")
    psi: float | None = Field(description="the largest of `inputs`; null while the first week is not over")
    inputs: list[FeatureView]


class Verdicts(BaseModel):
    right: int
    wrong: int


class WatchView(Counted):
    model: str = Field(description="name@number")
    days: list[Day] = Field(description="those with requests, the oldest first")
    drift: DriftView | None = Field(description="null: nothing was looked at yet")
    feedback: Verdicts


class NewFeedback(BaseModel):
    model_config = ConfigDict(extra="forbid")
    verdict: Verdict
    comment: str = Field("", max_length=TEXT, description="plain")
    input: Any = Field(None, description="what was asked; kept where the model's owner collects samples")
    expected: Any = Field(None, description="what the answer should have been; likewise")


class Given(BaseModel):
    id: str
    verdict: Verdict
    sample: bool = Field(description="whether `input` and `expected` were kept")


class FeedbackView(BaseModel):
    id: str
    name: str = Field(description="who said it")
    verdict: Verdict
    comment: str = Field(description="plain: to be shown as text, never as HTML")
    sample: dict[str, Any] | None = Field(description="`input`, `expected`")
    at: float = Field(description="s since the epoch")


class FeedbackPage(BaseModel):
    feedback: list[FeedbackView] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


class Wishes(BaseModel):
    model_config = ConfigDict(extra="forbid")
    collect_samples: bool = Field(description="whether inputs that people send with their feedback are kept")


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")
    metric: Literal["error_rate", "p95_ms", "drift_psi", "wrong_share"]
    above: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    over_s: int = Field(300, ge=60, le=86400, description="s that are looked at; of drift, an hour at least")
    min_requests: int = Field(10, ge=1, le=1_000_000, description="with fewer, nothing changes; of drift, inputs that "
                              "were looked at, of wrong_share, people who gave a verdict")
    version: int | None = Field(None, ge=1, le=999_999_999, description="null: all of the model's")
    webhook: str = Field("", max_length=2000, description="where it is posted; empty: it is in the audit log alone")


class AlertView(Rule):
    id: str
    state: Literal["well", "firing"]
    value: float | None = Field(description="when the state began")
    since: float = Field(description="s since the epoch: the state")
    detail: str = Field(description="why the webhook could not be reached")


class Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rules: list[Rule] = Field(max_length=16)


class AlertList(BaseModel):
    alerts: list[AlertView]


def watch_of(request: Request) -> Any:
    """Raises `Unavailable` while the server starts or stops."""
    watch = getattr(request.app.state, "watch", None)
    if watch is None:
        raise Unavailable("nothing is watched yet", retry_after=2)
    return cast("Watch", watch)


WatchDep = Annotated[Any, Depends(watch_of)]  # a Watch, whose module imports the database


async def _number(hub: HubDep, caller: CallerDep, name: Name, which: Which) -> int:
    return int(await hub.catalogue.number(caller, name, which))


Number = Annotated[int, Depends(_number)]


@router.get("/versions/{which}/watch")
async def get_watch(name: Name, number: Number, watch: WatchDep, caller: CallerDep,
                    days: Annotated[int, Query(ge=1, le=800)] = 30) -> WatchView:
    """Requests, errors, latency, drift of inputs and feedback of one version, for the model's owner."""
    caller.need("models:read")
    return WatchView.model_validate(await watch.of(caller, name, number, days))


@router.delete("/versions/{which}/watch/baseline", status_code=204)
async def begin_baseline(name: Name, number: Number, watch: WatchDep, caller: CallerDep) -> Response:
    """Forget the first week: the next one is what inputs are compared with."""
    caller.need("models:write")
    await watch.begin_anew(caller, name, number)
    return Response(status_code=204)


@router.get("/feedback")
async def get_wishes(name: Name, watch: WatchDep, caller: CallerDep) -> Wishes:
    """Whether the model's owner collects samples."""
    caller.need("models:read")
    return Wishes(collect_samples=await watch.feedback.collects(caller, name))


@router.put("/feedback")
async def put_wishes(name: Name, wishes: Wishes, hub: HubDep, watch: WatchDep, caller: CallerDep) -> Wishes:
    """By the model's owner. Off, unless it was put on; samples that are there stay."""
    caller.need("models:write")
    await watch.feedback.collect(caller, name, wishes.collect_samples)
    await hub.audit(caller, "model.samples", name, collect=wishes.collect_samples)
    return wishes


@router.post("/versions/{which}/feedback", status_code=201)
async def give_feedback(name: Name, number: Number, new: NewFeedback, watch: WatchDep, caller: CallerDep) -> Given:
    """Say whether an answer was right. `input` and `expected` are kept only where the owner collects them."""
    caller.need("models:read")
    sample = {key: getattr(new, key) for key in ("input", "expected") if key in new.model_fields_set}
    said = await watch.feedback.give(caller, name, number, new.verdict, new.comment, **sample)
    return Given(id=said.id, verdict=said.verdict, sample=said.sample is not None)


@router.get("/versions/{which}/feedback")
async def list_feedback(name: Name, number: Number, request: Request, response: Response, watch: WatchDep,
                        caller: CallerDep, verdict: Verdict | None = None, cursor: CursorQuery = None,
                        limit: LimitQuery = 50) -> FeedbackPage:
    """What people said, for the model's owner."""
    caller.need("models:read")
    found = await watch.feedback.find(caller, name, number, limit + 1, verdict=verdict,
                                      after=decode(cursor, float, str))
    rows, following = page(found, limit, lambda each: (each.at, each.id))
    link(request, response, following)
    return FeedbackPage(next=following, feedback=[
        FeedbackView(id=each.id, name=each.name, verdict=each.verdict, comment=each.comment, sample=each.sample,
                     at=each.at) for each in rows])


@router.get("/versions/{which}/feedback/samples", response_class=StreamingResponse, responses={
    200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}})
async def download_samples(name: Name, number: Number, watch: WatchDep, caller: CallerDep) -> Response:
    """All samples, an object in each line, the newest first; for the model's owner."""
    caller.need("models:read")
    first = await watch.feedback.find(caller, name, number, 50, samples=True)

    async def lines() -> AsyncIterator[bytes]:
        rows = first
        while rows:
            yield await asyncio.to_thread(_lines, rows)
            rows = await watch.feedback.find(caller, name, number, 50, samples=True, after=(rows[-1].at, rows[-1].id))

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers={
        "Content-Disposition": f'attachment; filename="{name}-{number}.jsonl"', "X-Content-Type-Options": "nosniff"})


@router.delete("/versions/{which}/feedback", status_code=204)
async def delete_all_feedback(name: Name, number: Number, hub: HubDep, watch: WatchDep, caller: CallerDep) -> Response:
    """All that was said of the version, by the model's owner."""
    caller.need("models:write")
    count = await watch.feedback.delete(caller, name, number)
    await hub.audit(caller, "model.feedback.deleted", f"{name}@{number}", count=count)
    return Response(status_code=204)


@router.delete("/versions/{which}/feedback/{feedback_id}", status_code=204)
async def delete_feedback(name: Name, number: Number, feedback_id: FeedbackId, watch: WatchDep, caller: CallerDep
                          ) -> Response:
    """One's own, or any of one's own model."""
    caller.need("models:read")
    await watch.feedback.delete(caller, name, number, feedback_id)
    return Response(status_code=204)


@router.get("/alerts", response_model=AlertList)
async def list_alerts(name: Name, request: Request, response: Response, watch: WatchDep, caller: CallerDep) -> Any:
    """For the model's owner: rules, and which of them fire."""
    from ...watch import alerts

    caller.need("models:read")
    found = await watch.alerts.of(caller, name)
    return seen(request, response, alerts.revision(found), _shown(found))


@router.put("/alerts")
async def put_alerts(name: Name, rules: Rules, response: Response, watch: WatchDep, settings: SettingsDep,
                     caller: CallerDep, if_match: IfMatch = None) -> AlertList:
    """In place of all that there are. A webhook is told once when a rule fires, and once when it is well again."""
    from ...watch import alerts

    caller.need("models:write")
    await watch.alerts.of(caller, name)  # nothing is looked up for whoever may not
    for place, webhook in enumerate(rule.webhook for rule in rules.rules):
        await _reachable(webhook, settings, f"rules[{place}].webhook")
    wanted = [alerts.Rule(**rule.model_dump()) for rule in rules.rules]
    found = await watch.alerts.put(caller, name, wanted, revision(if_match))
    return tagged(response, alerts.revision(found), _shown(found))


@router.delete("/alerts", status_code=204)
async def delete_alerts(name: Name, watch: WatchDep, caller: CallerDep) -> Response:
    caller.need("models:write")
    await watch.alerts.put(caller, name, [])
    return Response(status_code=204)


async def _reachable(webhook: str, settings: Settings, field: str) -> None:
    """Raises `InvalidInput` for an address that nothing would be posted to; it is looked at again then."""
    if not webhook:
        return
    try:
        target = target_of(webhook, settings)
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=field) from None
    try:
        found = await asyncio.wait_for(resolved(target.host, target.port or 443), LOOKUP)
    except (OSError, UnicodeError, TimeoutError):
        return  # a name may be known later
    if not settings.webhook_private and not all(is_public(address) for address in found):
        raise InvalidInput(f"{target.host} is in a private network", field=field)


def _lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps({"id": row.id, "version": row.version, "verdict": row.verdict, "comment": row.comment,
                               "at": row.at, **row.sample}) + "\n" for row in rows).encode()


def _shown(alerts: list[Any]) -> AlertList:
    return AlertList(alerts=[
        AlertView(id=each.id, state=each.state, value=each.value, since=each.since, detail=each.detail,
                  **{name: getattr(each.rule, name) for name in Rule.model_fields}) for each in alerts])
