"""Say where and how much moves, in all of the picture or in zones of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from ..events import MotionStarted, MotionStopped
from ..frames import Kind, VideoFrame
from ..places import MOST, Zones, told_apart
from ..stage import Result
from ..stage_base import VGA, VIDEO, BaseStage, Params, upright
from ..vision.change import Blob, Mask, Scene
from ..vision.overlay import Mark, drawn, outlined

LABEL = NOTE = "motion"
SURE = 3  # pictures in a row that something moves in before it is told
DEVIATIONS = (12.0, 3.0)  # times the usual one that count as movement, at a sensitivity of 0 and 1
Size = tuple[int, int]


class MotionParams(Params):
    sensitivity: float = Field(0.5, ge=0, le=1, description="how small a difference counts as movement",
                               json_schema_extra={"unit": "share", "step": 0.05})
    area: float = Field(0.3, ge=0.05, le=50, description="what moves must be so large",
                        json_schema_extra={"unit": "% of the picture", "step": 0.05})
    still: float = Field(2, ge=0.1, le=600, description="nothing must move for so long before that is told",
                         json_schema_extra={"unit": "s", "step": 0.1})
    zones: Zones = Field((), max_length=MOST, description="looks only there, and tells of each: a name and corners, as "
                         '`{"name": "door", "points": [[0, 0.4], [0.3, 0.4], [0.3, 1]]}`, in parts of the picture')
    overlay: bool = Field(True, description="draws boxes into the picture; without it, results are sent only")

    @field_validator("zones")
    @classmethod
    def _told_apart(cls, given: Zones) -> Zones:
        told_apart(given)
        return given

    @property
    def deviations(self) -> float:
        dull, keen = DEVIATIONS
        return dull + (keen - dull) * self.sensitivity


@dataclass(frozen=True, slots=True)
class Seen:
    """What moves in one picture."""

    blobs: Sequence[tuple[Blob, Sequence[str]]]  # each with the zones that it is in
    shares: dict[str, float]  # that moves, of each zone; of the picture under no name, where there are no zones

    def moves(self, zone: str) -> bool:
        return any(not zone or zone in names for _, names in self.blobs)


@dataclass(slots=True)
class Spell:
    """How long something has moved in one place. Call `see` for each picture."""

    first: float = 0.0  # s of media time, when it began
    last: float = 0.0  # s of media time, when something moved
    looks: int = 0  # in a row that something moved in
    told: bool = False  # that it began

    def see(self, seconds: float, moves: bool, still: float) -> Literal["started", "stopped", ""]:
        """What is to be told of this picture."""
        self.looks = self.looks + 1 if moves else 0
        if moves:
            self.last = seconds
            if not self.told:
                self.first = seconds if self.looks == 1 else self.first
                self.told = self.looks >= SURE
                return "started" if self.told else ""
        elif self.told and seconds - self.last >= still:
            self.told = False
            return "stopped"
        return ""


class Motion(BaseStage[MotionParams]):
    """Finds what moves and how much of the picture that is; it is made for a camera that stands still.

    It learns what is usual at each place, so noise and other light are no movement, and what was put down is none for
    long. Tells ``motion.started`` and ``motion.stopped`` for each zone, or for all of the picture.
    """

    title = "Motion"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = MotionParams

    def __init__(self, params: MotionParams) -> None:
        super().__init__(params)
        self._scene = Scene()
        self._spells: dict[str, Spell] = {}  # by zone
        self._masks: tuple[Zones, Size, dict[str, Mask]] = ((), (0, 0), {})  # of zones at the size that is looked at

    async def process(self, frame: VideoFrame) -> Result:
        params = self.params
        small = frame.width * frame.height <= VGA
        seen = self._look(frame, params) if small else await self.context.run(self._look, frame, params)
        self._tell(frame, seen, params)
        size = (frame.height, frame.width) if frame.rotation in (90, 270) else (frame.width, frame.height)
        self._note(frame, size, seen, params)
        marks = self._marks(size, seen, params) if params.overlay else []
        if not marks:
            return frame
        made: VideoFrame = _drawn(frame, marks) if small else await self.context.run(_drawn, frame, marks)
        return made

    def _look(self, frame: VideoFrame, params: MotionParams) -> Seen:
        picture = upright(frame)
        least = params.area / 100
        change = self._scene.look(picture.i420[: picture.height], frame.seconds, params.deviations, least)
        if not params.zones:
            return Seen([(blob, ()) for blob in change.blobs], {"": change.share})
        masks = self._zones(params.zones, change.size)
        wanted = least * change.size[0] * change.size[1]
        inside = [(blob, [name for name, mask in masks.items() if (blob.mask & mask).sum() >= wanted])
                  for blob in change.blobs]
        shares = {name: sum(int((blob.mask & mask).sum()) for blob in change.blobs) / max(1, int(mask.sum()))
                  for name, mask in masks.items()}
        return Seen([(blob, names) for blob, names in inside if names], shares)

    def _zones(self, zones: Zones, size: Size) -> dict[str, Mask]:
        known, known_size, masks = self._masks
        if (known, known_size) != (zones, size):
            masks = {zone.name: _mask(zone.points, size) for zone in zones}
            self._masks = zones, size, masks
        return masks

    def _tell(self, frame: VideoFrame, seen: Seen, params: MotionParams) -> None:
        for zone in [name for name in self._spells if name not in seen.shares]:
            del self._spells[zone]
        for zone, share in seen.shares.items():
            spell = self._spells.setdefault(zone, Spell())
            match spell.see(frame.seconds, seen.moves(zone), params.still):
                case "started":
                    self.context.event(MotionStarted(zone=zone, share=round(share, 4)), frame)
                case "stopped":
                    self.context.event(MotionStopped(zone=zone, duration=round(spell.last - spell.first, 2)), frame)

    def _note(self, frame: VideoFrame, size: Size, seen: Seen, params: MotionParams) -> None:
        told: dict[str, Any] = {
            "width": size[0], "height": size[1], "moving": any(spell.told for spell in self._spells.values()),
            "detections": [self._told(frame, blob, names, size) for blob, names in seen.blobs]}
        if params.zones:
            told["zones"] = [{"name": name, "moving": self._spells[name].told, "share": round(share, 4)}
                             for name, share in seen.shares.items()]
        else:
            told["share"] = round(seen.shares[""], 4)
        frame.notes[NOTE] = told | ({"drawn": True} if params.overlay else {})

    def _told(self, frame: VideoFrame, blob: Blob, names: Sequence[str], size: Size) -> dict[str, Any]:
        left, top, right, bottom = _placed(blob, size)
        told: dict[str, Any] = {"label": LABEL, "score": round(blob.fill, 3),
                                "box": [round(value, 1) for value in (left, top, right - left, bottom - top)]}
        if names:
            told["zones"] = {name: round(frame.seconds - self._spells[name].first, 2) for name in names}
        return told

    def _marks(self, size: Size, seen: Seen, params: MotionParams) -> list[Mark]:
        places = [outlined(zone.points, size, f"{zone.name} {seen.shares[zone.name]:.0%}") for zone in params.zones]
        return [*places, *(Mark(_placed(blob, size), colour=number) for number, (blob, _) in enumerate(seen.blobs))]


def _placed(blob: Blob, size: Size) -> tuple[float, float, float, float]:
    left, top, right, bottom = blob.box
    return left * size[0], top * size[1], right * size[0], bottom * size[1]


def _mask(points: Sequence[tuple[float, float]], size: Size) -> Mask:
    """(h, w): 1 inside a polygon that is given in parts of the picture."""
    made = np.zeros((size[1], size[0]), np.uint8)
    corners = np.array([(x * size[0] - 0.5, y * size[1] - 0.5) for x, y in points])
    cv2.fillPoly(made, [np.rint(corners).astype(np.int32)], 1)
    return made


def _drawn(frame: VideoFrame, marks: Sequence[Mark]) -> VideoFrame:
    picture = upright(frame)
    return frame.replace(picture=picture.from_i420(drawn(picture.i420, marks)), rotation=0)
