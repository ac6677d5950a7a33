"""Single pictures looked at: what is in them, whose faces, what they say; as JSON, or drawn into the picture."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ..errors import InvalidInput, InvalidPipeline, ModelFailed, NotFound, Unavailable
from ..frames import Pixels, now
from ..inference import Batch, Engine, Entry, model_fields
from ..seeing import classifier, reader
from ..seeing.classifier import Class, Classifier
from ..seeing.detector import Detector, Thing, Wish, choose
from ..seeing.reader import Line
from ..seeing.tiles import look
from ..stages.classify import ClassifyParams
from ..stages.detect import DetectParams
from ..vision.boxes import Floats
from ..vision.drawing import marked, outline
from ..vision.overlay import Mark
from .deps import CallerDep, NodeDep, SettingsDep, needs
from .hub.parts import pinned
from .pictures import FILE, JPEG, JSON, KINDS, PNG, Place, UploadRoute, body, on_white, only, read, wanted, written
from .problems import RESPONSES
from .uploads import Form, form_of

router = APIRouter(prefix="/v1/vision", tags=["vision"], route_class=UploadRoute, responses=RESPONSES,
                   dependencies=[needs("media")])

FINDS, SAYS = model_fields(DetectParams)["model"], model_fields(ClassifyParams)["model"]
DEADLINE = 10.0  # s that a picture may wait for a model's turn
HANGS = 10.0  # s more after which a model counts as hanging
MOST_TILES = 4
MOST_LINES = 300
LONGEST = 1280  # px a picture is shrunk to when lines are looked for
FIELDS = {
    "image": FILE | {"description": f"the picture: {KINDS}"},
    "model": {"type": "string", "description": "which detector; without it the best there is"},
    "threshold": {"type": "number", "minimum": 0.01, "maximum": 1, "default": 0.5, "description": "least score"},
    "tiles": {"type": "integer", "minimum": 1, "maximum": MOST_TILES, "description":
              "looks also at parts of the picture, up to so many across, for small things; 1: at the whole only. "
              "Without it as the detector's card says"}}
TOP, LEAST = 5, 0.01  # labels that are told of a picture, and the least chance of one
CLASSIFY = {
    "image": FIELDS["image"],
    "model": {"type": "string", "description": "which network; without it the best there is"},
    "threshold": {"type": "number", "minimum": 0, "maximum": 1, "default": LEAST, "description": "least score"},
    "top": {"type": "integer", "minimum": 1, "maximum": 100, "default": TOP, "description": "most labels"}}
ANSWER: dict[int | str, dict[str, Any]] = {200: {
    "description": "What was found; with `Accept: image/*`, image/png or image/jpeg the picture with it drawn in",
    "content": {PNG: {}, JPEG: {}}}}


class Detection(BaseModel):
    label: str
    score: float = Field(description="0 to 1")
    box: list[float] = Field(description="x, y, width, height; px of the picture as it is seen upright")
    points: list[list[float]] = Field(default=[], description="x and y of each, px")
    text: str = Field("", description="what a code says")


class Detections(BaseModel):
    model: str
    tier: str = Field(description="no-weights: what works without pulled weights")
    width: int = Field(description="px, of the picture as it is seen upright")
    height: int = Field(description="px")
    points: list[str] = Field(default=[], description="what the points of each are, in their order")
    detections: list[Detection] = Field(description="the surest first")


class Label(BaseModel):
    label: str
    score: float = Field(description="0 to 1")


class Labels(BaseModel):
    model: str
    labels: list[Label] = Field(description="the likeliest first")


class TextLine(BaseModel):
    text: str
    score: float = Field(description="0 to 1")
    polygon: list[list[float]] = Field(description="x and y of its corners in px, from the top left on clockwise as "
                                       "the line is read")


class Text(BaseModel):
    width: int = Field(description="px, of the picture as it is seen upright")
    height: int = Field(description="px")
    lines: list[TextLine] = Field(description="in the order of reading")


@router.post("/detect", response_model=Detections, response_model_exclude_unset=True, responses=ANSWER,
             openapi_extra=body(FIELDS, ["image"]))
async def detect(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep) -> Detections | Response:
    """Find things in a picture; which ones is up to the detector."""
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = pinned(request, caller, await stack.enter_async_context(form_of(request, settings, ("image",))), FINDS)
        return await _answer(request, node.engine, form, "")


@router.post("/faces", response_model=Detections, response_model_exclude_unset=True, responses=ANSWER,
             openapi_extra=body(FIELDS, ["image"]))
async def faces(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep) -> Detections | Response:
    """Find faces in a picture, with the points that the detector knows of each."""
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = pinned(request, caller, await stack.enter_async_context(form_of(request, settings, ("image",))), FINDS)
        return await _answer(request, node.engine, form, "face")


@router.post("/ocr", response_model=Text, responses=ANSWER,
             openapi_extra=body({"image": FIELDS["image"], "threshold": FIELDS["threshold"]}, ["image"]))
async def ocr(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep) -> Text | Response:
    """Read what is printed in a picture, English and Chinese."""
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = await stack.enter_async_context(form_of(request, settings, ("image",)))
        threshold = number(known(form, ("threshold",)), "threshold", 0.5, 0.01, 1)
        picture = await run_in_threadpool(on_white, await read(only(form, "image")))
        lines = [line for line in await _lines(node.engine, picture) if line.score >= threshold]
    kind = wanted(request.headers.get("accept"))
    if kind == JSON:
        return Text(width=picture.shape[1], height=picture.shape[0],
                    lines=[TextLine(**line.json()) for line in lines])
    return Response(await run_in_threadpool(_outlined, picture, lines, kind), media_type=kind,
                    headers={"Vary": "Accept", "X-Model": reader.READER})


@router.post("/classify", response_model=Labels, responses=ANSWER, openapi_extra=body(CLASSIFY, ["image"]))
async def classify(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep) -> Labels | Response:
    """Say what a picture as a whole is of, by a network of the catalogue with the task ``classification``."""
    kind = wanted(request.headers.get("accept"))
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = pinned(request, caller, await stack.enter_async_context(form_of(request, settings, ("image",))), SAYS)
        fields = known(form, ("model", "threshold", "top"))
        least = number(fields, "threshold", LEAST, 0, 1)
        top = whole(fields, "top", TOP, 1, 100)
        network = await run_in_threadpool(_network, node.engine, fields.get("model", ""))
        picture = await run_in_threadpool(on_white, await read(only(form, "image")))
        classes = network.best(await _chances(node.engine, network, picture), top, least)
    if kind == JSON:
        return Labels(model=network.name, labels=[Label(label=each.label, score=round(each.score, 3))
                                                  for each in classes])
    return Response(await run_in_threadpool(_labelled, picture, classes, kind), media_type=kind,
                    headers={"Vary": "Accept", "X-Model": network.name})


async def _answer(request: Request, engine: Engine, form: Form, label: str) -> Detections | Response:
    kind = wanted(request.headers.get("accept"))
    wish, tiles, entry = await run_in_threadpool(_asked, engine, form, label)
    image = only(form, "image")
    detector = Detector(entry)
    picture = await run_in_threadpool(on_white, await read(image))
    await engine.load(detector.name)
    ask = partial(asked, engine, f"picture {secrets.token_hex(8)}", detector.name)
    things = await look(detector, picture, wish, tiles, ask, run_in_threadpool)
    if kind == JSON:
        return _listed(detector, things, picture)
    return Response(await run_in_threadpool(_drawn, picture, things, kind), media_type=kind,
                    headers={"Vary": "Accept", "X-Model": detector.name})


async def asked(engine: Engine, session: str, model: str, batch: Batch) -> Batch:
    """The model's answer. Raises `DeadlineMissed` when its turn does not come, `ModelFailed` when it hangs."""
    try:
        async with asyncio.timeout(DEADLINE + HANGS):
            return await engine.submit(model, batch, session=session, deadline=now() + DEADLINE)
    except TimeoutError:
        raise ModelFailed(f"{model} has not answered for {DEADLINE + HANGS:g} s") from None


def _asked(engine: Engine, form: Form, label: str) -> tuple[Wish, int, Entry]:
    """What is looked for, in how many tiles across, by which detector."""
    fields = known(form, ("model", "threshold", "tiles"))
    try:
        entry = choose(engine.store, "auto", fields.get("model", ""), label)
    except InvalidPipeline as error:
        raise NotFound(error.detail, field="model") from None
    usual = entry.options.get("tiles", 1)
    tiles = whole(fields, "tiles", int(usual) if isinstance(usual, int) else 1, 1, MOST_TILES)
    labels = frozenset({label} if label else ())
    return Wish(threshold=number(fields, "threshold", 0.5, 0.01, 1), labels=labels), tiles, entry


def known(form: Form, names: Sequence[str]) -> dict[str, str]:
    """The fields, the last of each name. Raises `InvalidInput` for one that there is not."""
    for field in form.fields:
        if field not in names:
            raise InvalidInput(f"there is no field {field[:64]!r}; there are: image, {', '.join(names)}",
                               field=field[:64])
    return {name: values[-1].strip() for name, values in form.fields.items() if values[-1].strip()}


def number(fields: dict[str, str], name: str, usual: float, least: float, most: float) -> float:
    try:
        value = float(fields.get(name, usual))
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InvalidInput(f"{name} is a number from {least:g} to {most:g}", field=name)
    return value


def whole(fields: dict[str, str], name: str, usual: int, least: int, most: int) -> int:
    value = number(fields, name, usual, least, most)
    if value != int(value):
        raise InvalidInput(f"{name} is a whole number from {least} to {most}", field=name)
    return int(value)


def _listed(detector: Detector, things: Sequence[Thing], picture: Pixels) -> Detections:
    names = [str(name) for name in detector.options.get("points", ())]
    told = Detections(model=detector.name, tier=detector.tier, width=picture.shape[1], height=picture.shape[0],
                      detections=[Detection(**thing.json()) for thing in things])
    if names:
        told.points = names
    return told


def _drawn(picture: Pixels, things: Sequence[Thing], kind: str) -> bytes:
    marks = [Mark(thing.box, f"{thing.text or thing.label} {thing.score:.0%}", thing.number, thing.points)
             for thing in things]
    return written(marked(picture, marks), kind)


def _network(engine: Engine, model: str) -> Classifier:
    """Raises `NotFound` for one that there is not, `Unavailable` where there is none at all."""
    try:
        return Classifier(classifier.choose(engine.store, model))
    except InvalidPipeline as error:
        if not classifier.classifiers(engine.store):
            raise Unavailable(error.detail) from None
        raise NotFound(error.detail, field="model") from None


async def _chances(engine: Engine, network: Classifier, picture: Pixels) -> Floats:
    await engine.load(network.name)
    batch, _, _ = await run_in_threadpool(network.input.prepare, picture)
    outputs = await asked(engine, f"picture {secrets.token_hex(8)}", network.name, batch)
    return await run_in_threadpool(network.read, outputs)


def _labelled(picture: Pixels, classes: Sequence[Class], kind: str) -> bytes:
    return written(marked(picture, classifier.marks_of(classes, picture.shape[0])), kind)


async def _lines(engine: Engine, picture: Pixels) -> list[Line]:
    await reader.load(engine)
    ask = partial(asked, engine, f"picture {secrets.token_hex(8)}")
    polygons, strips = await reader.found(picture, LONGEST, MOST_LINES, ask, run_in_threadpool)
    told = await reader.read(strips, ask, run_in_threadpool)
    return [Line(text, score, polygon) for (text, score), polygon in zip(told, polygons, strict=True) if text]


def _outlined(picture: Pixels, lines: Sequence[Line], kind: str) -> bytes:
    return written(marked(picture, [outline(line.polygon, line.text, row) for row, line in enumerate(lines)]), kind)
