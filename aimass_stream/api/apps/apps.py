"""/v1/apps: saved pipelines with a name; drafts, versions and lists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ...ports import Caller
from ..cursors import CursorQuery, LimitQuery, decode, link, page
from ..deps import CallerDep
from ..etags import IfMatch, revision, seen, tagged
from ..problems import RESPONSES
from ..repeats import CreatingRoute
from .parts import AppDetail, AppPage, AppsDep, AppView, Number, Ref, VersionList, VersionView, shown

router = APIRouter(prefix="/v1/apps", tags=["apps"], responses=RESPONSES, route_class=CreatingRoute)

APART = 1_000_000  # more than the changes of a version
Sort = Literal["new", "used", "featured", "name"]
KINDS: dict[str, tuple[type, type]] = {"new": (float, str), "used": (int, str), "featured": (float, str),
                                       "name": (str, str)}
EXAMPLE = {"name": "Soft focus", "pipeline": [{"stage": "blur", "id": "soft", "sigma": 4}],
           "parameters": {"softness": {"path": "soft.sigma", "maximum": 20}}, "permissions": ["camera"],
           "example": {"input": {"picture": {"draw": "EXIT"}}, "expect": {"video": 1, "changed": True}}}
MANIFEST = ("name, summary, description (Markdown), tags, pipeline, parameters (name → path `ID.PARAMETER`, title, "
            "description, minimum, maximum, max_length, enum), permissions, example, embed, latency_ms")


class NewApp(BaseModel):
    model_config = ConfigDict(extra="forbid")
    slug: str | None = Field(None, max_length=64, description="in addresses; made of the name where it is left out")
    manifest: dict[str, Any] = Field(description=MANIFEST, examples=[EXAMPLE])


class NewVersion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    manifest: dict[str, Any] | None = Field(None, description="left out: as the version before")


class DraftChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    manifest: dict[str, Any] = Field(description=f"the whole of it: {MANIFEST}", examples=[EXAMPLE])


@router.get("")
async def find_apps(request: Request, response: Response, apps: AppsDep, caller: CallerDep,
                    q: Annotated[str, Query(max_length=200, description="words that are all in it")] = "",
                    mine: bool = False, sort: Sort = "new", cursor: CursorQuery = None,
                    limit: LimitQuery = 50) -> AppPage:
    """What is published: the newest, the most used, the featured, by name. `mine`: one's own, drafts as well."""
    caller.need("apps:read")
    found = await apps.find(caller, q, mine, sort, limit + 1, decode(cursor, *KINDS[sort]))
    rows, following = page(found, limit, lambda pair: (_position(pair[0], sort, mine), pair[0].id))
    link(request, response, following)
    return AppPage(apps=[AppView(**told(caller, *row)) for row in rows], next=following)


@router.post("", status_code=201)
async def create_app(body: NewApp, response: Response, apps: AppsDep, caller: CallerDep) -> VersionView:
    """A draft, which only its owner and reviewers can see and try."""
    caller.need("apps:write")
    app, version = await apps.catalogue.create(caller, body.manifest, body.slug)
    response.headers["Location"] = f"/v1/apps/{app.id}"
    return _tagged(response, version)


@router.get("/{ref}", response_model=AppDetail)
async def get_app(ref: Ref, request: Request, response: Response, apps: AppsDep, caller: CallerDep,
                  version: Annotated[int | None, Query(ge=1, le=999_999_999)] = None) -> Any:
    """What is published; for those who work on it also another version, and while none is, the newest."""
    caller.need("apps:read")
    app, found = await apps.catalogue.version(caller, ref, version)
    manifest = found.manifest
    insider = caller.owns(app.owner) or "apps:review" in caller.scopes
    return seen(request, response, _number(found), AppDetail(
        **told(caller, app, found), description=manifest["description"], pipeline=manifest["pipeline"],
        parameters=manifest["parameters"], schema=apps.schema(found), example=manifest["example"],
        embed=manifest["embed"], latency_ms=manifest["latency_ms"], revision=found.revision,
        reason=(app.reason or found.reason) if insider else ""))


@router.delete("/{ref}", status_code=204)
async def delete_app(ref: Ref, apps: AppsDep, caller: CallerDep) -> Response:
    """With all its versions. 409 while it is published."""
    caller.need("apps:write")
    await apps.catalogue.delete(caller, ref)
    return Response(status_code=204)


@router.get("/{ref}/versions")
async def list_versions(ref: Ref, apps: AppsDep, caller: CallerDep) -> VersionList:
    """The newest first; to the public, what is published."""
    caller.need("apps:read")
    _, versions = await apps.catalogue.versions(caller, ref)
    return VersionList(versions=[shown(each) for each in versions])


@router.post("/{ref}/versions", status_code=201)
async def begin_version(ref: Ref, body: NewVersion, response: Response, apps: AppsDep,
                        caller: CallerDep) -> VersionView:
    """A further draft, while what is published stays so. 409 while one is on its way."""
    caller.need("apps:write")
    return _tagged(response, await apps.catalogue.begin_version(caller, ref, body.manifest))


@router.put("/{ref}/versions/{number}")
async def change_draft(ref: Ref, number: Number, body: DraftChange, response: Response, apps: AppsDep,
                       caller: CallerDep, if_match: IfMatch = None) -> VersionView:
    """A draft, or what was rejected, which is then a draft again. With `If-Match` nobody's change is overwritten."""
    caller.need("apps:write")
    seen_of = _revision(number, if_match)
    return _tagged(response, await apps.catalogue.revise(caller, ref, number, body.manifest, seen_of))


def told(caller: Caller, app: Any, version: Any) -> dict[str, Any]:
    manifest = version.manifest
    state = "suspended" if app.suspended is not None else "published" if app.live is not None else version.state
    return {"id": app.id, "slug": app.slug, "name": manifest["name"], "summary": manifest["summary"],
            "tags": manifest["tags"], "permissions": manifest["permissions"], "owner": app.owner,
            "mine": caller.owns(app.owner), "state": state, "version": version.number, "live": app.live,
            "featured": app.featured, "used": app.used, "created": app.created, "updated": app.updated,
            "published": app.published}


def _tagged(response: Response, version: Any) -> VersionView:
    return tagged(response, _number(version), shown(version))


def _position(app: Any, sort: Sort, mine: bool) -> str | int | float:
    found: str | int | float = {"used": app.used, "name": app.name}.get(
        sort, app.updated if mine else app.published or 0.0)
    return found


def _number(version: Any) -> int:
    """Of the app's page, which is that of one version: what was seen of another one is not this."""
    return int(version.number * APART + version.revision)


def _revision(number: int, if_match: str | None) -> int | None:
    """Of the version; -1, which none has, where another one was seen."""
    whole = revision(if_match)
    if whole is None:
        return None
    return whole % APART if whole // APART == number else -1
