"""Find things in every picture, or in every few, and say where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from ..errors import Busy, DeadlineMissed, InvalidPipeline, ModelFailed
from ..frames import Kind, VideoFrame, now
from ..inference import Engine, installed
from ..seeing.detector import Detector, Thing, Wish, choose, detectors
from ..seeing.patience import Patience
from ..stage import Context, Result
from ..stage_base import VIDEO, BaseStage, Params, upright
from ..vision.overlay import Mark, drawn

HOLD = 0.5  # s that boxes stay drawn when newer pictures were not looked at
HANGS = 1.0  # s after its deadline at which a model counts as hanging
NOTE = "detect"


def _offer(schema: dict[str, Any]) -> None:
    schema["enum"] = ["", *(entry.name for entry in detectors(installed()))]


class DetectParams(Params):
    engine: Literal["auto", "faces", "opencv", "onnx"] = Field(
        "auto", description="faces: MediaPipe's. opencv: cascades, people by HOG, QR codes; needs nothing. "
        "onnx: networks of the catalogue. auto: the best of all that is there")
    model: str = Field("", max_length=64, description="which detector; empty: the engine's best",
                       json_schema_extra=_offer)
    threshold: float = Field(0.5, ge=0.01, le=1, description="least score",
                             json_schema_extra={"unit": "share", "step": 0.05})
    overlap: float = Field(0.4, ge=0, le=1, description="boxes that share more than this are one thing",
                           json_schema_extra={"unit": "intersection over union", "step": 0.05})
    classes: str = Field("", max_length=1000, description="labels wanted, separated by commas; empty: all")
    every: int = Field(1, ge=1, le=60, description="looks at each of so many; boxes stay drawn between",
                       json_schema_extra={"unit": "pictures"})
    limit: int = Field(100, ge=1, le=1000, description="most of one picture", json_schema_extra={"unit": "things"})
    overlay: bool = Field(True, description="draws boxes into the picture; without it, results are sent only")
    deadline: float = Field(250, ge=1, le=5000, description="a picture that had to wait longer for its turn goes on "
                            "without result", json_schema_extra={"unit": "ms"})

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(label.strip() for label in self.classes.split(",") if label.strip())

    @property
    def wish(self) -> Wish:
        return Wish(self.threshold, self.overlap, self.limit, self.labels)


class Detect(BaseStage[DetectParams]):
    """Finds faces, or whatever the chosen detector knows, and sends each result with the time of its very picture.

    What works without pulled weights (MediaPipe's faces, OpenCV's own finders) is the no-weights tier; with engine
    auto it gives way by itself once a detector with weights is there.
    """

    title = "Detect"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = DetectParams

    def __init__(self, params: DetectParams) -> None:
        super().__init__(params)
        self._detector: Detector | None = None
        self._loading: asyncio.Task[None] | None = None
        self._count = 0
        self._things: Sequence[Thing] = ()
        self._seen = 0.0  # s, when they were
        self._size = (0, 0)  # px, of the picture that they were found in
        self._patience = Patience()

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` or what the model's loading raises, so that the change is refused."""
        await super().start(context)
        await self._load(self.params)

    def update(self, params: DetectParams) -> None:
        """Another detector is loaded beside the present one, which stays in use until then: no picture is missed."""
        before = self.params
        super().update(params)
        detector = self._detector
        if (before.engine, before.model) != (params.engine, params.model) or detector is None or (
                detector.name not in self.context.engine.models()):
            if self._loading is not None:
                self._loading.cancel()
            self._loading = asyncio.create_task(self._load(params), name=f"load a detector for {self.context.track}")
        else:
            _check(detector, params)
        self._patience.answered()

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        detector = self._detector
        if detector is None:
            return frame
        due = self._count % self.params.every == 0
        self._count += 1
        if due and not self._patience.resting:
            await self._look(frame, detector)
        return await self._shown(frame) if self.params.overlay else frame

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def _load(self, params: DetectParams) -> None:
        engine: Engine = self.context.engine
        entry = choose(engine.store, params.engine, params.model)
        detector = Detector(entry)
        _check(detector, params)
        await engine.load(entry.name)
        self._detector, self._things = detector, ()

    async def _look(self, frame: VideoFrame, detector: Detector) -> None:
        """Write what is found on the frame, or why nothing was looked for. Raises `ModelFailed` if the model hangs."""
        params, context = self.params, self.context
        batch, place, size = await context.run(_prepared, frame, detector)
        limit = now() + params.deadline / 1000
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + params.deadline / 1000 + HANGS):
                outputs = await context.engine.submit(detector.name, batch, session=context.session, deadline=limit)
        except (DeadlineMissed, Busy) as error:
            self._patience.missed()
            self._note(frame, detector, skipped="deadline" if isinstance(error, DeadlineMissed) else "busy")
            return
        except TimeoutError:
            self._patience.missed()
            raise ModelFailed(f"{detector.name} has not answered for {params.deadline / 1000 + HANGS:g} s") from None
        self._patience.answered()
        picture = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        self._things = await context.run(detector.read, outputs, place, size, picture, params.wish)
        self._seen, self._size = now(), picture
        self._note(frame, detector, width=picture[0], height=picture[1],
                   detections=[thing.json() for thing in self._things])

    def _note(self, frame: VideoFrame, detector: Detector, **told: Any) -> None:
        key = NOTE if NOTE not in frame.notes else f"{NOTE} {detector.name}"  # two detectors in one pipeline
        frame.notes[key] = {"model": detector.name, "tier": detector.tier} | told

    async def _shown(self, frame: VideoFrame) -> VideoFrame:
        picture = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        if not self._things or self._size != picture or now() - self._seen > HOLD:
            return frame
        made: VideoFrame = await self.context.run(_drawn, frame, self._things)
        return made


def _check(detector: Detector, params: DetectParams) -> None:
    """Raises `InvalidPipeline` for a label that the detector does not know."""
    unknown = sorted(params.labels - set(detector.labels))
    if unknown:
        known = ", ".join(detector.labels)
        raise InvalidPipeline(f"{detector.name} knows no {unknown[0]!r}; it knows: {known}", field="classes")


def _prepared(frame: VideoFrame, detector: Detector) -> Any:
    return detector.input.prepare(upright(frame).bgr)


def _drawn(frame: VideoFrame, things: Sequence[Thing]) -> VideoFrame:
    picture = upright(frame)
    marks = [Mark(thing.box, f"{thing.text or thing.label} {thing.score:.0%}", thing.number, thing.points)
             for thing in things]
    return frame.replace(picture=picture.from_i420(drawn(picture.i420, marks)), rotation=0)
