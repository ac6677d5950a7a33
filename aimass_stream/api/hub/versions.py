"""/v1/hub/models/{name}/versions: what was uploaded, what became of it, its files and its graph."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from ...errors import Conflict, InvalidInput, NotFound
from ...hub.compare import compared
from ...hub.records import TEXT, State, Version
from ...inference.contract import TensorSpec
from ..deps import CallerDep
from ..etags import unchanged
from ..predict import pictured
from ..problems import RESPONSES
from ..repeats import CreatingRoute
from ..values import picture_input
from .parts import HubDep, Name, Number, Which

router = APIRouter(prefix="/v1/hub/models/{name}", tags=["models"], responses=RESPONSES, route_class=CreatingRoute)

WAIT = 30.0  # s that a trial waits for its turn
MOST_VALUES = 1 << 20  # of an output that is answered as JSON


class FileView(BaseModel):
    path: str
    size: int = Field(description="bytes")
    sha256: str


class VersionView(BaseModel):
    name: str
    number: int
    model: str = Field(description="as a pipeline or a request names it: name@number")
    state: State
    reason: str = Field(description="why it was refused, or why it counts as code")
    progress: float | None = Field(description="0 to 1, while it is being checked")
    message: str = Field(description="what is being done")
    note: str
    created: float = Field(description="s since the epoch")
    format: str = Field(description="onnx, safetensors, ctranslate2, caffe, tensorflow, darknet, skops, pickle...")
    engine: str
    size: int = Field(description="bytes of all files")
    facts: dict[str, Any] = Field(description="parameters, opset...; `trial`: ms of a run on the example, its outputs")


class VersionDetail(VersionView):
    files: list[FileView]
    manifest: dict[str, Any] = Field(description="inputs, outputs, capabilities, options, example")


class VersionMade(VersionDetail):
    job: str | None = Field(description="that shows the check in /v1/jobs: how far it is, its end, and ending it")


class VersionList(BaseModel):
    versions: list[VersionView] = Field(description="the newest first")


class NewVersion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    uploads: dict[str, str] = Field(max_length=64, description="ids of uploads by the names of files; or one archive "
                                    "(zip, tar)", examples=[{"model.onnx": "upl_1"}])
    manifest: dict[str, Any] = Field(default={}, description="what files don't tell: engine, options, inputs, outputs, "
                                     "capabilities, card, example (a value for each input)")
    note: str = Field("", max_length=TEXT, description="what is new")


class Trial(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: Any = Field(description="an object with a value for each input; the bare value, where there is one input; "
                       "of one that takes pictures also a picture's file in base64, or as a data URL")


class TrialView(BaseModel):
    output: dict[str, Any]
    ms: float = Field(description="of the run, with its wait for a turn")
    model: str


@router.get("/versions")
async def list_versions(name: Name, hub: HubDep, caller: CallerDep) -> VersionList:
    caller.need("models:read")
    found = await hub.catalogue.versions(caller, name)
    return VersionList(versions=[VersionView(**_told(hub, each)) for each in found])


@router.post("/versions", status_code=202)
async def submit_version(name: Name, new: NewVersion, response: Response, hub: HubDep, caller: CallerDep
                         ) -> VersionMade:
    """A new version of files that were uploaded. It is checked and tried in a sandbox, then it is `ready`, `refused`
    with a reason, or `quarantined`, because it is code."""
    caller.need("models:write")
    version = await hub.submit(caller, name, new.uploads, new.manifest, new.note)
    response.headers["Location"] = f"/v1/hub/models/{name}/versions/{version.number}"
    job = None if hub.following is None else await hub.following.check(caller, version)
    return VersionMade(**_detail(hub, version).model_dump(), job=None if job is None else job.id)


@router.get("/versions/{which}", response_model=VersionDetail)
async def get_version(name: Name, which: Which, request: Request, response: Response, hub: HubDep, caller: CallerDep
                      ) -> Any:
    caller.need("models:read")
    version = await _found(hub, caller, name, which)
    done = f"{version.id}-{version.state}-{hub.importer.progress.get(version.id, ('', ''))[1]}"
    return unchanged(request, response, done) or _detail(hub, version)


@router.delete("/versions/{number}", status_code=204)
async def delete_version(name: Name, number: Number, hub: HubDep, caller: CallerDep) -> Response:
    """409 while an alias or a session uses it, and says which."""
    caller.need("models:write")
    await hub.delete_version(caller, name, number)
    return Response(status_code=204)


@router.get("/versions/{which}/graph")
async def get_graph(name: Name, which: Which, hub: HubDep, caller: CallerDep) -> Response:
    """What can be looked at: `nodes` (name, kind, inputs, outputs), `tensors` (name, dtype, shape, bytes), `inputs`,
    `outputs`, `between` (name, dtype, shape), and how many there are (`count`), for the largest are cut."""
    caller.need("models:read")
    version = await _found(hub, caller, name, which)
    return Response(await _graph(hub, version), media_type="application/json",
                    headers={"ETag": f'"{version.graph}"', "Cache-Control": "private, max-age=86400"})


@router.get("/versions/{which}/files/{path:path}")
async def get_file(name: Name, which: Which, path: Annotated[str, Path(max_length=500)], hub: HubDep, caller: CallerDep
                   ) -> Response:
    """One file as it is; a Range may be asked for."""
    caller.need("models:read")
    version = await _found(hub, caller, name, which)
    file = next((each for each in version.plain if each.path == path), None)
    if file is None:
        raise NotFound(f"{version.served} has no file {path[:100]!r}", field="path")
    kept_apart = version.state == "quarantined" or (version.state != "ready" and "code" in version.facts)
    if kept_apart and not caller.owns((await hub.catalogue.get(caller, name)).owner):
        raise Conflict(f"{version.served} is {version.state}: {version.reason}", field="version")
    await hub.catalogue.downloaded(version.model)
    local = hub.plain(version, path)
    place = await local.__aenter__()
    return FileResponse(place, media_type="application/octet-stream", filename=path.rpartition("/")[2], headers={
        "ETag": f'"{file.sha256}"', "X-Content-Type-Options": "nosniff"},
        background=BackgroundTask(local.__aexit__, None, None, None))


@router.post("/versions/{which}/try")
async def try_version(name: Name, which: Which, trial: Trial, hub: HubDep, caller: CallerDep) -> TrialView:
    """Run a version that is ready once, whether it is deployed or not. Live sessions go first."""
    caller.need("models:read")
    version = await _found(hub, caller, name, which)
    if version.state != "ready" or version.format == "folder":
        raise Conflict(f"{version.served} is {version.state}" if version.format != "folder" else
                       f"{name} is built in: it has routes of its own", field="version")
    entry = await hub.deployments.places.lay_out(version)
    value, picture = trial.input, picture_input(entry)
    if picture is not None and isinstance(value, dict) and set(value) == {picture.spec.name}:
        value = value[picture.spec.name]
    await hub.engine.load(version.served)
    model = hub.engine.models()[version.served]
    batch = await pictured(picture, value) if picture is not None and isinstance(value, str) else (
        await run_in_threadpool(_batch, model.inputs, value))
    begun = time.perf_counter()
    made = await hub.engine.submit(version.served, batch, session=f"trial {caller.name}", background=True,
                                   deadline=time.monotonic() + WAIT)
    took = time.perf_counter() - begun
    return TrialView(output=await run_in_threadpool(_json, made), ms=round(took * 1000, 3), model=version.served)


@router.get("/compare")
async def compare_versions(name: Name, hub: HubDep, caller: CallerDep, a: Annotated[str, Query(max_length=64)],
                           b: Annotated[str, Query(max_length=64)]) -> dict[str, Any]:
    """What differs between two versions: sizes, speed, inputs and outputs, files, weights, and the trial's answers."""
    caller.need("models:read")
    one, other = [await _found(hub, caller, name, which) for which in (a, b)]
    graphs = [await _graph(hub, version) if version.graph else b"{}" for version in (one, other)]
    return await run_in_threadpool(compared, one, other, *graphs)


async def _found(hub: Any, caller: Any, name: str, which: str) -> Version:
    found: Version = await hub.catalogue.version(caller, name, await hub.catalogue.number(caller, name, which))
    return found


async def _graph(hub: Any, version: Version) -> bytes:
    if version.graph is None:
        raise NotFound(f"there is no graph of {version.served}", field="version")
    async with hub.blobs.local(version.graph) as place:
        return await asyncio.to_thread(place.read_bytes)


def _batch(inputs: tuple[TensorSpec, ...], given: Any) -> dict[str, np.ndarray[Any, Any]]:
    if any(spec.dtype == "object" for spec in inputs):
        raise InvalidInput("this model takes no tensors: try it in a session", field="input")
    values = given if isinstance(given, dict) else {inputs[0].name: given} if len(inputs) == 1 else {}
    batch = {}
    for spec in inputs:
        if spec.name not in values:
            raise InvalidInput(f"a value for {spec.name} is missing", field=f"input.{spec.name}")
        try:
            batch[spec.name] = np.asarray(values[spec.name], spec.dtype)
        except (ValueError, TypeError, OverflowError):
            raise InvalidInput(f"{spec.name} is no array of {spec.dtype}", field=f"input.{spec.name}") from None
    return batch


def _json(made: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """Numbers that are none become null: JSON has no others."""
    told: dict[str, Any] = {}
    for name, values in made.items():
        if values.size > MOST_VALUES:
            told[name] = {"shape": list(values.shape), "left_out": f"more than {MOST_VALUES} values"}
        else:
            shown = values.astype(object)
            if values.dtype.kind == "f":
                shown[~np.isfinite(values)] = None
            told[name] = shown.tolist()
    return told


def _told(hub: Any, version: Version) -> dict[str, Any]:
    share, message = hub.importer.progress.get(version.id, (0.0, "waiting for its turn"))
    waits = version.state == "checking"
    return {"name": version.name, "number": version.number, "model": version.served, "state": version.state,
            "reason": version.reason, "progress": share if waits else None, "message": message if waits else "",
            "note": version.note, "created": version.created, "format": version.format, "engine": version.engine,
            "size": version.size, "facts": version.facts}


def _detail(hub: Any, version: Version) -> VersionDetail:
    return VersionDetail(**_told(hub, version), manifest=version.manifest, files=[
        FileView(path=file.path, size=file.size, sha256=file.sha256) for file in version.plain])
