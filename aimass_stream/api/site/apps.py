"""/apps: the gallery, an app's own page, and /review, what waits for a reviewer."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from ...hub.cards import rendered
from ..apps import apps as gallery
from ..apps import health as doing
from ..apps import requests as wishes
from ..apps import review
from ..apps.parts import AppsDep
from ..cursors import CursorQuery
from ..deps import CallerDep
from ..pages import serve
from .drawn import draw, people_of
from .drawn import router as page_router

router = page_router()

ROWS = 24  # apps of a page
WORKER = "aimass-worker"  # what app-install.js calls its policy of trusted types
DAYS = 30  # of an app's charts
ALLOWS = {"camera": "camera", "microphone": "microphone", "screen": "display-capture"}  # of a frame, by permission
KINDS = {"boolean": "flag", "integer": "number", "number": "number", "string": "text"}

Ref = Annotated[str, Path(max_length=64)]


@router.get("/apps")
async def find(request: Request, apps: AppsDep, caller: CallerDep, q: Annotated[str, Query(max_length=200)] = "",
               mine: bool = False, sort: gallery.Sort = "new", cursor: CursorQuery = None) -> Response:
    found = await gallery.find_apps(request, Response(), apps, caller, q, mine, sort, cursor, ROWS)
    asked = {"q": q, "mine": "true" if mine else "", "sort": sort}
    more = urlencode({name: value for name, value in (asked | {"cursor": found.next}).items() if value})
    return await draw(request, "apps.html", caller, apps=found.apps, asked=asked, more=more if found.next else "",
                      may_add="apps:write" in caller.scopes, may_review="apps:review" in caller.scopes)


@router.get("/review")
async def queue(request: Request, apps: AppsDep, caller: CallerDep) -> Response:
    return await draw(request, "review.html", caller, waiting=(await review.list_queue(apps, caller)).waiting)


@router.get("/requests")
async def requests(request: Request, apps: AppsDep, caller: CallerDep, cursor: CursorQuery = None) -> Response:
    """Asking the operator; for an admin, what everybody asks."""
    found = await wishes.list_requests(request, Response(), apps, caller, None, "admin" in caller.scopes, cursor, ROWS)
    return await draw(request, "requests.html", caller, requests=found.requests, next=found.next,
                      names=people_of(request))


@router.get("/apps/worker.js")
def worker(request: Request) -> Response:
    """Here, because a service worker is for what lies beside and below it."""
    return serve(request, "js/app-worker.js")


@router.get("/apps/offline")
async def offline(request: Request) -> Response:
    """What the worker keeps for when there is no network."""
    return await draw(request, "offline.html")


@router.get("/apps/{ref}")
async def show(ref: Ref, request: Request, apps: AppsDep, caller: CallerDep,
               version: Annotated[int | None, Query(ge=1, le=999_999_999)] = None) -> Response:
    """The app itself, to be used; and what is to be done with it, for those whose own it is."""
    app = await gallery.get_app(ref, request, Response(), apps, caller, version)
    versions = (await gallery.list_versions(ref, apps, caller)).versions if app.mine else []
    live = app.live == app.version and app.state == "published"
    may_review = "apps:review" in caller.scopes
    health = await doing.get_health(ref, apps, caller, DAYS) if app.mine or may_review else None
    return await draw(request, "app.html", caller, app=app, versions=versions, live=live,
                      called=app.slug if live else f"{app.id}@{app.version}",
                      about=await run_in_threadpool(rendered, app.description), fields=_fields(app.schema_),
                      health=health, days=[] if health is None else [day.model_dump() for day in health.days],
                      may_review=may_review and app.live is not None, allows=ALLOWS,
                      frames=app.embed if live else (), types=WORKER if live else "'none'",
                      example=(app.example or {}).get("input") or {})


@router.get("/apps/{ref}/app.webmanifest")
async def manifest(ref: Ref, request: Request, apps: AppsDep, caller: CallerDep) -> Response:
    """What makes it an app of a phone (W3C Web Application Manifest)."""
    app = await gallery.get_app(ref, request, Response(), apps, caller, None)
    told = {"name": app.name, "short_name": app.name[:24], "description": app.summary, "display": "standalone",
            "start_url": f"/apps/{app.slug}", "scope": f"/apps/{app.slug}", "background_color": "#121412",
            "theme_color": "#121412", "icons": [{"src": "/web/images/icon.svg", "sizes": "any",
                                                 "type": "image/svg+xml"}]}
    return JSONResponse(told, media_type="application/manifest+json", headers={"Cache-Control": "private, no-cache"})


def _fields(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """What a page can set: choices, numbers, words, and what is on or off."""
    found = []
    for name, each in (schema.get("properties") or {}).items():
        kind = "choice" if each.get("enum") else KINDS.get(str(each.get("type")))
        if kind is not None:
            found.append({"name": name, "kind": kind, "title": each.get("title") or name, "schema": each,
                          "hint": each.get("description", ""), "value": each.get("default")})
    return found
