"""POST /predict/{model}: a model asked in the shortest way, ``{"input": ...}`` to ``{"output": ...}``."""

from __future__ import annotations

import json
import sys
import time
from contextlib import aclosing
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from .. import sandbox
from ..errors import InvalidInput, InvalidMedia, SandboxError, TooLarge
from ..fetching import fetched
from ..frames import Pixels
from ..inference import Batch, Entry, Model
from ..painting.files import unpack
from ..ports import Caller
from ..seeing.input import PictureInput
from ..settings import Settings
from . import pictures, values
from .deps import CallerDep, SettingsDep
from .oip import bodies
from .oip.infer import Infer
from .oip.offered import SERVED, Served, who
from .pictures import UploadRoute
from .problems import RESPONSES
from .uploads import Upload, form_of
from .values import Given

router = APIRouter(prefix="/predict", tags=["inference"], route_class=UploadRoute, responses=RESPONSES)

BODY = {"requestBody": {"required": True, "content": {
    "application/json": {"schema": {"type": "object", "required": ["input"], "additionalProperties": False,
                                    "properties": {"input": {"description": "as GET of the same address says"}}}},
    "multipart/form-data": {"schema": {"type": "object", "required": ["input"], "properties": {
        "input": pictures.FILE | {"description": f"a picture: {pictures.KINDS}"}}}}}}}


class Prediction(BaseModel):
    output: Any = Field(description="the only output, or an object of all; a picture is a data URL, a number that JSON "
                                    "does not have is null")


class Described(BaseModel):
    model: str
    version: str
    title: str
    task: str
    input: dict[str, Any] = Field(description="JSON Schema of `input`")
    output: dict[str, Any] = Field(description="JSON Schema of `output`")


def infer_of(request: Request) -> Infer:
    return cast(Infer, request.app.state.infer)


@router.get("")
async def describe_only(request: Request, settings: SettingsDep, caller: CallerDep) -> Described:
    """What the server's one model takes."""
    return await describe(_only(request, settings), request, caller)


@router.get("/{model}")
async def describe(model: str, request: Request, caller: CallerDep) -> Described:
    """What a model takes and answers, as JSON Schema."""
    caller.need("models:read")
    catalogue = infer_of(request).offered.catalogue
    served = catalogue.resolve(model, caller=caller)
    entry = catalogue.entry(served)
    return Described(model=served.name, version=served.version, title=entry.title, task=entry.task,
                     input=values.input_schema(entry), output=values.output_schema(entry))


@router.post("", response_model=Prediction, openapi_extra=BODY)
async def predict_only(request: Request, settings: SettingsDep, caller: CallerDep) -> Response:
    """Ask the server's one model: the only one it has, or that of the setting `predict`."""
    return await predict(_only(request, settings), request, settings, caller)


@router.post("/{model}", response_model=Prediction, openapi_extra=BODY)
async def predict(model: str, request: Request, settings: SettingsDep, caller: CallerDep) -> Response:
    """Ask a model. What does not fit is told with the schema of what would."""
    text, headers = await asked(model, request, settings, caller)
    return Response(text, media_type="application/json", headers=headers)


async def asked(model: str, request: Request, settings: Settings, caller: Caller) -> tuple[bytes, dict[str, str]]:
    """The answer as JSON, and its headers, in small letters."""
    caller.need("media")
    infer = infer_of(request)
    served = request.scope.get(SERVED) or infer.offered.catalogue.resolve(model, caller=caller)
    entry = infer.offered.catalogue.entry(served)
    begun = time.perf_counter()
    try:
        given = await _given(request, settings, infer, entry)
        ready = await infer.offered.loaded(served)
        results = await infer.offered.run(served, ready, given.inputs, caller=who(caller))
        text = await _written(infer, ready, results, given.bare)
    except (InvalidInput, InvalidMedia) as error:
        error.data.setdefault("input", values.input_schema(entry))
        raise
    finally:
        infer.asked(caller, served, time.perf_counter() - begun, sys.exception())
    headers = {"x-model": f"{served.name}@{served.version}"}
    return text, headers | {"x-model-reason": served.reason} if served.reason else headers


def at_once(infer: Infer, caller: Caller, served: Served, body: bytes, begun: float) -> bytes | None:
    """The answer, where `Offered.at_hand`. None, or an error, where it takes the usual way: nothing was counted then.
    """
    entry = infer.offered.catalogue.entry(served)
    model = infer.offered.engine.model(served.engine)
    if model is None or values.picture_input(entry) is not None or any(map(values.is_picture, model.outputs)):
        return None
    given = values.given(values.body_of(body), entry.inputs, entry.capabilities.batchable)
    results = infer.offered.engine.at_once(served.engine, given.inputs)
    if results is None or sum([array.size for array in results.values()]) > bodies.VALUES_HERE:
        return None
    text = values.dumped(values.answered(model, results, given.bare))
    infer.asked(caller, served, time.perf_counter() - begun)
    return text


def _only(request: Request, settings: Settings) -> str:
    names = infer_of(request).offered.catalogue.names()
    if settings.predict:
        return settings.predict
    if len(names) != 1:
        raise InvalidInput(f"this server has {len(names)} models: name one, as in POST /predict/"
                           f"{names[0] if names else 'NAME'}, or set AIMASS_PREDICT", field="model")
    return names[0]


async def _given(request: Request, settings: Settings, infer: Infer, entry: Entry) -> Given:
    picture = values.picture_input(entry)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        if picture is None:
            raise InvalidInput(f"{entry.name} takes no picture: send JSON", field="input")
        with pictures.Place():
            async with form_of(request, settings, ("input",)) as form:
                pixels = await pictures.read(pictures.only(form, "input"))
        return await _prepared(picture, pixels)
    body = await bodies.body_of(request.scope, request.receive, bodies.MOST_JSON)
    if picture is not None:
        value = values.body_of(body.data) if len(body.data) <= values.HERE else ""
        if not isinstance(value, str):
            return values.given(value, entry.inputs, entry.capabilities.batchable)
        with pictures.Place():
            if not value.startswith(("https://", "http://")):
                return await _prepared(picture, await _decoded(body.data))
            async with fetched(value, settings, pictures.MOST_BYTES) as file:
                return await _prepared(picture, await pictures.read(Upload("the picture", file, "input")))
    if len(body.data) <= values.HERE:
        return values.given(values.body_of(body.data), entry.inputs, entry.capabilities.batchable)
    packed = await infer.desk.child(values.in_child, body.data, entry.inputs, entry.capabilities.batchable)
    return await run_in_threadpool(values.from_child, packed)


async def pictured(picture: PictureInput, value: str) -> Batch:
    """The input of a model that takes pictures, of one in base64. Raises `InvalidMedia` or `TooLarge`."""
    with pictures.Place():
        pixels = await _decoded(await run_in_threadpool(lambda: json.dumps({"input": value}).encode()))
        return (await _prepared(picture, pixels)).inputs


async def _decoded(text: bytes) -> Pixels:
    """The picture in a JSON body. Raises `InvalidMedia` or `TooLarge`."""
    try:
        async with aclosing(sandbox.stream(values.picture_in_child, text, limits=pictures.LIMITS)) as given:
            pieces = [piece async for piece in given]
        return pictures.on_white(await run_in_threadpool(unpack, pieces))
    except (TooLarge, InvalidMedia) as error:
        raise type(error)(f"the picture {error.detail}", field="input") from error
    except SandboxError as error:
        raise InvalidMedia(f"the picture can't be read: {error.detail}", field="input") from error


async def _prepared(picture: PictureInput, pixels: Pixels) -> Given:
    batch, _, _ = await run_in_threadpool(picture.prepare, pictures.on_white(pixels))
    return Given(batch, bare=True)


async def _written(infer: Infer, model: Model, results: Batch, bare: bool) -> bytes:
    plain = sum(results[spec.name].size for spec in model.outputs if not values.is_picture(spec))
    if plain > bodies.MOST_VALUES:
        raise TooLarge(f"the answer has {plain} numbers, too many for JSON: POST /v2/models/{model.name}/infer gives "
                       "them as binary data")
    if plain > bodies.VALUES_HERE:
        return await infer.desk.child(values.written, model.outputs, results, bare)
    if any(values.is_picture(spec) for spec in model.outputs):
        return values.dumped(await run_in_threadpool(values.answered, model, results, bare))
    return values.dumped(values.answered(model, results, bare))
