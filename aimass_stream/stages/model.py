"""Run an image-to-image model of the catalogue on every picture."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ..errors import Busy, DeadlineMissed, InvalidPipeline
from ..frames import Kind, Picture, VideoFrame, now
from ..inference import Engine, Entry, Model, ModelOf, installed
from ..inference.loader import named
from ..stage import Context, Result
from ..stage_base import VIDEO, BaseStage, Params, upright

log = logging.getLogger(__name__)

TASK = "image-to-image"
RGB = 3  # channels

Planes = NDArray[np.float32]


def catalogue(model: str = "") -> list[Entry]:
    """The models that this stage can run; also that one, if it is a version of the hub."""
    return [entry for entry in named(installed(), model) if entry.task == TASK]


def _offer(schema: dict[str, Any]) -> None:
    found = {entry.name: entry.title or entry.name for entry in catalogue()}
    schema["enum"], schema["labels"] = list(found), found


class ModelParams(Params):
    name: Annotated[str, ModelOf(TASK)] = Field("golden-hour", description="which model", json_schema_extra=_offer)
    strength: float = Field(1, ge=0, le=1, description="share of the model's picture in the result",
                            json_schema_extra={"unit": "share", "step": 0.05})
    deadline: float = Field(250, ge=1, le=5000, description="a picture that had to wait longer for its turn is dropped",
                            json_schema_extra={"unit": "ms"})

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        names = [entry.name for entry in catalogue(name)]
        if name not in names:
            raise ValueError(f"there is no such model; there are: {', '.join(names) or 'none'}")
        return name


@dataclass(frozen=True, slots=True)
class _Active:
    """The model in use. `size` is (width, height) where it takes only one, else None."""

    name: str
    input: str
    output: str
    size: tuple[int, int] | None


class ImageModel(BaseStage[ModelParams]):
    """A network redraws the picture. When many sessions use the same one, they share the device in turns."""

    title = "Model"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = ModelParams

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params)
        self._active: _Active | None = None
        self._loading: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` when the model can't be used."""
        await super().start(context)
        await self._load(self.params.name)

    def update(self, params: ModelParams) -> None:
        """Another model is loaded beside the present one, which stays in use until then: no picture is missed."""
        super().update(params)
        engine: Engine = self.context.engine
        usable = self._active is not None and self._active.name == params.name and params.name in engine.models()
        if not usable:
            if self._loading is not None:
                self._loading.cancel()
            self._loading = asyncio.create_task(self._load(params.name), name=f"load {params.name}")

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        params, active, context = self.params, self._active, self.context
        if params.strength == 0 or active is None:
            return frame
        planes = await context.run(_planes, frame, active.size)
        try:
            outputs = await context.engine.submit(active.name, {active.input: planes}, session=context.session,
                                                  deadline=now() + params.deadline / 1000)
        except (DeadlineMissed, Busy) as error:
            context.drop("deadline" if isinstance(error, DeadlineMissed) else "busy")
            return None
        picture = await context.run(_picture, frame, outputs[active.output], params.strength)
        return frame.replace(picture=picture, rotation=0)

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def _load(self, name: str) -> None:
        engine: Engine = self.context.engine
        await engine.load(name)
        self._active = _active(engine.models()[name])


def _active(model: Model) -> _Active:
    """Raises `InvalidPipeline` unless the model makes one picture of one picture."""
    pictures = [spec for spec in (*model.inputs, *model.outputs)
                if len(spec.shape) == 4 and spec.shape[1] == RGB and spec.dtype == "float32"]
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(pictures) != 2:
        raise InvalidPipeline(f"the model {model.name!r} does not make one picture of one picture", field="name")
    height, width = model.inputs[0].shape[2:]
    size = (width, height) if height is not None and width is not None else None
    return _Active(model.name, model.inputs[0].name, model.outputs[0].name, size)


def _planes(frame: VideoFrame, size: tuple[int, int] | None) -> Planes:
    """(1, 3, h, w) RGB, 0 to 1, of the upright picture, in the size that the model wants."""
    bgr = upright(frame).bgr
    return np.asarray(cv2.dnn.blobFromImage(bgr, 1 / 255, size or bgr.shape[1::-1], swapRB=True), np.float32)


def _picture(frame: VideoFrame, made: Planes, strength: float) -> Picture:
    """The frame's upright picture, with that share of what was made of it: (1, 3, h, w) RGB, 0 to 1."""
    bgr = upright(frame).bgr
    # addWeighted also cuts what leaves 0 to 255
    planes = [cv2.addWeighted(plane, 255, plane, 0, 0, dtype=cv2.CV_8U) for plane in made[0, ::-1]]
    drawn = cv2.merge(planes)
    if drawn.shape != bgr.shape:
        drawn = cv2.resize(drawn, bgr.shape[1::-1])
    if strength < 1:
        drawn = cv2.addWeighted(drawn, strength, bgr, 1 - strength, 0)
    picture = Picture.from_bgr(np.asarray(drawn, np.uint8))
    _ = picture.i420  # what an encoder wants; made in this thread it costs the loop nothing
    return picture
