"""/models: the catalogue, a model with its versions, and the way in for new ones."""

from __future__ import annotations

import math
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from ...errors import Conflict, NotFound
from ...hub.records import PRODUCTION, VISIBILITIES, Sort
from .. import predict
from ..cursors import CursorQuery
from ..deps import CallerDep
from ..hub import deployments, opinions, versions, watch
from ..hub import models as catalogue
from ..hub.parts import HubDep
from ..hub.watch import WatchDep
from ..values import picture_input
from .drawn import draw, people_of
from .drawn import router as page_router
from .kinds import SPEECH, WHOLE, innermost, live, sound_of

router = page_router()

ROWS = 24  # models of a page
HISTORY = 12  # deployments of an alias
MOST_SHOWN = 256  # numbers of an example that is made up

Word = Annotated[str, Query(max_length=100)]
Name = Annotated[str, Path(max_length=64)]


@router.get("/models")
async def find(request: Request, hub: HubDep, caller: CallerDep, q: Word = "", task: Word = "", tag: Word = "",
               mine: bool = False, sort: Sort = "updated", cursor: CursorQuery = None) -> Response:
    found = await catalogue.find_models(request, Response(), hub, caller, q, task, tag, "", mine, None, sort, cursor,
                                        ROWS)
    entries = await run_in_threadpool(hub.store.entries)
    tasks = {entry.task for entry in entries} | {model.task for model in found.models} | {task}
    asked = {"q": q, "task": task, "tag": tag, "mine": "true" if mine else "", "sort": sort}
    states = await hub.catalogue.newest([each.name for each in found.models if each.mine and not each.built_in])
    more = urlencode({name: value for name, value in (asked | {"cursor": found.next}).items() if value})
    return await draw(request, "models.html", caller, models=found.models, states=states, asked=asked,
                      tasks=sorted(tasks - {""}), tags=(await catalogue.list_tags(hub, caller))[:16],
                      more=more if found.next else "", may_add="models:write" in caller.scopes)


@router.get("/models/new")
async def new(request: Request, caller: CallerDep) -> Response:
    caller.need("models:write")
    return await draw(request, "upload.html", caller, name="", visibilities=VISIBILITIES)


@router.get("/models/{name}/upload")
async def upload(name: Name, request: Request, hub: HubDep, caller: CallerDep) -> Response:
    """A new version."""
    caller.need("models:write")
    model = await hub.catalogue.get(caller, name)
    if model.built_in or not caller.owns(model.owner):
        raise Conflict(f"{name} is not yours to change")
    return await draw(request, "upload.html", caller, name=name, visibilities=VISIBILITIES)


@router.get("/models/{name}")
async def show(name: Name, request: Request, hub: HubDep, watching: WatchDep, caller: CallerDep,
               version: Annotated[int | None, Query(ge=1, le=999_999_999)] = None, cursor: CursorQuery = None
               ) -> Response:
    """One version of it: that which was asked for, or what the name stands for, or the newest."""
    model = await catalogue.get_model(name, request, Response(), hub, caller)
    listed = (await versions.list_versions(name, hub, caller)).versions
    number = version or model.deployed.get(PRODUCTION) or next((each.number for each in listed if each.state == "ready"
                                                                ), listed[0].number if listed else None)
    chosen = None if number is None else await versions.get_version(name, str(number), request, Response(), hub, caller)
    may_deploy = model.mine and not model.built_in and "models:deploy" in caller.scopes
    aliases = await deployments.list_aliases(name, hub, caller)
    histories = {each.alias: (await deployments.history(name, each.alias, request, hub, caller)).deployments[:HISTORY]
                 for each in aliases.aliases} if may_deploy else {}
    trial = None if chosen is None else await _trial(request, caller, model, chosen, hub)
    return await draw(
        request, "model.html", caller, model=model, versions=listed, chosen=chosen, visibilities=VISIBILITIES,
        trial=trial, collects=trial is not None and (await watch.get_wishes(name, watching, caller)).collect_samples,
        aliases=aliases, histories=histories, may_deploy=may_deploy, people=people_of(request),
        may_change=model.mine and not model.built_in and "models:write" in caller.scopes,
        comments=await opinions.list_comments(name, request, Response(), hub, caller, cursor, 20))


@router.get("/models/{name}/compare")
async def compare(name: Name, request: Request, hub: HubDep, caller: CallerDep,
                  a: Annotated[int | None, Query(ge=1, le=999_999_999)] = None,
                  b: Annotated[int | None, Query(ge=1, le=999_999_999)] = None) -> Response:
    """Two versions beside each other; where none are said, the one in use and the newest."""
    model = await catalogue.get_model(name, request, Response(), hub, caller)
    listed = (await versions.list_versions(name, hub, caller)).versions
    numbers = [each.number for each in listed]
    b = b or next((each for each in numbers if each != a), None)
    a = a or next((each for each in (model.deployed.get(PRODUCTION), *numbers) if each not in (None, b)), None)
    found = None if a is None or b is None else await versions.compare_versions(name, hub, caller, str(a), str(b))
    return await draw(request, "compare.html", caller, model=model, versions=listed, a=a, b=b, found=found)


async def _trial(request: Request, caller: Any, model: Any, version: Any, hub: Any) -> dict[str, Any] | None:
    """Where the version can be asked, and with which fields; None where it can't be, by a page."""
    built_in, task = model.built_in, model.task
    named = version.name if built_in else version.model
    if task == SPEECH and (built_in or _deployed(hub, named)):
        return {"path": "/v1/audio/transcriptions", "labels": [], "model": named, "live": live(task, named, False),
                "rows": 1, "fields": [WHOLE]}
    try:
        described = await predict.describe(named, request, caller)
    except NotFound:
        return None if built_in or version.state != "ready" else await _undeployed(version, hub, caller)
    fields = _fields(described.input, version.manifest.get("example") or {})
    entry = hub.store.get(version.name) if built_in else None
    return {"path": f"/predict/{named}", "model": "",
            "live": live(task, named, built_in or any(field["kind"] == "picture" for field in fields)),
            "labels": _labels(entry.options if entry else version.manifest.get("options")),
            "rows": entry.capabilities.max_batch if entry else (version.manifest.get("capabilities") or {}).get(
                "max_batch", 1), "fields": fields}


def _deployed(hub: Any, served: str) -> bool:
    try:
        return hub.deployments.entry(served) is not None
    except NotFound:
        return False


async def _undeployed(version: Any, hub: Any, caller: Any) -> dict[str, Any]:
    example = version.manifest.get("example") or {}
    entry = await hub.deployments.places.lay_out(await hub.catalogue.version(caller, version.name, version.number))
    picture = picture_input(entry)
    fields = [{"name": spec["name"], "kind": "array", "hint": f"{spec.get('dtype', '')} {_shape(spec)}".strip(),
               "value": example.get(spec["name"], _made_up(_axes(spec)))}
              for spec in version.manifest.get("inputs", ())]
    if picture is not None:
        fields = [{"name": picture.spec.name, "kind": "picture", "hint": "", "value": None}]
    return {"path": f"/v1/hub/models/{version.name}/versions/{version.number}/try", "model": "", "live": "",
            "labels": _labels(version.manifest.get("options")), "rows": 1, "fields": fields}


def _fields(schema: dict[str, Any], example: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each input; the only one of a model has no name."""
    if schema.get("type") == "object":
        return [_field(name, each, example.get(name)) for name, each in schema["properties"].items()]
    return [_field("", schema, next(iter(example.values())) if len(example) == 1 else None)]


def _field(name: str, schema: dict[str, Any], value: Any) -> dict[str, Any]:
    hint = schema.get("title") or schema.get("description", "")
    if schema.get("contentMediaType", "").startswith("image/"):
        return {"name": name, "kind": "picture", "hint": hint, "value": None}
    sound = sound_of(*innermost(schema))
    if sound is not None:
        return {"name": name, "kind": "sound", "hint": hint, "value": None, **sound}
    if schema["type"] == "string":
        return {"name": name, "kind": "text", "hint": hint, "value": value or ""}
    if value is None:
        shape, inner = [], schema
        while inner.get("type") == "array":
            shape.append(inner.get("minItems", 1))
            inner = inner["items"]
        value = _made_up(shape)
    return {"name": name, "kind": "array", "hint": hint, "value": value}


def _made_up(shape: list[int]) -> Any:
    """Noughts of that shape; nothing, where that would be too many to look at."""
    if math.prod(shape) > MOST_SHOWN:
        return None
    made: Any = 0
    for axis in reversed(shape):
        made = [made] * axis
    return made


def _axes(spec: dict[str, Any]) -> list[int]:
    """Those of any length, which may have a name, are 1."""
    return [axis if isinstance(axis, int) else 1 for axis in spec.get("shape") or ()]


def _shape(spec: dict[str, Any]) -> str:
    return "×".join(str(axis or "n") for axis in spec.get("shape") or ())


def _labels(options: Any) -> list[str]:
    """What the places of its answer are called."""
    found = (options or {}).get("labels")
    return found if isinstance(found, list) and all(isinstance(each, str) for each in found) else []
