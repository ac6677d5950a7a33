"""Recognise people who asked for it, and say who came and left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ..errors import Busy, DeadlineMissed, ModelFailed
from ..events import PersonArrived, PersonLeft
from ..frames import Kind, Pixels, VideoFrame, now
from ..inference import Batch, Engine, ModelOf, installed
from ..seeing.detector import Detector, Thing, Wish
from ..seeing.detector import choose as choose_detector
from ..seeing.embedder import PATTERNS, TASK, Embedder, choose, embedders
from ..seeing.following import Follower, Ground
from ..seeing.patience import Patience
from ..seeing.presence import Presence, Visit
from ..seeing.register import Register, shared
from ..seeing.tiles import look
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, upright
from ..vision.faces import aligned
from ..vision.overlay import Mark, drawn

NOTE = "faces"
UNKNOWN = "unknown"  # the name of who is not enrolled
SMALLEST = 32.0  # px of a face that is looked at closely
AT_ONCE = 2  # faces that are, in one picture
OVERLAP = 0.4  # of boxes that are one face
HANGS = 1.0  # s after its deadline at which a model counts as hanging

Size = tuple[int, int]


def _offer(schema: dict[str, Any]) -> None:
    found = {"": "the best there is", PATTERNS: PATTERNS} | {entry.name: entry.title or entry.name
                                                             for entry in embedders(installed())}
    schema["enum"], schema["labels"] = list(found), found


class FacesParams(Params):
    model: Annotated[str, ModelOf(TASK, own=PATTERNS.__eq__)] = Field(
        "", max_length=64, json_schema_extra=_offer, description="what tells faces apart: a network of the catalogue, "
        "or patterns (local binary patterns, which need no weights); empty: the best there is")
    threshold: float = Field(0.5, ge=0.05, le=1, description="least score of a face",
                             json_schema_extra={"unit": "share", "step": 0.05})
    every: int = Field(2, ge=1, le=60, description="looks for faces in each of so many; between, they are followed",
                       json_schema_extra={"unit": "pictures"})
    gone: float = Field(3, ge=0.5, le=600, description="of who is not seen for so long, it is said that they left",
                        json_schema_extra={"unit": "s"})
    limit: int = Field(20, ge=1, le=100, description="most of one picture", json_schema_extra={"unit": "faces"})
    overlay: bool = Field(True, description="draws faces and names into the picture; without it, results are sent only")
    deadline: float = Field(250, ge=1, le=5000, description="a picture that had to wait longer for its turn goes on "
                            "without result", json_schema_extra={"unit": "ms"})


class Faces(BaseStage[FacesParams]):
    """Finds faces, and knows those of people who agreed to it (`POST /v1/faces`); all others stay unknown.

    Tells who came and left as ``person.arrived`` and ``person.left``. Without a network for faces it compares local
    binary patterns, and then names nobody before the faces it knows show that it errs at most once in a hundred.
    """

    title = "Faces"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = FacesParams
    ladder = (Rung("every look"), Rung("half as often", "looks at half as many pictures", 1 / 2),
              Rung("a third as often", "looks at a third as many pictures", 1 / 3))
    load = 0.12

    def __init__(self, params: FacesParams) -> None:
        super().__init__(params)
        self._detector: Detector | None = None
        self._embedder = Embedder()
        self._register: Register | None = None
        self._follower = Follower(Ground())
        self._presence = Presence()
        self._patience = Patience()
        self._loading: asyncio.Task[None] | None = None
        self._count = 0

    async def start(self, context: Context) -> None:
        """Raises what loading raises, so that the change is refused."""
        await super().start(context)
        await self._load(self.params)

    def update(self, params: FacesParams) -> None:
        """Another model is loaded beside the present one, which stays in use until then."""
        before = self.params
        super().update(params)
        models = self.context.engine.models()
        lost = self._detector is None or self._detector.name not in models or (
            self._embedder.input is not None and self._embedder.name not in models)
        if before.model != params.model or lost:
            if self._loading is not None:
                self._loading.cancel()
            self._loading = asyncio.create_task(self._load(params), name=f"load faces for {self.context.track}")
        self._patience.answered()

    async def _load(self, params: FacesParams) -> None:
        engine: Engine = self.context.engine
        detector = Detector(choose_detector(engine.store, "auto", "", "face"))
        embedder = choose(engine.store, params.model)
        await engine.load(detector.name)
        register = await shared(engine, self.context.settings.data_dir)
        await register.ready(embedder)
        if embedder.key != self._embedder.key:
            self._presence.reset()
        self._detector, self._embedder, self._register = detector, embedder, register

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        self._tell(self._presence.leave(), None)

    async def process(self, frame: VideoFrame) -> Result:
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        detector, register, params = self._detector, self._register, self.params
        if detector is None or register is None:
            return frame
        size = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        skipped = None
        if self._count % (params.every * (self.rung + 1)) == 0 and not self._patience.resting:
            skipped = await self._look(frame, size, detector, register)
        self._count += 1
        if skipped != "":
            self._follower.passed(frame.seconds, size)
        self._tell(self._presence.update(self._follower.things, frame.seconds, params.gone, register.names), frame)
        self._note(frame, size, register, skipped)
        if not params.overlay or not self._follower.things:
            return frame
        made: VideoFrame = await self.context.run(_drawn, frame, self._marks(register))
        return made

    async def _look(self, frame: VideoFrame, size: Size, detector: Detector, register: Register) -> str:
        """Find faces and whose they are, or answer why not. Raises `ModelFailed` if a model hangs or fails."""
        params = self.params
        ask = partial(self._ask, now() + params.deadline / 1000)
        try:
            async with asyncio.timeout(params.deadline / 1000 + HANGS):
                picture: Pixels = await self.context.run(_bgr, frame)
                wish = Wish(Follower.doubt(params.threshold), OVERLAP, params.limit, frozenset({"face"}))
                found = await look(detector, picture, wish, 1, partial(ask, detector.name), self.context.run)
                await self.context.run(self._follower.looked, frame.seconds, size, found, params.threshold)
                await self._name(frame, picture, register, partial(ask, self._embedder.name))
        except (DeadlineMissed, Busy) as error:
            self._patience.missed()
            return "deadline" if isinstance(error, DeadlineMissed) else "busy"
        except TimeoutError:
            self._patience.missed()
            raise ModelFailed(f"the models of faces have not answered for {params.deadline / 1000 + HANGS:g} s"
                              ) from None
        self._patience.answered()
        return ""

    async def _name(self, frame: VideoFrame, picture: Pixels, register: Register, ask: Any) -> None:
        embedder = self._embedder
        gallery = register.gallery(embedder)
        if not gallery.people or not gallery.trust.answers:
            return
        for thing in self._presence.due(self._follower.things, frame.seconds, SMALLEST, AT_ONCE):
            face = await self.context.run(aligned, picture, thing.box, thing.points)
            vector = await embedder.embed(face, ask, self.context.run)
            self._presence.look(thing.id, await self.context.run(gallery.identify, vector), frame.seconds)

    async def _ask(self, deadline: float, model: str, batch: Batch) -> Batch:
        answer: Batch = await self.context.engine.submit(model, batch, session=self.context.session, deadline=deadline)
        return answer

    def _tell(self, visits: Sequence[Visit], frame: VideoFrame | None) -> None:
        names = self._register.names if self._register is not None else {}
        for visit in visits:
            name = names.get(visit.person, "")
            at = round(visit.at, 3)
            if visit.what == "came":
                self.context.event(PersonArrived(person=visit.person, name=name, at=at), frame)
            else:
                self.context.event(PersonLeft(person=visit.person, name=name, at=at, stayed=round(visit.stayed, 2)),
                                   frame)

    def _note(self, frame: VideoFrame, size: Size, register: Register, skipped: str | None) -> None:
        embedder = self._embedder
        told: dict[str, Any] = {
            "model": embedder.name, "tier": embedder.tier, "width": size[0], "height": size[1],
            "detections": [self._face(thing, register) for thing in self._follower.things],
            "here": [{"person": person, "name": register.names.get(person, ""), "since": round(since, 3)}
                     for person, since in self._presence.here.items()]}
        if not register.gallery(embedder).trust.answers:
            told["names"] = "nobody is enrolled" if not register.names else "not sure enough yet"
        if skipped:
            told["skipped"] = skipped
        if self.params.overlay:
            told["drawn"] = True
        frame.notes[NOTE] = told

    def _face(self, thing: Thing, register: Register) -> dict[str, Any]:
        person, likeness = self._presence.who(thing.id)
        return thing.json() | {"name": register.names.get(person, UNKNOWN), "person": person,
                               "likeness": round(likeness, 3)}

    def _marks(self, register: Register) -> list[Mark]:
        marks = []
        for thing in self._follower.things:
            person, _ = self._presence.who(thing.id)
            marks.append(Mark(thing.box, register.names.get(person, UNKNOWN), thing.id))
        return marks


def _bgr(frame: VideoFrame) -> Pixels:
    return upright(frame).bgr


def _drawn(frame: VideoFrame, marks: Sequence[Mark]) -> VideoFrame:
    picture = upright(frame)
    return frame.replace(picture=picture.from_i420(drawn(picture.i420, marks)), rotation=0)
