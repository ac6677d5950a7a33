"""Say what every picture, or every few, is of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ..errors import Busy, DeadlineMissed, ModelFailed
from ..frames import Kind, Pixels, VideoFrame, now
from ..inference import Engine, ModelOf, installed
from ..seeing.classifier import TASK, Class, Classifier, choose, classifiers, marks_of
from ..seeing.patience import Patience
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, upright
from ..vision.boxes import Floats
from ..vision.overlay import drawn

NOTE = "classify"
HANGS = 1.0  # s after its deadline at which a model counts as hanging


def _offer(schema: dict[str, Any]) -> None:
    found = {"": "the best there is"} | {entry.name: entry.title or entry.name for entry in classifiers(installed())}
    schema["enum"], schema["labels"] = list(found), found


class ClassifyParams(Params):
    model: Annotated[str, ModelOf(TASK)] = Field("", max_length=64, json_schema_extra=_offer,
                                                 description="which network; empty: the best there is")
    top: int = Field(3, ge=1, le=20, description="most told, the likeliest first", json_schema_extra={"unit": "labels"})
    threshold: float = Field(0.1, ge=0, le=1, description="what is less likely is not told",
                             json_schema_extra={"unit": "share", "step": 0.05})
    every: int = Field(3, ge=1, le=300, description="looks at each of so many",
                       json_schema_extra={"unit": "pictures"})
    steady: float = Field(0.5, ge=0, le=0.95, description="share of what was seen before in what is told",
                          json_schema_extra={"unit": "share", "step": 0.05})
    overlay: bool = Field(True, description="writes it into the picture; without it, results are sent only")
    deadline: float = Field(250, ge=1, le=5000, description="a picture that had to wait longer for its turn goes on "
                            "without result", json_schema_extra={"unit": "ms"})


class Classify(BaseStage[ClassifyParams]):
    """Says what the picture as a whole is of, by a network of the catalogue with the task ``classification``."""

    title = "Classify"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = ClassifyParams
    ladder = (Rung("every look"), Rung("half as often", "looks at half as many pictures", 1 / 2),
              Rung("a third as often", "looks at a third as many pictures", 1 / 3))
    load = 0.1  # of a network that takes 10 ms

    def __init__(self, params: ClassifyParams) -> None:
        super().__init__(params)
        self._classifier: Classifier | None = None
        self._chances: Floats | None = None
        self._shown: list[Class] = []
        self._size = (0, 0)  # px, of the last picture
        self._count = 0
        self._patience = Patience()
        self._loading: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` or what loading raises, so that the change is refused."""
        await super().start(context)
        await self._load(self.params.model)

    def update(self, params: ClassifyParams) -> None:
        """Another network is loaded beside the present one, which stays in use until then."""
        before = self.params
        super().update(params)
        classifier = self._classifier
        if before.model != params.model or classifier is None or classifier.name not in self.context.engine.models():
            if self._loading is not None:
                self._loading.cancel()
            self._loading = asyncio.create_task(self._load(params.model), name=f"load for {self.context.track}")
        self._patience.answered()

    async def _load(self, model: str) -> None:
        engine: Engine = self.context.engine
        entry = choose(engine.store, model)
        classifier: Classifier = await self.context.run(Classifier, entry)
        await engine.load(entry.name)
        self._classifier, self._chances, self._shown = classifier, None, []

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        size = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        if size != self._size:
            self._size, self._chances, self._shown = size, None, []
        classifier = self._classifier
        due = self._count % (self.params.every * (self.rung + 1)) == 0 and not self._patience.resting
        if classifier is not None and due:
            skipped = await self._look(frame, classifier)
            told: dict[str, Any] = {"model": classifier.name, "width": size[0], "height": size[1]}
            told |= {"skipped": skipped} if skipped else {"classes": [each.json() for each in self._shown]}
            if self.params.overlay:
                told["drawn"] = True
            frame.notes[NOTE if NOTE not in frame.notes else f"{NOTE} {classifier.name}"] = told
        self._count += 1
        if not self._shown or not self.params.overlay:
            return frame
        made: VideoFrame = await self.context.run(_drawn, frame, list(self._shown))
        return made

    async def _look(self, frame: VideoFrame, classifier: Classifier) -> str:
        """Find out what the picture is of, or answer why not. Raises `ModelFailed` if the model hangs."""
        params, context = self.params, self.context
        try:
            async with asyncio.timeout(params.deadline / 1000 + HANGS):
                limit = now() + params.deadline / 1000
                batch, _, _ = await context.run(_prepared, classifier, frame)
                outputs = await context.engine.submit(classifier.name, batch, session=context.session, deadline=limit)
                chances: Floats = await context.run(classifier.read, outputs)
        except (DeadlineMissed, Busy) as error:
            self._patience.missed()
            return "deadline" if isinstance(error, DeadlineMissed) else "busy"
        except TimeoutError:
            self._patience.missed()
            raise ModelFailed(f"{classifier.name} has not answered for {params.deadline / 1000 + HANGS:g} s") from None
        self._patience.answered()
        if self._chances is not None and self._chances.shape == chances.shape:
            chances = np.asarray(params.steady * self._chances + (1 - params.steady) * chances, np.float32)
        self._chances = chances
        self._shown = classifier.best(chances, params.top, params.threshold)
        return ""


def _prepared(classifier: Classifier, frame: VideoFrame) -> Any:
    picture: Pixels = upright(frame).bgr
    return classifier.input.prepare(picture)


def _drawn(frame: VideoFrame, classes: Sequence[Class]) -> VideoFrame:
    picture = upright(frame)
    return frame.replace(picture=picture.from_i420(drawn(picture.i420, marks_of(classes, picture.height))), rotation=0)
