"""Repaint every picture in the style of a painting, and hold it still."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ..errors import Busy, DeadlineMissed, InvalidPipeline, NotFound
from ..frames import Kind, Picture, Pixels, VideoFrame, now
from ..inference import Batch, Engine, Entry, ModelOf, installed
from ..inference.loader import VERSION
from ..painting.inline import CHARACTERS, SCHEME, checked, decoded
from ..painting.names import Named, exact, listing, named, resolve
from ..painting.paintings import paintings
from ..painting.steady import Box, Change, Steadier
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, planes, upright

TASK, ANY = "style-transfer", "arbitrary-style"  # a network that has a style; one that takes it from a picture
NETWORK, TAKES = "aimass_stream.engines.style:Style", {"picture", "rung", "share"}  # who paints, and what it takes
RUNGS = ("wide", "narrow", "half")  # of the networks, by the numbers that they have there
HALF = RUNGS.index("half")
# for a promised latency, with one more; costs are of 640x480 with steadying
LADDER = (Rung("wide", "the whole network paints"), Rung("narrow", "half of the network paints", 0.8),
          Rung("half", "half the size is painted", 0.6), Rung("small", "a quarter of the size is painted", 0.4))
LARGE = 400 * 300  # px: from here on half the size is painted and brought back, unless all of it is asked for
SHARE = 0.2  # of a new picture in the norms' statistics: colours don't pump
CONTEXT = 48  # px around a part that are painted with it, so that it becomes what it would be in the whole
PART = 0.6  # share of the picture up to which only a part is painted
STYLE_SIDE = 320  # px of the longer side of a picture whose style is taken: how large strokes are
ONE, NONE = np.ones(1, np.float32), np.zeros(1, np.float32)


def catalogue() -> dict[str, Entry]:
    """The styles that are installed, by their short names."""
    return {named(entry.name).name: entry for entry in installed().entries() if entry.task == TASK}


def network(name: str) -> Entry | None:
    """The style of that name, of those that are installed or as a version of the hub."""
    if not VERSION.fullmatch(name):
        return catalogue().get(name)
    try:
        entry = installed().get(name)
    except NotFound:
        return None
    return entry if entry.task == TASK else None


def _own(said: str) -> bool:
    return said.startswith(SCHEME) or ("@" not in said and exact(said, choices()))


def _unfit(entry: Entry) -> str:
    if entry.engine == NETWORK or {spec.name for spec in entry.inputs} >= TAKES:
        return ""
    return "it is no network of ours for styles (engine style); others, with the task image-to-image, are for the " \
           "stage model"


NAMES = ModelOf(TASK, own=_own, words=True, unfit=_unfit)


def choices() -> list[Named]:
    return [named(entry.name, entry.title, map(str, entry.card.get("names", []))) for entry in catalogue().values()]


def painter() -> str:
    """The model that paints after pictures. Raises `NotFound`."""
    for entry in installed().entries():
        if entry.task == ANY:
            return entry.name
    raise NotFound("no network is installed that takes its style from a picture", field="name")


async def learned(engine: Engine, picture: Pixels, session: str) -> NDArray[np.float32]:
    """The style of (h, w, 3) BGR, as `painter`'s network takes it, which is loaded if it is not. A picture without
    strokes has few of its own: after one flat colour the result is of that colour, and paler than others."""
    model, state = painter(), f"{session} style {secrets.token_hex(8)}"
    await engine.load(model)
    numbers = next(spec for spec in engine.models()[model].inputs if spec.name == "style")
    try:
        seen = await engine.submit(model, {"picture": picture, "rung": np.zeros(1, np.int64), "share": ONE,
                                           "style": numbers.zeros(), "strength": NONE}, session=session, state=state)
    finally:
        engine.forget(model, state)
    return np.asarray(seen["own"], np.float32)


def strokes(picture: Pixels) -> Pixels:
    """A picture (h, w, 3) at the size at which its strokes are looked at."""
    factor = STYLE_SIDE / max(picture.shape[:2])
    if factor >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _offer(schema: dict[str, Any]) -> None:
    schema["installed"] = True  # the list is this installation's
    schema["picture"] = STYLE_SIDE  # px of one that may stand in its place
    found = {"": "none"} if schema.get("default") == "" else {}
    found |= {name: titled(name, entry) for name, entry in catalogue().items()}
    schema["enum"], schema["labels"] = list(found), found


def titled(name: str, entry: Entry) -> str:
    """As people know it: the painting and who painted it."""
    painting = paintings().get(name)
    return f"{entry.title or painting.title}, {painting.painter}" if painting else entry.title or name


def _first(schema: dict[str, Any]) -> None:
    _offer(schema)
    schema["hint"] = "a painting, or any picture of yours"


def _second(schema: dict[str, Any]) -> None:
    _offer(schema)
    schema["hint"] = "another one to mix in"


class StyleParams(Params):
    name: Annotated[str, NAMES] = Field("starry-night", max_length=CHARACTERS, json_schema_extra=_first,
                                        description="which painting, also by its title or painter, in English or "
                                        "Chinese; or any picture: a data: URL of a JPEG, PNG or WebP file")
    strength: float = Field(1, ge=0, le=1, description="share of what was painted in the result",
                            json_schema_extra={"unit": "share", "step": 0.05})
    steady: bool = Field(True, description="carry the last picture along, so that strokes don't flicker")
    second: Annotated[str, NAMES] = Field("", max_length=CHARACTERS, json_schema_extra=_second,
                                          description="another style or picture to mix in; none if empty")
    mix: float = Field(0.5, ge=0, le=1, description="share of the second style",
                       json_schema_extra={"unit": "share", "step": 0.05})
    detail: Literal["auto", "wide", "narrow", "half"] = Field(
        "auto", description="how much of the network works; auto takes half the size for large pictures")
    deadline: float = Field(250, ge=1, le=5000, description="a picture that had to wait longer for its turn is dropped",
                            json_schema_extra={"unit": "ms"})

    @field_validator("name", "second")
    @classmethod
    def _known(cls, said: str) -> str:
        if not said:
            return said
        if said.startswith(SCHEME):
            return checked(said)
        if VERSION.fullmatch(said) and network(said) is not None:
            return said
        known = choices()
        found = resolve(said, known)
        if found is None:
            raise ValueError(f"there is no such style; there are: {listing(known)}")
        return found.name


@dataclass(frozen=True, slots=True)
class _Look:
    """One way to paint: a network, and for the one of any style the styles of one picture or two."""

    model: str
    styles: tuple[NDArray[np.float32], ...] = ()

    def inputs(self, mix: float) -> Batch:
        """What the network wants besides. Two pictures' styles are mixed as numbers, and painted at once."""
        if not self.styles:
            return {}
        first, last = self.styles[0], self.styles[-1]
        return {"style": np.asarray(first + np.float32(mix) * (last - first), np.float32), "strength": ONE}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture on its way to the network."""

    picture: Picture  # upright
    change: Change
    part: Box  # what of it is painted


class Style(BaseStage[StyleParams]):
    """The picture as a painter might have made it. Still parts stay as they are painted, and cost nothing."""

    title = "Style"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = StyleParams
    ladder = LADDER
    load = 0.45

    def __init__(self, params: StyleParams) -> None:
        super().__init__(params)
        self._looks: tuple[_Look, ...] = ()  # in use
        self._shown: tuple[str, ...] = ()  # the styles they are of
        self._loading: asyncio.Task[tuple[_Look, ...]] | None = None
        self._wanted: tuple[str, ...] = ()  # what is being loaded
        self._steadier = Steadier()
        self._done: Picture | None = None  # the last one, at full strength
        self._anew = False  # the next picture has nothing to do with the last result
        self._large = False  # the pictures are
        self._painted = 0  # rung of the last one

    def reach(self) -> range:
        if self.params.detail == "auto":
            return range(HALF if self._large else 0, len(self.ladder))
        fixed = RUNGS.index(self.params.detail)
        return range(fixed, fixed + 1)

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` when the style can't be used."""
        await super().start(context)
        self._wanted = _wanted(self.params)
        self._looks, self._shown = await self._load(self._wanted), self._wanted

    def update(self, params: StyleParams) -> None:
        """Another style is loaded beside the present one, which stays in use until then: no picture is missed."""
        before = self.params
        super().update(params)
        self._anew |= (before.mix, before.detail, before.steady) != (params.mix, params.detail, params.steady)
        engine: Engine = self.context.engine
        wanted = _wanted(params)
        if self._loading is not None:
            if wanted == self._wanted:
                return
            self._loading.cancel()
            self._loading = None
        if wanted != self._shown or not engine.models().keys() >= {look.model for look in self._looks}:
            self._wanted = wanted
            self._loading = asyncio.create_task(self._load(wanted), name="load styles")

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            looks = loading.result()  # raises what went wrong: the client is told, the picture goes on
            self._forget()
            self._looks, self._shown, self._anew = looks, self._wanted, True
        params, context = self.params, self.context
        if params.strength == 0 or not self._looks:
            return frame
        if self._anew:
            self._anew = False
            self._steadier.reset()
        self._large = frame.width * frame.height > LARGE
        rung = self.rung
        seen = await context.run(self._look, frame, params.steady, rung)
        try:
            painted = await self._paint(seen, params, rung) if seen.change.box is not None else []
        except (DeadlineMissed, Busy) as error:
            context.drop("deadline" if isinstance(error, DeadlineMissed) else "busy")
            return None
        picture = await context.run(self._finish, seen, painted, params)
        return frame.replace(picture=picture, rotation=0)

    def _look(self, frame: VideoFrame, steady: bool, rung: int) -> _Seen:
        """What of the picture is to be painted; in a thread."""
        picture = upright(frame)
        whole = Box(0, 0, picture.width, picture.height)
        _ = picture.bgr  # made in this thread
        if not steady:
            self._steadier.reset()
        luma, *chroma = planes(picture.i420)
        change = self._steadier.look(luma, chroma)
        if change.cut or change.box is None:
            return _Seen(picture, change, whole)
        part = change.box.grown(CONTEXT * max(1, 2 * (rung - HALF + 1)), picture.width, picture.height)
        # another rung has no statistics of the whole picture yet; what stands still stays as it is painted
        known = rung == self._painted
        return _Seen(picture, change, part if known and part.area < PART * whole.area else whole)

    async def _paint(self, seen: _Seen, params: StyleParams, rung: int) -> list[Pixels]:
        """The part, by every model in use."""
        whole = seen.part.area == seen.picture.width * seen.picture.height
        share = 1.0 if seen.change.cut else SHARE if whole else 0.0
        picture = seen.part.of(seen.picture.bgr)
        picture = await self.context.run(_halved, picture) if rung > HALF else np.ascontiguousarray(picture)
        inputs = {"picture": picture, "rung": np.array([min(rung, HALF)], np.int64),
                  "share": np.array([share], np.float32)}
        self._painted = rung
        engine, deadline = self.context.engine, now() + params.deadline / 1000
        return [(await engine.submit(look.model, inputs | look.inputs(params.mix), session=self.context.session,
                                     deadline=deadline, state=self._state))["styled"] for look in self._looks]

    def _finish(self, seen: _Seen, painted: list[Pixels], params: StyleParams) -> Picture:
        """The result, I420 and all; in a thread."""
        change, picture = seen.change, seen.picture
        if painted:
            made = painted[0] if len(painted) == 1 else cv2.addWeighted(painted[0], 1 - params.mix, painted[1],
                                                                        params.mix, 0)
            assert change.box is not None
            part = seen.part
            if self._painted > HALF:
                made = cv2.resize(made, (part.right - part.left, part.bottom - part.top))
            inside = change.box.moved(-seen.part.left, -seen.part.top)
            settled = self._steadier.settle(change, inside.of(np.asarray(made, np.uint8)))
            self._done = Picture.from_bgr(settled)
        else:
            settled = self._steadier.settle(change, None)
        done = self._done
        if done is None or params.strength < 1:
            done = Picture.from_bgr(np.asarray(cv2.addWeighted(settled, params.strength, picture.bgr,
                                                               1 - params.strength, 0), np.uint8))
        _ = done.i420  # what an encoder wants; made in this thread it costs the loop nothing
        return done

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        self._forget()

    async def _load(self, wanted: tuple[str, ...]) -> tuple[_Look, ...]:
        """Raises `InvalidPipeline`, or what the networks' loading raises."""
        engine: Engine = self.context.engine
        looks, there = [], catalogue()
        for field, name in zip(("name", "second"), wanted, strict=False):
            if name.startswith(SCHEME):
                looks.append(await self._learned(name, field))
                continue
            model = there[name].name if name in there else name
            try:
                await engine.load(model)
            except NotFound as error:
                raise InvalidPipeline(f"there is no such style; there are: {listing(choices())}",
                                      field=field) from error
            looks.append(_Look(model))
        if len(looks) == 2 and looks[0].styles and looks[1].styles:
            return (_Look(looks[0].model, looks[0].styles + looks[1].styles),)
        return tuple(looks)

    async def _learned(self, url: str, field: str) -> _Look:
        try:
            picture = await self.context.run(lambda: strokes(decoded(url)))
            return _Look(painter(), (await learned(self.context.engine, picture, self.context.session),))
        except (NotFound, ValueError) as error:
            raise InvalidPipeline(str(error), field=field) from error

    @property
    def _state(self) -> str:
        return f"{self.context.session} {self.context.track} {id(self)}"

    def _forget(self) -> None:
        for look in self._looks:
            self.context.engine.forget(look.model, self._state)


def _wanted(params: StyleParams) -> tuple[str, ...]:
    """Names of styles, and pictures."""
    return (params.name, *([params.second] if params.second and params.second != params.name else []))


def _halved(picture: Pixels) -> Pixels:
    size = (max(1, picture.shape[1] // 2), max(1, picture.shape[0] // 2))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
