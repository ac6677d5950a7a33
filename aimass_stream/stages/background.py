"""Blur what is behind a person, or put a colour or a picture there."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from ..clips import draw
from ..errors import AimassError, Busy, DeadlineMissed, InvalidPipeline
from ..frames import Kind, Picture, Pixels, VideoFrame, now
from ..inference import Batch, Engine, Entry, ModelOf, ModelStore, installed
from ..inference.loader import named
from ..painting.inline import CHARACTERS, decoded
from ..seeing.input import PictureInput
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, blank, planes, upright
from ..vision.matting import Steady, blurred_behind, covering, half, over, refine

TASK = "person-segmentation"
WIDE, SQUARE = "mediapipe-person-wide", "mediapipe-person"
LANDSCAPE = 1.2  # pictures of this ratio and more are for the wide model
HANGS = 1.0  # s after its deadline at which a model counts as hanging
PICTURE_SIDE = 640  # px of the longer side that a page sends of a picture to put there
OLD = 0.5  # s that a mask may be used for later pictures, when the model is late
NOTE = "background"


def _offer(schema: dict[str, Any]) -> None:
    found = {"": "by the picture's shape"} | {entry.name: entry.title or entry.name
                                              for entry in installed().entries() if entry.task == TASK}
    schema["enum"], schema["labels"] = list(found), found


class BackgroundParams(Params):
    mode: Literal["blur", "colour", "picture"] = Field("blur", description="what is seen behind the person")
    blur: float = Field(3, ge=0.5, le=10, description="how far the blur reaches (sigma)",
                        json_schema_extra={"unit": "% of height", "step": 0.5})
    colour: str = Field("#1f7a4d", pattern="^#[0-9a-fA-F]{6}$", description="for mode colour, #rrggbb",
                        json_schema_extra={"format": "color"})
    picture: str = Field("", max_length=CHARACTERS, description="for mode picture: a data: URL of a JPEG, PNG "
                         "or WebP file; empty: a drawn scene", json_schema_extra={
                             "picture": PICTURE_SIDE, "along": {"mode": "picture"},
                             "hint": "of your own, to be seen behind the person; without one, a drawn scene"})
    steady: bool = Field(True, description="holds the person's outline still where nothing moves")
    model: Annotated[str, ModelOf(TASK)] = Field("", max_length=64, json_schema_extra=_offer, description="which model "
                                                 "makes masks; empty: MediaPipe's, by the picture's shape")
    deadline: float = Field(100, ge=1, le=5000, description="a picture that had to wait longer for its turn takes the "
                            "mask before", json_schema_extra={"unit": "ms"})

    @field_validator("picture")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value:
            decoded(value)
        return value


class Background(BaseStage[BackgroundParams]):
    """Shows the person and blurs or replaces what is behind. Without a mask all of the picture is covered.

    So nothing of a room is shown by accident; ``frame.result`` then says why.
    """

    title = "Background"
    ladder = (Rung("every picture"), Rung("every second", "every second picture has the mask of the one before", 0.7),
              Rung("every third", "two of three pictures have the mask of one before", 0.6))
    load = 0.25
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = BackgroundParams

    def __init__(self, params: BackgroundParams) -> None:
        super().__init__(params)
        self._inputs: dict[str, PictureInput] = {}  # by model, those that are ready
        self._loading: asyncio.Task[None] | None = None
        self._steady = Steady()
        self._alpha: Pixels | None = None  # (h, w)
        self._made = 0.0  # s, when that was
        self._turn = 0
        self._scene: _Scene | None = None

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` or what the model's loading raises, so that the change is refused."""
        await super().start(context)
        await self._load(self.params.model)

    def update(self, params: BackgroundParams) -> None:
        """Another model is loaded beside the present one, which stays in use until then."""
        before = self.params
        super().update(params)
        if before.model != params.model or not self._inputs.keys() <= self.context.engine.models().keys():
            if self._loading is not None:
                self._loading.cancel()
            self._loading = asyncio.create_task(self._load(params.model), name="load a model of person masks")

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told; the model before stays in use
        self._turn += 1
        old = self._turn % (self.rung + 1) and self._alpha is not None and now() - self._made <= OLD
        why = "" if old and self._fits(frame) else await self._look(frame)
        if why:
            frame.notes[NOTE] = {"covered": self._alpha is None, "reason": why}
        made: VideoFrame = await self.context.run(self._composed, frame)
        return made

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def _load(self, model: str) -> None:
        engine: Engine = self.context.engine
        inputs = {}
        for entry in _entries(engine.store, model):
            inputs[entry.name] = PictureInput(entry)
            await engine.load(entry.name)
        self._inputs = inputs

    async def _look(self, frame: VideoFrame) -> str:
        """Make the mask of this picture; why it could not be, if so. No error leaves: the picture would, too."""
        params, context = self.params, self.context
        name = self._model_for(frame)
        try:
            batch, picture = await context.run(_prepared, frame, self._inputs[name])
            async with asyncio.timeout(params.deadline / 1000 + HANGS):
                outputs = await context.engine.submit(name, batch, session=context.session,
                                                      deadline=now() + params.deadline / 1000)
            self._alpha = await context.run(self._refined, outputs, batch, picture)
            self._made = now()
        except (AimassError, TimeoutError) as error:
            if now() - self._made > OLD:
                self._alpha = None
            if isinstance(error, DeadlineMissed | Busy):
                return "deadline" if isinstance(error, DeadlineMissed) else "busy"
            return str(error) or f"{name} does not answer"
        return ""

    def _fits(self, frame: VideoFrame) -> bool:
        """Whether the mask has this picture's size."""
        size = (frame.width, frame.height) if frame.rotation in (90, 270) else (frame.height, frame.width)
        return self._alpha is not None and self._alpha.shape == size

    def _model_for(self, frame: VideoFrame) -> str:
        width, height = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        wanted = WIDE if width / height >= LANDSCAPE else SQUARE
        return wanted if wanted in self._inputs else next(iter(self._inputs))

    def _refined(self, outputs: Batch, batch: Batch, picture: Picture) -> Pixels:
        """Alpha (h, w) of a model's outputs; in a thread. Raises `AimassError` when they are no mask."""
        [tensor] = batch.values()
        channels_last = tensor.shape[-1] == 3
        height, width = tensor.shape[1:3] if channels_last else tensor.shape[2:]
        mask = next(iter(outputs.values()))
        if mask.size != width * height:
            raise InvalidPipeline(f"the model's mask is {'×'.join(map(str, mask.shape))}, not one of {width}×{height}",
                                  field="model")
        mask = np.nan_to_num(mask.reshape(height, width).astype(np.float32, copy=False), nan=0.0, posinf=1, neginf=0)
        luma = planes(picture.i420)[0]
        alpha = refine(mask, luma)
        if self.params.steady:
            small = np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            alpha = self._steady.next(alpha, small)
        return alpha

    def _composed(self, frame: VideoFrame) -> VideoFrame:
        """In a thread: the person before what this stage puts behind."""
        params, picture = self.params, upright(frame)
        width, height = picture.width, picture.height
        alpha = self._alpha
        if alpha is None or alpha.shape != (height, width):
            alpha = np.zeros((height, width), np.uint8)
        small = half(alpha)
        made = blank(width, height)
        behind = None if params.mode == "blur" else self._behind(params, width, height)
        for number, (plane, out) in enumerate(zip(planes(picture.i420), planes(made), strict=True)):
            own = small if number else alpha
            sigma = max(1.0, params.blur / 100 * plane.shape[0])
            over(plane, behind[number] if behind else blurred_behind(plane, own, sigma), own, out)
        return frame.replace(picture=Picture.from_i420(made), rotation=0)

    def _behind(self, params: BackgroundParams, width: int, height: int) -> tuple[Pixels, Pixels, Pixels]:
        wanted = (params.mode, params.colour, params.picture, width, height)
        if self._scene is None or self._scene.made_of != wanted:
            self._scene = _Scene(wanted, params, width, height)
        return self._scene.planes


class _Scene:
    """A colour or picture as planes, kept while it is wanted."""

    def __init__(self, made_of: tuple[Any, ...], params: BackgroundParams, width: int, height: int) -> None:
        self.made_of = made_of
        if params.mode == "colour":
            red, green, blue = bytes.fromhex(params.colour[1:])
            bgr = np.full((height, width, 3), (blue, green, red), np.uint8)
        else:
            bgr = covering(decoded(params.picture) if params.picture else draw(0, width, height), width, height)
        self.planes = planes(Picture.from_bgr(bgr).i420)


def _entries(store: ModelStore, model: str) -> list[Entry]:
    """The models to load: the named one, or MediaPipe's two. Raises `InvalidPipeline`."""
    there = {entry.name: entry for entry in named(store, model) if entry.task == TASK}
    wanted = [model] if model else [WIDE, SQUARE]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise InvalidPipeline(f"there is no model of person masks {missing[0]!r}; there are: "
                              f"{', '.join(there) or 'none'}", field="model")
    return [there[name] for name in wanted]


def _prepared(frame: VideoFrame, takes: PictureInput) -> tuple[Batch, Picture]:
    picture = upright(frame)
    return takes.prepare(picture.bgr)[0], picture
