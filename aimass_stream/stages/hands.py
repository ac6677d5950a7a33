"""Follow hands: 21 points of each, and what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..errors import Busy, DeadlineMissed, ModelFailed
from ..events import HandDigit, HandGesture
from ..frames import Kind, Pixels, VideoFrame, now
from ..inference import Batch, Engine
from ..seeing.detector import Detector, Wish
from ..seeing.patience import Patience
from ..stage import Context, Result, Rung
from ..stage_base import VIDEO, BaseStage, Params, upright
from ..vision.boxes import Floats
from ..vision.hands import BONES, Gesture, Square, back, cut, gesture, of_palm, of_points, same
from ..vision.overlay import Mark, drawn
from ..vision.signs import Steady, normal

PALMS, POINTS, SIGNS = "mediapipe-palms", "mediapipe-hand", "sign-digits"
SIZE = 224  # px, the side of what the network of points takes
OVERLAP = 0.3  # of palms that are one
SEEK = 3  # pictures from one search for further palms to the next, while a hand is followed
SURE = 3  # pictures in a row that a gesture is seen in before it is told
HANGS = 1.0  # s after its deadline at which a model counts as hanging
NOTE = "hands"


class HandsParams(Params):
    most: int = Field(2, ge=1, le=4, description="most followed at once", json_schema_extra={"unit": "hands"})
    threshold: float = Field(0.5, ge=0.05, le=1, description="least score of a palm, and of a hand that is followed",
                             json_schema_extra={"unit": "share", "step": 0.05})
    gestures: bool = Field(True, description="tells what hands show: open, fist, point, thumb (up), victory")
    digits: bool = Field(False, description="reads the digits 0 to 9 of sign language")
    overlay: bool = Field(True, description="draws the hands into the picture; without it, results are sent only")
    deadline: float = Field(100, ge=1, le=5000, description="a picture that had to wait longer for its turn goes on "
                            "without result", json_schema_extra={"unit": "ms"})


@dataclass(slots=True)
class _Hand:
    number: int
    square: Square  # where it is looked for in the next picture
    points: Floats  # (21, 2), px
    score: float
    side: Literal["left", "right"]
    seen: Gesture = "none"
    times: int = 0  # in a row
    told: Gesture = "none"
    sign: Steady = field(default_factory=Steady)

    def json(self) -> dict[str, Any]:
        told = {"hand": self.number, "side": self.side, "score": round(self.score, 3), "gesture": self.told,
                "points": [[round(float(x), 1), round(float(y), 1)] for x, y in self.points]}
        return told | ({} if self.sign.digit is None else {"digit": self.sign.digit,
                                                           "chance": round(self.sign.chance, 3)})

    @property
    def label(self) -> str:
        shown = "" if self.told == "none" else self.told
        return shown if self.sign.digit is None else f"{self.sign.digit}  {shown}".strip()


class Hands(BaseStage[HandsParams]):
    """Finds hands and follows them with 21 points each; tells gestures as ``hand.gesture`` events.

    Digits of sign language are told as ``hand.digit``, once a hand has shown one for some pictures. Left and
    right are the person's own, in a picture that is not mirrored.
    """

    title = "Hands"
    ladder = (Rung("every picture"), Rung("every second", "looks at every second picture", 1 / 2),
              Rung("every third", "looks at every third picture", 1 / 3))
    load = 0.35
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = HandsParams

    def __init__(self, params: HandsParams) -> None:
        super().__init__(params)
        self._palms: Detector | None = None
        self._hands: list[_Hand] = []
        self._size = (0, 0)  # px, of the last picture
        self._count = 0
        self._turn = 0  # pictures, also those that are not looked at
        self._numbers = 0
        self._patience = Patience()
        self._loading: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Raises what the models' loading raises, so that the change is refused."""
        await super().start(context)
        await self._load()

    def update(self, params: HandsParams) -> None:
        """Models that were taken out are loaded anew."""
        super().update(params)
        self._patience.answered()
        if not params.digits:
            self._forget_digits()
        if not self._wanted <= self.context.engine.models().keys() and self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="load the models of hands")

    async def _load(self) -> None:
        engine: Engine = self.context.engine
        self._palms = Detector(engine.store.get(PALMS))
        for model in sorted(self._wanted):
            await engine.load(model)

    @property
    def _wanted(self) -> set[str]:
        return {PALMS, POINTS, SIGNS} if self.params.digits else {PALMS, POINTS}

    def _forget_digits(self) -> None:
        for hand in self._hands:
            if hand.sign.digit is not None:
                self.context.event(HandDigit(hand=hand.number, side=hand.side, digit=None))
            hand.sign = Steady()

    async def close(self) -> None:
        self._forget_digits()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def process(self, frame: VideoFrame) -> Result:
        turned = frame.rotation in (90, 270)
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()  # raises what went wrong: the client is told, the picture goes on
        if self._patience.resting:
            return frame
        if size != self._size:
            self._size = size
            self._lose(frame, self._hands)
        self._turn += 1
        if self._turn % (self.rung + 1):  # what was seen last stays drawn
            return await self._shown(frame)
        try:
            async with asyncio.timeout(self.params.deadline / 1000 + HANGS):
                await self._look(frame)
        except (DeadlineMissed, Busy) as error:
            self._patience.missed()
            frame.notes[NOTE] = {"skipped": "deadline" if isinstance(error, DeadlineMissed) else "busy"}
            return frame
        except TimeoutError:
            self._patience.missed()
            waited = self.params.deadline / 1000 + HANGS
            raise ModelFailed(f"the models of hands have not answered for {waited:g} s") from None
        self._patience.answered()
        told = {"width": size[0], "height": size[1], "hands": [hand.json() for hand in self._hands]}
        frame.notes[NOTE] = told | ({"drawn": True} if self.params.overlay else {})
        return await self._shown(frame)

    async def _shown(self, frame: VideoFrame) -> VideoFrame:
        if not self._hands or not self.params.overlay:
            return frame
        made: VideoFrame = await self.context.run(_drawn, frame, list(self._hands))
        return made

    async def _look(self, frame: VideoFrame) -> None:
        picture: Pixels = await self.context.run(_bgr, frame)
        kept: list[_Hand] = []
        for hand in self._hands[: self.params.most]:
            found = await self._points(picture, hand.square)
            if found is not None and not any(same(hand.square, other.square) for other in kept):
                hand.points, hand.score, hand.side = found
                hand.square = of_points(hand.points)
                kept.append(hand)
        self._lose(frame, [hand for hand in self._hands if hand not in kept])
        self._count += 1
        if len(self._hands) < self.params.most and (not self._hands or self._count % SEEK == 0):
            await self._seek(picture)
        if self.params.gestures:
            for hand in self._hands:
                self._judge(frame, hand)
        if self.params.digits and SIGNS in self.context.engine.models():
            await self._read(frame)

    async def _seek(self, picture: Pixels) -> None:
        """Take up hands whose palms are not followed yet."""
        assert self._palms is not None
        batch, place, size = await self.context.run(self._palms.input.prepare, picture)
        outputs = await self._ask(PALMS, batch)
        wish = Wish(self.params.threshold, OVERLAP, self.params.most)
        for palm in await self.context.run(self._palms.read, outputs, place, size, self._size, wish):
            square = of_palm(palm.box, np.array(palm.points, np.float32))
            if len(self._hands) < self.params.most and not any(same(square, hand.square) for hand in self._hands):
                found = await self._points(picture, square)
                if found is not None:
                    self._numbers += 1
                    self._hands.append(_Hand(self._numbers, of_points(found[0]), *found))

    async def _points(self, picture: Pixels, square: Square
                      ) -> tuple[Floats, float, Literal["left", "right"]] | None:
        """Points, score and side of the hand in a square; None without one."""
        batch = await self.context.run(_cut, picture, square)
        outputs = await self._ask(POINTS, batch)
        score = float(outputs["Identity_1"][0, 0])
        points = back(outputs["Identity"].reshape(21, 3)[:, :2], square, SIZE)
        if not score >= self.params.threshold or not np.isfinite(points).all():
            return None
        # the network speaks of mirrored pictures
        return points, score, "left" if outputs["Identity_2"][0, 0] > 0.5 else "right"

    async def _ask(self, model: str, batch: Batch) -> Batch:
        answer: Batch = await self.context.engine.submit(
            model, batch, session=self.context.session, deadline=now() + self.params.deadline / 1000)
        return answer

    def _judge(self, frame: VideoFrame, hand: _Hand) -> None:
        shown = gesture(hand.points)
        hand.times = hand.times + 1 if shown == hand.seen else 1
        hand.seen = shown
        if hand.times >= SURE and shown != hand.told:
            hand.told = shown
            self.context.event(HandGesture(hand=hand.number, side=hand.side, gesture=shown), frame)

    async def _read(self, frame: VideoFrame) -> None:
        """Which digits the hands show."""
        hands = list(self._hands)
        for hand in hands:
            outputs = await self._ask(SIGNS, {"points": normal(hand.points)[None]})
            if hand.sign.see(outputs["chances"][0]):
                self.context.event(HandDigit(hand=hand.number, side=hand.side, digit=hand.sign.digit), frame)

    def _lose(self, frame: VideoFrame, hands: Sequence[_Hand]) -> None:
        for hand in hands:
            if hand.told != "none":
                self.context.event(HandGesture(hand=hand.number, side=hand.side, gesture="none"), frame)
            if hand.sign.digit is not None:
                self.context.event(HandDigit(hand=hand.number, side=hand.side, digit=None), frame)
        self._hands = [hand for hand in self._hands if hand not in hands]


def _bgr(frame: VideoFrame) -> Pixels:
    return upright(frame).bgr


def _cut(picture: Pixels, square: Square) -> Batch:
    rgb = cut(picture, square, SIZE)[..., ::-1]
    return {"input_1": np.multiply(rgb, np.float32(1 / 255), dtype=np.float32)[None]}


def _drawn(frame: VideoFrame, hands: Sequence[_Hand]) -> VideoFrame:
    picture = upright(frame)
    marks = []
    for hand in hands:
        low, high = hand.points.min(axis=0), hand.points.max(axis=0)
        points = [(float(x), float(y)) for x, y in hand.points]
        marks.append(Mark((float(low[0]), float(low[1]), float(high[0]), float(high[1])),
                          hand.label, hand.number, points, BONES, framed=False))
    return frame.replace(picture=picture.from_i420(drawn(picture.i420, marks)), rotation=0)
