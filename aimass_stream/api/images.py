"""Single pictures: painted in a style, and which style one is painted in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from ..errors import InvalidInput, InvalidMedia, NotFound, Unavailable
from ..frames import Pixels
from ..inference import Batch, Engine
from ..painting.colours import palette
from ..painting.inline import SCHEME, decoded
from ..painting.manner import LENGTH, distance, manner, nearest
from ..painting.names import listing, resolve
from ..painting.paintings import paintings
from ..painting.upsample import upsampled
from ..stages.style import NAMES, StyleParams, catalogue, choices, learned, network, painter, strokes
from ..training import check, judge
from ..weights import folder_of
from .asked import APP, APP_FIELDS, AskedDep
from .deps import CallerDep, NodeDep, SettingsDep, needs
from .hub.parts import pinned
from .pictures import FILE, KINDS, Place, UploadRoute, body, on_white, only, read
from .problems import RESPONSES
from .uploads import Form, Upload, form_of

router = APIRouter(prefix="/v1/images", tags=["images"], route_class=UploadRoute, responses=RESPONSES,
                   dependencies=[needs("media")])

PAINTED = 960  # px of the longer side up to which a network paints; beyond, strokes grow with the picture
PICTURE, NEAREST = "picture", "nearest"  # how a style_image is meant
SAMPLE = "sample.jpg"  # beside a style's weights
ANSWER: dict[int | str, dict[str, Any]] = {200: {
    "description": "The picture in the style, as large as it came; X-Style says which one, or picture; X-Style-Nearest "
                   "and X-Style-Distance which of the library is nearest to the style_image",
    "content": {"image/png": {}}}}


STYLE = body({
    "image": FILE | {"description": "the picture: " + KINDS},
    "style": {"type": "string", "description": "a style's name, title or painter, in English or Chinese"},
    "style_image": FILE | {"description": "instead: a picture whose own style is taken"},
    "by": {"type": "string", "enum": ["picture", "nearest"], "description": "with style_image: paint after that very "
           "picture (where a network for it is installed), or in the library's style that is nearest to it"},
    "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 1}} | APP, ["image"])
MATCH = body({"image": FILE | {"description": "one picture or several"}}, ["image"])


class Distance(BaseModel):
    name: str
    title: str
    painter: str = ""
    distance: float = Field(description="0: the same; about 1: two unrelated pictures")
    installed: bool = Field(description="whether there is a network that paints so")


class Matched(BaseModel):
    file: str = Field(description="the file's name")
    width: int = Field(description="px")
    height: int = Field(description="px")
    nearest: str = Field(description="the style that is most like it, of those that are installed if any is")
    distances: list[Distance] = Field(description="the nearest first")
    palette: list[float] = Field(description="mean and deviation of L, a and b, as the stage colour takes them")


class Match(BaseModel):
    pictures: list[Matched]
    between: list[list[float]] = Field(description="of every picture to every other, in their order")


class StyleInfo(BaseModel):
    name: str = Field(description="as it is written in pipelines and forms")
    title: str
    painter: str = ""
    year: str = ""
    names: list[str] = Field(description="what else it is called, in English and Chinese")
    sample: bool = Field(description="whether GET .../sample has a picture painted so")


class StyleList(BaseModel):
    styles: list[StyleInfo] = Field(description="those that are installed")
    any: bool = Field(False, description="whether there is a network that paints after any picture")
    unable: str = Field("", description="why no new style can be learned here; empty: it can")
    meant: str = Field("", description="the one that `said` means, near misses included; empty if none is")


@router.get("/styles")
async def list_styles(settings: SettingsDep, caller: CallerDep,
                      said: Annotated[str, Query(max_length=200, description="what somebody calls a style")] = "",
                      ) -> StyleList:
    """The styles that pictures can be painted in."""
    return await run_in_threadpool(_listed, said, folder_of(settings))


@router.get("/styles/{name}/sample", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def show_sample(name: str, caller: CallerDep) -> Response:
    """A scene of ours, painted in the style."""
    entry = (await run_in_threadpool(catalogue)).get(name)
    if entry is None or not (entry.folder / SAMPLE).is_file():
        raise NotFound(f"there is no sample of a style {name[:64]!r}", field="name")
    return FileResponse(entry.folder / SAMPLE, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})


@router.post("/style", response_class=Response, responses=ANSWER, openapi_extra=STYLE)
async def paint(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep,
                asked: AskedDep) -> Response:
    """Paint a picture in a style of the library, or after any other picture. With `app_id` the stage `style` of that
    app says which style and how strongly, where the form does not."""
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = await stack.enter_async_context(form_of(request, settings, ("image", "style_image")))
        usual = await asked.usual_of(form, "style", StyleParams)
        form = await run_in_threadpool(pinned, request, caller, form, NAMES, "style")
        wanted = await run_in_threadpool(wish, form, "image", usual)
        stack.enter_context(asked)
        image = only(form, "image")
        headers = {"X-Style": wanted.style}
        style: Batch = {}
        if not wanted.style:
            example = await shown(form, wanted)
            found = await run_in_threadpool(near, example) if wanted.nearest or catalogue() else ("", 0.0)
            headers = {"X-Style": found[0] if wanted.nearest else PICTURE, "X-Style-Nearest": found[0],
                       "X-Style-Distance": str(found[1])}
            if not wanted.nearest:
                seen = await run_in_threadpool(lambda: strokes(on_white(example)))
                one = f"picture {secrets.token_hex(8)}"
                style = {"style": await learned(node.engine, seen, one), "strength": np.ones(1, np.float32)}
        picture = await read(image)
        model = painter() if style else _model(headers["X-Style"])
        asked.model = model
        made = await _painted(node.engine, model, picture, wanted.strength, style)
        data = await run_in_threadpool(_png, made, picture)
    return Response(data, media_type="image/png", headers={name: value for name, value in headers.items() if value})


@router.post("/style/match", openapi_extra=MATCH)
async def match(request: Request, settings: SettingsDep, caller: CallerDep) -> Match:
    """How far each picture is from every style of the library, and from the other pictures."""
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = await stack.enter_async_context(form_of(request, settings, ("image", "style_image")))
        if form.fields:
            raise InvalidInput(f"there is no field {min(form.fields)[:64]!r}; send files", field=min(form.fields)[:64])
        if not form.files:
            raise InvalidInput("send one picture or several as parts named image", field="image")
        found = [(upload, await read(upload)) for upload in form.files]
        return await run_in_threadpool(_matched, found)


@dataclass(frozen=True, slots=True)
class Wish:
    style: str  # empty: that of `style_image`
    strength: float  # 0 to 1
    nearest: bool = False  # of the library to `style_image`, instead of its own
    picture: str = ""  # a data: URL in place of `style_image`


async def shown(form: Form, wanted: Wish) -> NDArray[np.uint8]:
    """The picture whose style is meant."""
    if wanted.picture:
        try:
            return await run_in_threadpool(decoded, wanted.picture)
        except ValueError as error:
            raise InvalidInput(f"the app's style: {error}", field="app_id") from None
    return await read(only(form, "style_image"))


def wish(form: Form, what: str = "image", usual: StyleParams | None = None) -> Wish:
    """What a form asks for, of the picture or video `what`, and where it does not say, as `usual`.

    Raises `InvalidInput`, `NotFound` or `Unavailable`.
    """
    for field in form.fields:
        if field not in ("style", "strength", "by"):
            raise InvalidInput(f"there is no field {field[:64]!r}; there are: {what}, style, style_image, by, "
                               f"strength, {', '.join(sorted(APP_FIELDS))}", field=field[:64])
    said = form.fields.get("style", [""])[-1]
    given = any(upload.part == "style_image" for upload in form.files)
    picture = ""
    if usual is not None and not said.strip() and not given:
        if usual.name.startswith(SCHEME):
            given, picture = True, usual.name
        else:
            said = usual.name
    if bool(said.strip()) == given:
        raise InvalidInput("say either style, a name, or style_image, a picture" if given else
                           f"say which style, or send a style_image; there are: {listing(choices())}", field="style")
    try:
        strength = float(form.fields.get("strength", ["1" if usual is None else str(usual.strength)])[-1])
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 1:
        raise InvalidInput("strength is a number from 0 to 1", field="strength")
    by = form.fields.get("by", [""])[-1]
    if by not in ("", PICTURE, NEAREST) or (by and not given):
        raise InvalidInput(f"by is {PICTURE} or {NEAREST}, and only with a style_image", field="by")
    able = installed_painter()
    if given and (able or by == PICTURE) and by != NEAREST:
        if not able:
            raise Unavailable("no network is installed here that paints after a picture")
        return Wish("", strength, picture=picture)
    if network(said) is not None:
        return Wish(said, strength)
    if not catalogue():
        raise Unavailable("no style is installed here")
    if given:
        return Wish("", strength, nearest=True, picture=picture)
    found = resolve(said, choices())
    if found is None:
        raise NotFound(f"there is no style {said[:64]!r}; there are: {listing(choices())}", field="style")
    return Wish(found.name, strength)


def _model(style: str) -> str:
    entry = network(style)
    if entry is None:
        raise NotFound(f"there is no style {style[:64]!r} any more", field="style")
    return entry.name


def installed_painter() -> bool:
    """Whether there is a network that paints after pictures."""
    try:
        return bool(painter())
    except NotFound:
        return False


async def _painted(engine: Engine, model: str, picture: NDArray[np.uint8], strength: float, style: Batch) -> Pixels:
    """(h, w, 3) BGR."""
    await engine.load(model)
    bgr = np.ascontiguousarray(picture[:, :, :3])
    seen = await run_in_threadpool(_working, bgr)
    one = f"picture {secrets.token_hex(8)}"
    try:
        inputs: Batch = {"picture": seen, "rung": np.zeros(1, np.int64), "share": np.ones(1, np.float32)}
        made = (await engine.submit(model, inputs | style, session=one))["styled"]
    finally:
        engine.forget(model, one)
    return await run_in_threadpool(_full, np.asarray(made, np.uint8), seen, bgr, strength)


def _working(bgr: Pixels) -> Pixels:
    factor = PAINTED / max(bgr.shape[:2])
    if factor >= 1:
        return bgr
    size = (max(1, round(bgr.shape[1] * factor)), max(1, round(bgr.shape[0] * factor)))
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)


def _full(made: Pixels, seen: Pixels, bgr: Pixels, strength: float) -> Pixels:
    if made.shape != bgr.shape:
        made = upsampled(np.ascontiguousarray(made.transpose(2, 0, 1)[::-1], np.float32) / np.float32(255), seen, bgr)
    return made if strength == 1 else np.asarray(cv2.addWeighted(made, strength, bgr, 1 - strength, 0), np.uint8)


def _png(made: Pixels, picture: NDArray[np.uint8]) -> bytes:
    """With the picture's own transparency."""
    if picture.shape[2] == 4:
        made = np.dstack([made, picture[:, :, 3]])
    written, data = cv2.imencode(".png", made, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not written:
        raise InvalidMedia("the painted picture can't be written", field="image")
    return data.tobytes()


def _listed(said: str, models: Path) -> StyleList:
    told, found, known = paintings(), [], choices()
    for name, entry in catalogue().items():
        painting = told.get(name)
        also = next(each.also for each in known if each.name == name)
        found.append(StyleInfo(
            name=name, title=entry.title or name, painter=painting.painter if painting else "",
            year=painting.year if painting else "", names=list(also), sample=(entry.folder / SAMPLE).is_file()))
    meant = resolve(said, known) if said.strip() else None
    return StyleList(styles=found, any=installed_painter(), unable=unable(models), meant=meant.name if meant else "")


def unable(models: Path) -> str:
    """Why no style can be learned, `models` being the folder of fetched ones; empty if one can."""
    try:
        check()
        judge.find(None, models)
    except Unavailable as error:
        return error.detail
    return ""


def _library() -> dict[str, Sequence[float]]:
    """Manners by style: of the paintings, and of styles whose card tells one."""
    own = {name: entry.card.get("manner") for name, entry in catalogue().items()}
    return {name: painting.manner for name, painting in paintings().items()} | {
        name: numbers for name, numbers in own.items() if isinstance(numbers, list) and len(numbers) == LENGTH}


def near(picture: NDArray[np.uint8]) -> tuple[str, float]:
    """The installed style that is nearest, and how near. Raises `Unavailable` when none can be compared."""
    there = catalogue()
    known = {name: numbers for name, numbers in _library().items() if name in there}
    if not known:
        raise Unavailable("of no style that is installed is it known how it is painted")
    return next(iter(nearest(manner(np.ascontiguousarray(picture[:, :, :3])), known).items()))


def _matched(found: Sequence[tuple[Upload, NDArray[np.uint8]]]) -> Match:
    library, there, told = _library(), catalogue(), paintings()
    manners, pictures = [], []
    for upload, pixels in found:
        bgr = np.ascontiguousarray(pixels[:, :, :3])
        manners.append(manner(bgr))
        distances = [Distance(
            name=name, distance=gap, installed=name in there,
            title=told[name].title if name in told else there[name].title,
            painter=told[name].painter if name in told else "") for name, gap in nearest(manners[-1], library).items()]
        best = next((each for each in distances if each.installed), distances[0])
        pictures.append(Matched(file=upload.name[:200], width=bgr.shape[1], height=bgr.shape[0], nearest=best.name,
                                distances=distances, palette=palette(bgr).numbers()))
    return Match(pictures=pictures, between=[[distance(one, other) for other in manners] for one in manners])
