"""/v1/apps: submitted, decided on by somebody else, published, suspended."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from ...ports import Caller
from ..deps import CallerDep
from ..limits import LimitedRoute
from ..problems import RESPONSES
from .apps import told
from .parts import AppsDep, AppView, Number, Reason, Ref, VersionView, shown

router = APIRouter(prefix="/v1/apps", tags=["apps"], responses=RESPONSES, route_class=LimitedRoute)


class Waiting(BaseModel):
    app: AppView
    version: VersionView
    own: bool


class Queue(BaseModel):
    waiting: list[Waiting]


class Featured(BaseModel):
    model_config = ConfigDict(extra="forbid")
    featured: bool


@router.get("/queue")
async def list_queue(apps: AppsDep, caller: CallerDep) -> Queue:
    """What waits for a reviewer, the longest first. `own`: another one has to decide."""
    caller.need("apps:review")
    return Queue(waiting=[Waiting(app=AppView(**told(caller, app, version)), version=shown(version),
                                  own=apps.is_own(caller, app, version))
                          for app, version in await apps.catalogue.queue()])


@router.post("/{ref}/versions/{number}/submit")
async def submit(ref: Ref, number: Number, apps: AppsDep, caller: CallerDep) -> VersionView:
    """A draft, for review. It has an example by then."""
    caller.need("apps:write")
    return shown(await apps.review.submit(caller, ref, number))


@router.post("/{ref}/versions/{number}/withdraw")
async def withdraw(ref: Ref, number: Number, apps: AppsDep, caller: CallerDep) -> VersionView:
    """What was submitted or approved is a draft again."""
    caller.need("apps:write")
    return shown(await apps.review.withdraw(caller, ref, number))


@router.post("/{ref}/versions/{number}/approve")
async def approve(ref: Ref, number: Number, body: Reason, apps: AppsDep, caller: CallerDep) -> VersionView:
    """By a reviewer whose own it is not (403)."""
    caller.need("apps:review")
    return shown(await apps.review.approve(caller, ref, number, body.reason))


@router.post("/{ref}/versions/{number}/reject")
async def reject(ref: Ref, number: Number, body: Reason, apps: AppsDep, caller: CallerDep) -> VersionView:
    """Likewise, and with a reason."""
    caller.need("apps:review")
    return shown(await apps.review.reject(caller, ref, number, body.reason))


@router.post("/{ref}/versions/{number}/publish")
async def publish(ref: Ref, number: Number, apps: AppsDep, caller: CallerDep) -> VersionView:
    """What was approved, by its owner. The version before is retired; sessions that it began go on."""
    caller.need("apps:write")
    return shown(await apps.review.publish(caller, ref, number))


@router.post("/{ref}/unpublish")
async def unpublish(ref: Ref, apps: AppsDep, caller: CallerDep) -> AppView:
    caller.need("apps:write")
    return await _view(apps, caller, await apps.review.unpublish(caller, ref))


@router.post("/{ref}/suspend")
async def suspend(ref: Ref, body: Reason, apps: AppsDep, caller: CallerDep) -> AppView:
    """By a reviewer, with a reason: nobody can use it until it is resumed."""
    caller.need("apps:review")
    return await _view(apps, caller, await apps.review.suspend(caller, ref, body.reason))


@router.post("/{ref}/resume")
async def resume(ref: Ref, body: Reason, apps: AppsDep, caller: CallerDep) -> AppView:
    """By a reviewer whose own it is not."""
    caller.need("apps:review")
    return await _view(apps, caller, await apps.review.resume(caller, ref, body.reason))


@router.put("/{ref}/featured")
async def feature(ref: Ref, body: Featured, apps: AppsDep, caller: CallerDep) -> AppView:
    """Show it first, or no longer. By a reviewer whose own it is not."""
    caller.need("apps:review")
    return await _view(apps, caller, await apps.review.feature(caller, ref, body.featured))


async def _view(apps: Any, caller: Caller, app: Any) -> AppView:
    return AppView(**told(caller, *await apps.catalogue.version(caller, app.id)))
