"""Read what is written in the picture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from ..errors import Busy, DeadlineMissed, ModelFailed
from ..events import FrameResult, TextRead
from ..frames import Kind, Picture, Pixels, VideoFrame, now
from ..inference import Batch
from ..seeing.lines import Followed, Lines
from ..seeing.patience import Patience
from ..seeing.reader import FINDER, READER, found, load, read, told
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, upright
from ..vision.boxes import Floats
from ..vision.drawing import marked, outline
from ..vision.overlay import drawn

HANGS = 5.0  # s after its deadline at which a look counts as hanging
HOLD = 1.0  # s that lines stay drawn after the picture they were seen in
NOTE = "ocr"
STRIDES = (1, 2, 4)  # by rung, times `every`


class OcrParams(Params):
    threshold: float = Field(0.6, ge=0.05, le=1, description="least score of a line",
                             json_schema_extra={"unit": "share", "step": 0.05})
    longest: int = Field(736, ge=320, le=1920, description="what the longer side of the picture is shrunk to when "
                         "lines are looked for; larger finds smaller letters and takes longer",
                         json_schema_extra={"unit": "px"})
    every: int = Field(6, ge=1, le=300, description="looks again after so many at the soonest",
                       json_schema_extra={"unit": "pictures"})
    again: float = Field(2, ge=0.5, le=600, description="a line that stays is read again after so long: other words "
                         "are noticed at once, a single letter not always",
                         json_schema_extra={"unit": "s"})
    limit: int = Field(40, ge=1, le=200, description="most of one picture", json_schema_extra={"unit": "lines"})
    overlay: bool = Field(True, description="draws what it read into the picture; without it, results are sent only")
    deadline: float = Field(1000, ge=1, le=10000, description="a look that had to wait longer for its turn is left out",
                            json_schema_extra={"unit": "ms"})


@dataclass(frozen=True, slots=True)
class _Shown:
    polygon: Floats
    text: str
    number: int


class Ocr(BaseStage[OcrParams]):
    """Reads printed lines, English and Chinese, and tells them with the time of the very picture they were seen in.

    A look takes longer than a picture, so pictures go on meanwhile; lines are followed from look to look, read once and
    told once, as ``text.read``.
    """

    title = "Read text"
    ladder = (Rung("every look"), Rung("half as often", "looks at half as many pictures", 1 / 2),
              Rung("a quarter as often", "looks at a quarter as many pictures", 1 / 4))
    load = 0.4
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = OcrParams

    def __init__(self, params: OcrParams) -> None:
        super().__init__(params)
        self._lines = Lines()
        self._shown: Sequence[_Shown] = ()
        self._seen = 0.0  # s, when they were
        self._size = (0, 0)  # px, of the picture they were seen in
        self._told: list[dict[str, Any]] | None = None  # the last look's lines, if there was one
        self._fresh = False  # no picture has gone on with them yet
        self._since = params.every  # pictures since the last look began
        self._patience = Patience()
        self._looking: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Raises what the models' loading raises, so that the change is refused."""
        await super().start(context)
        await load(context.engine)

    def update(self, params: OcrParams) -> None:
        """Models that were taken out are loaded anew."""
        super().update(params)
        self._since = params.every
        self._patience.answered()
        if not {FINDER, READER} <= self.context.engine.models().keys() and self._loading is None:
            self._loading = asyncio.create_task(load(self.context.engine), name="load the models of writing")

    async def close(self) -> None:
        tasks = [task for task in (self._looking, self._loading) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        if self._looking is not None and self._looking.done():
            looking, self._looking = self._looking, None
            looking.result()
        self._since += 1
        every = self.params.every * STRIDES[self.rung]
        if self._looking is None and self._since >= every and not self._patience.resting:
            self._since = 0
            self._looking = asyncio.create_task(self._look(frame), name=f"read {self.context.track}")
        self._hand_on(frame)
        return await self._overlaid(frame) if self.params.overlay else frame

    async def _look(self, frame: VideoFrame) -> None:
        """Tell what is written in a picture that goes on meanwhile. Raises `ModelFailed` if a model hangs."""
        params, context = self.params, self.context
        patient = params.deadline / 1000 + HANGS
        size = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        if size != self._size:
            self._size, self._shown, self._lines, self._told = size, (), Lines(), None
        begun = time.monotonic()
        try:
            async with asyncio.timeout(patient):
                await self._read(frame)
            context.beside(time.monotonic() - begun)
        except (DeadlineMissed, Busy) as error:
            self._patience.missed()
            why = "deadline" if isinstance(error, DeadlineMissed) else "busy"
            context.event(FrameResult(notes={NOTE: {"skipped": why}}), frame)
            return
        except TimeoutError:
            self._patience.missed()
            raise ModelFailed(f"the models of writing have not answered for {patient:g} s") from None
        self._patience.answered()
        lines = self._lines.seen(params.threshold)
        self._shown = [_Shown(line.polygon, line.text, line.number) for line in lines]
        self._seen = now()
        self._told, self._fresh = [_json(line) for line in lines], True
        for line in lines:
            if line.text != line.told:
                line.told = line.text
                context.event(_read_event(line), frame)
        context.event(FrameResult(notes={NOTE: {"width": size[0], "height": size[1], "lines": self._told}}), frame)

    def _hand_on(self, frame: VideoFrame) -> None:
        """Tell later stages what the last look read; in all pictures but the next that is only supposed to be there."""
        if self._told is None or now() - self._seen > HOLD + self.params.deadline / 1000:
            return
        lines = self._told if self._fresh else [line | {"predicted": True} for line in self._told]
        self._fresh, frame.beside[NOTE] = False, {"lines": lines}

    async def _read(self, frame: VideoFrame) -> None:
        params, context, lines = self.params, self.context, self._lines
        picture: Pixels = await context.run(_bgr, frame)
        polygons, strips = await found(picture, params.longest, params.limit, self._ask, context.run)
        due: list[Followed] = await context.run(lines.place, polygons, strips, now(), params.again)
        for line, (text, score) in zip(due, await read([line.strip for line in due], self._ask, context.run),
                                       strict=True):
            line.read(text, score, now())

    async def _ask(self, model: str, batch: Batch) -> Batch:
        answer: Batch = await self.context.engine.submit(
            model, batch, session=self.context.session, deadline=now() + self.params.deadline / 1000)
        return answer

    async def _overlaid(self, frame: VideoFrame) -> VideoFrame:
        size = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        if not self._shown or size != self._size or now() - self._seen > HOLD + self.params.deadline / 1000:
            return frame
        made: VideoFrame = await self.context.run(_drawn, frame, self._shown)
        return made


def _bgr(frame: VideoFrame) -> Pixels:
    return upright(frame).bgr


def _json(line: Followed) -> dict[str, Any]:
    return {"line": line.number, "text": line.text, "score": round(line.score, 3), "polygon": told(line.polygon)}


def _read_event(line: Followed) -> TextRead:
    left, top = line.polygon.min(axis=0)
    width, height = line.polygon.max(axis=0) - (left, top)
    return TextRead(line=line.number, text=line.text, score=round(line.score, 3),
                    box=[round(float(side), 1) for side in (left, top, width, height)])


def _drawn(frame: VideoFrame, lines: Sequence[_Shown]) -> VideoFrame:
    picture = upright(frame)
    marks = [outline(line.polygon, line.text, line.number) for line in lines]
    if all(line.text.isascii() for line in lines):  # OpenCV's letters; they are the quicker ones
        return frame.replace(picture=Picture.from_i420(drawn(picture.i420, marks)), rotation=0)
    return frame.replace(picture=Picture.from_bgr(marked(picture.bgr, marks)), rotation=0)
