"""Find things in every picture, or in every few, follow them, and say where they are and what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ..errors import Busy, DeadlineMissed, InvalidPipeline, ModelFailed
from ..events import DetectorReady, EventData, LineCrossed, ZoneEntered, ZoneLeft
from ..frames import Kind, Pixels, VideoFrame, now
from ..inference import Batch, Entry, ModelOf, installed
from ..places import MOST, Lines, Zones, told_apart
from ..seeing.attributes import Attributes
from ..seeing.classifier import ATTRIBUTES
from ..seeing.classifier import choose as choose_classifier
from ..seeing.detector import TASKS, Detector, Thing, Wish, choose, detectors
from ..seeing.following import Follower, Ground
from ..seeing.patience import Patience
from ..seeing.tiles import Ask, look
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, upright
from ..vision.letterbox import Letterbox
from ..vision.overlay import Mark, drawn, outlined
from ..vision.zones import Happening, Watch

HOLD = 0.5  # s that boxes of things that are not followed stay drawn when newer pictures were not looked at
HANGS = 1.0  # s after its deadline at which a model counts as hanging
NOTE = "detect"
NO_WEIGHTS = "no-weights"
SEEK = 5.0  # s from one look for better weights to the next, while there are none

Size = tuple[int, int]


def _offer(schema: dict[str, Any]) -> None:
    found = {"": "the best there is"} | {entry.name: entry.title or entry.name for entry in detectors(installed())}
    schema["enum"], schema["labels"] = list(found), found


class DetectParams(Params):
    engine: Literal["auto", "faces", "opencv", "onnx"] = Field(
        "auto", description="faces: MediaPipe's. opencv: cascades, people by HOG, QR codes; needs nothing. "
        "onnx: networks of the catalogue. auto: the best of all that is there")
    model: Annotated[str, ModelOf(*TASKS)] = Field("", max_length=64, description="which detector; empty: the engine's "
                                                   "best",
                       json_schema_extra=_offer)
    threshold: float = Field(0.5, ge=0.01, le=1, description="least score",
                             json_schema_extra={"unit": "share", "step": 0.05})
    overlap: float = Field(0.4, ge=0, le=1, description="boxes that share more than this are one thing",
                           json_schema_extra={"unit": "IoU", "step": 0.05})
    classes: str = Field("", max_length=1000, description="labels wanted, separated by commas; empty: all")
    every: int = Field(1, ge=1, le=60, description="looks at each of so many; between, boxes move along with what is "
                       "followed, or stay", json_schema_extra={"unit": "pictures"})
    tiles: int = Field(1, ge=1, le=4, description="looks also at parts of the picture, up to so many across, for small "
                       "things; 2 costs five times as much, 3 fourteen times", json_schema_extra={"unit": "across"})
    attributes: Annotated[str, ModelOf(ATTRIBUTES, several=True)] = Field(
        "", max_length=400, description="networks that tell what things are like, by name, with commas between; each "
                                        "looks at things of its kinds once a second")
    follow: bool = Field(True, description="follows things from picture to picture: each has an id, its box sticks")
    zones: Zones = Field((), max_length=MOST, description="tells who comes and leaves: a name and corners of each, as "
                         '`{"name": "door", "points": [[0, 0.4], [0.3, 0.4], [0.3, 1]]}`, in parts of the picture')
    lines: Lines = Field((), max_length=MOST, description="counts who crosses: a name and two ends of each, as "
                         '`{"name": "gate", "start": [0.5, 0], "end": [0.5, 1]}`; inwards is to the right of who looks '
                         "from start to end")
    foot: Literal["bottom", "centre"] = Field("bottom", description="the point of a box that counts in zones and at "
                                              "lines")
    limit: int = Field(100, ge=1, le=1000, description="most of one picture", json_schema_extra={"unit": "things"})
    overlay: bool = Field(True, description="draws boxes into the picture; without it, results are sent only")
    deadline: float = Field(250, ge=1, le=5000, description="a picture that had to wait longer for its turn goes on "
                            "without result", json_schema_extra={"unit": "ms"})

    @field_validator("zones", "lines")
    @classmethod
    def _told_apart(cls, given: Zones | Lines) -> Zones | Lines:
        told_apart(given)
        return given

    @model_validator(mode="after")
    def _followed(self) -> DetectParams:
        if (self.zones or self.lines) and not self.follow:
            raise ValueError("zones and lines need follow: only what is followed comes, leaves and crosses")
        return self

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(label.strip() for label in self.classes.split(",") if label.strip())

    @property
    def wish(self) -> Wish:
        """What the detector is asked for: also doubtful things, where those that are followed need them."""
        least = Follower.doubt(self.threshold) if self.follow else self.threshold
        return Wish(least, self.overlap, self.limit, self.labels)

    @property
    def gives_way(self) -> bool:
        """Whether a better detector is taken when its weights come."""
        return self.engine == "auto" and not self.model

    def reason(self, tier: str, *, gave_way: bool) -> str:
        """Why this detector."""
        if self.model:
            return "it is named"
        if tier == NO_WEIGHTS:
            return "no detector with weights is here" if self.gives_way else "the best of this engine that is here"
        return "its weights have come" if gave_way else "the best that is here"

    @property
    def ground(self) -> Ground:
        return Ground(tuple(each.zone for each in self.zones), tuple(each.line for each in self.lines), self.foot)


class Detect(BaseStage[DetectParams]):
    """Finds faces, or whatever the chosen detector knows, and sends each result with the time of its very picture.

    Things are followed: each keeps an id, and its box moves along in pictures that were not looked at. Zones and lines
    tell what comes, leaves and crosses. What works without pulled weights (MediaPipe's faces, OpenCV's own finders) is
    the no-weights tier; with engine auto it gives way by itself once a detector with weights is there.
    """

    title = "Detect"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = DetectParams
    ladder = (Rung("every picture"), Rung("every second", "looks at half as many pictures", 1 / 2),
              Rung("every third", "looks at a third as many pictures", 1 / 3),
              Rung("no tiles", "looks at a third as many pictures, and at no parts of them", 1 / 15))
    load = 0.2

    def __init__(self, params: DetectParams) -> None:
        super().__init__(params)
        self._detector: Detector | None = None
        self._loading: asyncio.Task[None] | None = None
        self._count = 0
        self._ground = params.ground
        self._follower = Follower(self._ground)
        self._anew = False  # what was followed has nothing to do with what comes
        self._things: Sequence[Thing] = ()
        self._seen = 0.0  # s, when they were
        self._size = (0, 0)  # px, of the picture that they were found in
        self._patience = Patience()
        self._attributes = Attributes()
        self._seeks = 0.0  # s, when better weights are looked for
        self._useless: set[str] = set()  # detectors with weights that could not be taken

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` or what the model's loading raises, so that the change is refused."""
        await super().start(context)
        await self._load(self.params, self._choose(self.params))

    def update(self, params: DetectParams) -> None:
        """Another detector is loaded beside the present one, which stays in use until then: no picture is missed."""
        before = self.params
        super().update(params)
        self._useless = set()
        self._ground = params.ground  # for the next picture: a thread may be busy with this one
        self._anew |= before.follow != params.follow
        detector = self._detector
        if (before.engine, before.model) != (params.engine, params.model) or detector is None or (
                detector.name not in self.context.engine.models()) or before.attributes != params.attributes:
            if self._loading is not None:
                self._loading.cancel()
            self._spawn(self._change(params))
        else:
            _check(detector, params)
        self._patience.answered()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._loading = asyncio.create_task(work, name=f"load a detector for {self.context.track}")

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        detector, params = self._detector, self._eased()
        if detector is None:
            return frame
        if self._loading is None and params.gives_way and detector.tier == NO_WEIGHTS and now() >= self._seeks:
            self._seeks = now() + SEEK
            self._spawn(self._better(params, detector.name))
        self._follower.stand_on(self._ground)
        if self._anew:
            self._anew = False
            self._follower.reset()
        size = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        due = self._count % params.every == 0 and not self._patience.resting
        self._count += 1
        skipped = await self._look(frame, size, detector, params) if due else None
        if params.follow:
            self._follow(frame, size, detector, looked=skipped == "")
        if params.follow or skipped is not None:
            self._note(frame, size, detector, params, skipped)
        return await self._shown(frame, size) if params.overlay else frame

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    def _choose(self, params: DetectParams) -> Entry:
        return choose(self.context.engine.store, params.engine, params.model, without=self._useless)

    async def _change(self, params: DetectParams) -> None:
        await self._load(params, self._choose(params))

    async def _better(self, params: DetectParams, present: str) -> None:
        """Take a detector whose weights have come meanwhile. Raises what its loading raises; it is let be then."""
        entry: Entry = await self.context.run(self._choose, params)
        if entry.name != present:
            self._useless.add(entry.name)
            await self._load(params, entry)
            self._useless.discard(entry.name)

    async def _load(self, params: DetectParams, entry: Entry) -> None:
        before, detector = self._detector, Detector(entry)
        _check(detector, params)
        await self.context.engine.load(entry.name)
        wanted = [choose_classifier(self.context.engine.store, name.strip(), ATTRIBUTES)
                  for name in params.attributes.split(",") if name.strip()]
        attributes: Attributes = await self.context.run(Attributes, wanted)
        for model in wanted:
            await self.context.engine.load(model.name)
        self._detector, self._things, self._anew, self._attributes = detector, (), True, attributes
        gave_way = before is not None and before.tier == NO_WEIGHTS and params.gives_way
        self.context.event(DetectorReady(
            model=entry.name, title=entry.title, tier=detector.tier, ap50=entry.card.get("ap50"),
            measured=_measured(entry), reason=params.reason(detector.tier, gave_way=gave_way)))

    def reach(self) -> range:
        return range(len(self.ladder) if self.params.tiles > 1 else len(self.ladder) - 1)

    def _eased(self) -> DetectParams:
        """The parameters at the present rung."""
        params, rung = self.params, self.rung
        if not rung:
            return params
        every = params.every * min(rung + 1, 3)
        return params.model_copy(update={"every": every, "tiles": 1 if rung > 2 else params.tiles})

    async def _look(self, frame: VideoFrame, size: Size, detector: Detector, params: DetectParams) -> str:
        """Find things, or answer why nothing was looked for. Raises `ModelFailed` if the model hangs."""
        context = self.context
        limit = now() + params.deadline / 1000

        async def ask(model: str, batch: Batch) -> Batch:
            answer: Batch = await context.engine.submit(model, batch, session=context.session, deadline=limit)
            return answer

        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + params.deadline / 1000 + HANGS):
                picture = await self._found(frame, size, detector, params, partial(ask, detector.name))
                with suppress(DeadlineMissed, Busy):  # then things are told without them
                    seen = self._follower.things if params.follow else self._things
                    await self._attributes.look(picture, seen, frame.seconds, ask, context.run)
        except (DeadlineMissed, Busy) as error:
            self._patience.missed()
            return "deadline" if isinstance(error, DeadlineMissed) else "busy"
        except TimeoutError:
            self._patience.missed()
            raise ModelFailed(f"{detector.name} has not answered for {params.deadline / 1000 + HANGS:g} s") from None
        self._patience.answered()
        return ""

    async def _found(self, frame: VideoFrame, size: Size, detector: Detector, params: DetectParams, ask: Ask) -> Pixels:
        """Take what is in the picture, and answer it as it was looked at. Raises what `ask` raises."""
        run = self.context.run
        if params.tiles > 1:
            picture: Pixels = await run(_bgr, frame)
            things = await look(detector, picture, params.wish, params.tiles, ask, run)
            await run(self._take, things, frame.seconds, size, params)
            return picture

        def begin() -> tuple[Pixels, Batch, Letterbox, Size]:
            picture = _bgr(frame)
            return picture, *detector.input.prepare(picture)

        def end() -> None:
            things = detector.read(outputs, place, shape, (picture.shape[1], picture.shape[0]), params.wish)
            detector.input.give_back(batch)
            self._take(things, frame.seconds, size, params)

        # two ways to a thread and back, no more: they cost as much as the work there
        picture, batch, place, shape = await run(begin)
        outputs = await ask(batch)
        await run(end)
        return picture

    def _take(self, things: Sequence[Thing], seconds: float, size: Size, params: DetectParams) -> None:
        """What was found in the picture of that time and size; in a thread."""
        self._things, self._seen, self._size = things, now(), size
        if params.follow:
            self._follower.looked(seconds, size, things, params.threshold)

    def _follow(self, frame: VideoFrame, size: Size, detector: Detector, *, looked: bool) -> None:
        """Where everything is by now, and what happened."""
        follower = self._follower
        if not looked:
            follower.passed(frame.seconds, size)
        self._things, self._seen, self._size = follower.things, now(), size
        for happening in follower.happened:
            self.context.event(_event(happening, detector.name), frame)

    def _note(self, frame: VideoFrame, size: Size, detector: Detector, params: DetectParams,
              skipped: str | None) -> None:
        told: dict[str, Any] = {"model": detector.name, "tier": detector.tier}
        if skipped:
            told["skipped"] = skipped
        if params.follow or not skipped:
            told |= {"width": size[0], "height": size[1], "detections": self._told(frame, params)}
        if params.follow:
            told |= self._follower.watch.json()
            if params.foot == "centre":
                told["foot"] = "centre"
        if params.overlay:
            told["drawn"] = True
        elif not params.follow and params.every > 1:
            told["every"] = params.every
        key = NOTE if NOTE not in frame.notes else f"{NOTE} {detector.name}"  # two detectors in one pipeline
        frame.notes[key] = told

    def _told(self, frame: VideoFrame, params: DetectParams) -> list[dict[str, Any]]:
        told = [thing.json() | self._attributes.json(thing) for thing in self._things]
        for thing, one in zip(self._things, told, strict=True):
            if thing.score < params.threshold:
                one["doubtful"] = True
        if params.zones:
            for thing, one in zip(self._things, told, strict=True):
                dwells = self._follower.watch.dwells(thing.id, frame.seconds)
                if dwells:
                    one["zones"] = {name: round(dwell, 2) for name, dwell in dwells.items()}
        return told

    async def _shown(self, frame: VideoFrame, size: Size) -> VideoFrame:
        things = self._things if self._size == size and now() - self._seen <= HOLD else ()
        marks = [*_ground_marks(self._follower.watch, size), *(
            _mark(thing, self._attributes.words(thing), thing.score >= self.params.threshold) for thing in things)]
        if not marks:
            return frame
        made: VideoFrame = await self.context.run(_drawn, frame, marks)
        return made


def _check(detector: Detector, params: DetectParams) -> None:
    """Raises `InvalidPipeline` for a label that the detector does not know."""
    unknown = sorted(params.labels - set(detector.labels))
    if unknown:
        known = ", ".join(detector.labels)
        raise InvalidPipeline(f"{detector.name} knows no {unknown[0]!r}; it knows: {known}", field="classes")


def _measured(entry: Entry) -> str:
    """What its card says of how well it finds things."""
    precision = entry.card.get("average_precision")
    if isinstance(precision, str):
        return f"average precision {precision}"
    return str(entry.card.get("limits", ""))


def _bgr(frame: VideoFrame) -> Pixels:
    return upright(frame).bgr


def _event(happening: Happening, model: str) -> EventData:
    name, number, label = happening.name, happening.number, happening.label
    if happening.what == "entered":
        return ZoneEntered(zone=name, id=number, label=label, model=model)
    if happening.what == "left":
        return ZoneLeft(zone=name, id=number, label=label, model=model, dwell=round(happening.dwell, 2))
    return LineCrossed(line=name, id=number, label=label, model=model, direction=happening.direction)


def _mark(thing: Thing, like: str, sure: bool) -> Mark:
    number = f"#{thing.id} " if thing.id else ""
    return Mark(thing.box, f"{number}{thing.text or thing.label} {thing.score:.0%}{like}", thing.id or thing.number,
                thing.points, sure=sure)


def _ground_marks(watch: Watch, size: Size) -> list[Mark]:
    """Zones with how many are inside, lines with how many crossed them."""
    told = watch.json()
    zones = [outlined(zone.points, size, f"{zone.name} {count['inside']}")
             for zone, count in zip(watch.zones, told.get("zones", ()), strict=True)]
    lines = [outlined((line.start, line.end), size, f"{line.name} {count['in']} in, {count['out']} out")
             for line, count in zip(watch.lines, told.get("lines", ()), strict=True)]
    return [*zones, *lines]


def _drawn(frame: VideoFrame, marks: Sequence[Mark]) -> VideoFrame:
    picture = upright(frame)
    return frame.replace(picture=picture.from_i420(drawn(picture.i420, marks)), rotation=0)
