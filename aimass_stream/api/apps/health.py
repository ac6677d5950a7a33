"""/v1/apps: how they do, their example, and one asked by REST."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ...errors import Forbidden
from ...ports import AppCall
from ..deps import CallerDep
from ..limits import LimitedRoute
from ..problems import RESPONSES
from .parts import AppsDep, Ref

router = APIRouter(prefix="/v1/apps", tags=["apps"], responses=RESPONSES, route_class=LimitedRoute)

INPUT = {"picture": {"draw": "EXIT 12"}, "count": 1}


class Counts(BaseModel):
    sessions: int
    runs: int = Field(description="by REST")
    probes: int
    failed: int
    error_rate: float | None = Field(description="share of all three that failed")
    seconds: float = Field(description="of sessions and runs")
    latency_ms: dict[str, float | None] = Field(description="p50, p95, p99 of the sessions' usual latency")


class Day(Counts):
    day: float = Field(description="its beginning in UTC, s since the epoch")


class Probe(BaseModel):
    at: float = Field(description="s since the epoch")
    passed: bool
    detail: str = Field(description="what was missing")
    seconds: float


class HealthView(Counts):
    days: list[Day]
    probe: Probe | None = Field(description="the last one")


class Probed(BaseModel):
    passed: bool
    detail: str
    seconds: float


class RunBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: dict[str, Any] = Field(description="as in an example: text, picture or sound", examples=[INPUT])
    parameters: dict[str, Any] | None = Field(None, max_length=64, description="those that the app exposes")
    within: float = Field(20, gt=0, le=60, description="s; what has come by then is the answer")


class RunAnswer(BaseModel):
    texts: list[str]
    frames: dict[str, int] = Field(description="that came, by kind")
    picture: str | None = Field(description="the last one, base64 of a JPEG")
    events: list[dict[str, Any]]
    seconds: float
    failures: int = Field(description="of its stages")


@router.get("/{ref}/health")
async def get_health(ref: Ref, apps: AppsDep, caller: CallerDep,
                     days: Annotated[int, Query(ge=1, le=366)] = 30) -> HealthView:
    """Traffic, errors, latency and the last probe: for those who work on it and reviewers."""
    caller.need("apps:read")
    app = await apps.catalogue.get(caller, ref)
    if not caller.owns(app.owner) and "apps:review" not in caller.scopes:
        raise Forbidden("how an app does is for those who work on it and for reviewers to see")
    return HealthView(**await apps.health.of(app.id, days))


@router.post("/{ref}/probe")
async def probe(ref: Ref, apps: AppsDep, caller: CallerDep,
                version: Annotated[int | None, Query(ge=1, le=999_999_999)] = None) -> Probed:
    """Run the example of a version, a draft as well, through a real session, and check the answer."""
    caller.need("media")
    passed, detail, seconds = await apps.probe(caller, ref, version)
    return Probed(passed=passed, detail=detail, seconds=round(seconds, 3))


@router.post("/{ref}/run")
async def run(ref: Ref, body: RunBody, apps: AppsDep, caller: CallerDep) -> RunAnswer:
    """One request in place of a session: something goes in, and what comes out of the app is the answer."""
    caller.need("media")
    came = await apps.run(caller, AppCall(ref, body.parameters), body.input, body.within)
    return RunAnswer(**await run_in_threadpool(apps.shown, came))
