"""Repaint every picture in the style of a painting, and hold it still."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from ..errors import Busy, DeadlineMissed, InvalidPipeline, NotFound
from ..frames import Kind, Picture, Pixels, VideoFrame, now
from ..inference import Engine, Entry, installed
from ..painting.names import Named, listing, named, resolve
from ..painting.steady import Box, Change, Steadier
from ..stage import Context, Result
from ..stage_base import VIDEO, BaseStage, Params, planes, upright

TASK = "style-transfer"
RUNGS = ("wide", "narrow", "half")  # of the networks, by the numbers that they have there
HALF = RUNGS.index("half")
LARGE = 400 * 300  # px: from here on half the size is painted and brought back, unless all of it is asked for
SHARE = 0.2  # of a new picture in the norms' statistics: colours don't pump
CONTEXT = 48  # px around a part that are painted with it, so that it becomes what it would be in the whole
PART = 0.6  # share of the picture up to which only a part is painted


def catalogue() -> dict[str, Entry]:
    """The styles that are installed, by their short names."""
    return {named(entry.name).name: entry for entry in installed().entries() if entry.task == TASK}


def choices() -> list[Named]:
    return [named(entry.name, entry.title, map(str, entry.card.get("names", []))) for entry in catalogue().values()]


def _offer(schema: dict[str, Any]) -> None:
    schema["installed"] = True  # the list is this installation's
    schema["enum"] = [*([""] if schema.get("default") == "" else []), *catalogue()]


class StyleParams(Params):
    name: str = Field("starry-night", max_length=200, json_schema_extra=_offer,
                      description="which painting; also by its title or painter, in English or Chinese")
    strength: float = Field(1, ge=0, le=1, description="share of what was painted in the result",
                            json_schema_extra={"unit": "share", "step": 0.05})
    steady: bool = Field(True, description="carry the last picture along, so that strokes don't flicker")
    second: str = Field("", max_length=200, json_schema_extra=_offer,
                        description="another style to mix in; none if empty")
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
        known = choices()
        found = resolve(said, known)
        if found is None:
            raise ValueError(f"there is no such style; there are: {listing(known)}")
        return found.name


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

    def __init__(self, params: StyleParams) -> None:
        super().__init__(params)
        self._models: tuple[str, ...] = ()  # in use
        self._loading: asyncio.Task[tuple[str, ...]] | None = None
        self._steadier = Steadier()
        self._done: Picture | None = None  # the last one, at full strength
        self._anew = False  # the next picture has nothing to do with the last result

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` when the style can't be used."""
        await super().start(context)
        self._models = await self._load(_wanted(self.params))

    def update(self, params: StyleParams) -> None:
        """Another style is loaded beside the present one, which stays in use until then: no picture is missed."""
        before = self.params
        super().update(params)
        self._anew |= (before.mix, before.detail, before.steady) != (params.mix, params.detail, params.steady)
        engine: Engine = self.context.engine
        wanted = _wanted(params)
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        if wanted != self._models or not engine.models().keys() >= set(wanted):
            self._loading = asyncio.create_task(self._load(wanted), name=f"load {', '.join(wanted)}")

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            models = loading.result()  # raises what went wrong: the client is told, the picture goes on
            self._forget()
            self._models, self._anew = models, True
        params, context = self.params, self.context
        if params.strength == 0 or not self._models:
            return frame
        if self._anew:
            self._anew = False
            self._steadier.reset()
        rung = _rung(params, frame)
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
        change = self._steadier.look(planes(picture.i420)[0])
        if change.cut or change.box is None:
            return _Seen(picture, change, whole)
        part = change.box.grown(CONTEXT * (2 if rung == HALF else 1), picture.width, picture.height)
        return _Seen(picture, change, part if part.area < PART * whole.area else whole)

    async def _paint(self, seen: _Seen, params: StyleParams, rung: int) -> list[Pixels]:
        """The part, by every model in use."""
        whole = seen.part.area == seen.picture.width * seen.picture.height
        share = 1.0 if seen.change.cut else SHARE if whole else 0.0
        inputs = {"picture": np.ascontiguousarray(seen.part.of(seen.picture.bgr)), "rung": np.array([rung], np.int64),
                  "share": np.array([share], np.float32)}
        engine, deadline = self.context.engine, now() + params.deadline / 1000
        return [(await engine.submit(model, inputs, session=self.context.session, deadline=deadline,
                                     state=self._state))["styled"] for model in self._models]

    def _finish(self, seen: _Seen, painted: list[Pixels], params: StyleParams) -> Picture:
        """The result, I420 and all; in a thread."""
        change, picture = seen.change, seen.picture
        if painted:
            made = painted[0] if len(painted) == 1 else cv2.addWeighted(painted[0], 1 - params.mix, painted[1],
                                                                        params.mix, 0)
            assert change.box is not None
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

    async def _load(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        engine: Engine = self.context.engine
        for name in wanted:
            try:
                await engine.load(name)
            except NotFound as error:
                raise InvalidPipeline(f"there is no such style; there are: {listing(choices())}",
                                      field="name") from error
        return wanted

    @property
    def _state(self) -> str:
        return f"{self.context.session} {self.context.track} {id(self)}"

    def _forget(self) -> None:
        for model in self._models:
            self.context.engine.forget(model, self._state)


def _wanted(params: StyleParams) -> tuple[str, ...]:
    """The models' names."""
    there = catalogue()
    names = [params.name, *([params.second] if params.second and params.second != params.name else [])]
    return tuple(there[name].name if name in there else name for name in names)


def _rung(params: StyleParams, frame: VideoFrame) -> int:
    if params.detail != "auto":
        return RUNGS.index(params.detail)
    return HALF if frame.width * frame.height > LARGE else 0
