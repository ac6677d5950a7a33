"""Give every picture the colours of a painting, or of any other picture."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from ..frames import Kind, Picture, VideoFrame
from ..painting.colours import Palette, palette, transfer
from ..painting.names import listing, resolve
from ..painting.paintings import paintings
from ..stage import Result
from ..stage_base import VIDEO, BaseStage, Params, upright

NUMBERS = 6  # of a palette
SHARE = 0.1  # of a new picture in the colours that count as the stream's own: else colours would pump
CUT = 40.0  # levels by which these differ in another scene, whose colours count at once


def _offer(schema: dict[str, Any]) -> None:
    found = {name: f"{painting.title}, {painting.painter}" for name, painting in paintings().items()}
    schema["enum"], schema["labels"] = list(found), found


class ColourParams(Params):
    painting: str = Field("starry-night", max_length=200, json_schema_extra=_offer,
                          description="whose colours; also by its title or painter, in English or Chinese")
    palette: list[float] = Field(
        [], max_length=NUMBERS, description="another picture's colours instead, as POST /v1/images/style/match tells "
        "them: mean and deviation of L, a and b, 0 to 255")
    strength: float = Field(0.8, ge=0, le=1, description="share of the way to these colours",
                            json_schema_extra={"unit": "share", "step": 0.05})

    @field_validator("painting")
    @classmethod
    def _known(cls, said: str) -> str:
        known = [painting.named for painting in paintings().values()]
        found = resolve(said, known)
        if found is None:
            raise ValueError(f"there is no such painting; there are: {listing(known)}")
        return found.name

    @field_validator("palette")
    @classmethod
    def _complete(cls, numbers: list[float]) -> list[float]:
        if numbers and (len(numbers) != NUMBERS or not all(0 <= number <= 255 for number in numbers)):
            raise ValueError(f"a palette has {NUMBERS} numbers from 0 to 255, or none")
        return numbers

    @property
    def wanted(self) -> Palette:
        if not self.palette:
            return paintings()[self.painting].palette
        first, second, third, *rest = self.palette
        return Palette((first, second, third), (rest[0], rest[1], rest[2]))


class Colour(BaseStage[ColourParams]):
    """The colours of a painting, moved onto the picture by their means and deviations; no network is needed."""

    title = "Colour"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = ColourParams

    def __init__(self, params: ColourParams) -> None:
        super().__init__(params)
        self._own: Palette | None = None

    async def process(self, frame: VideoFrame) -> Result:
        params = self.params
        if params.strength == 0:
            return frame
        picture = await self.context.run(self._drawn, frame, params)
        return frame.replace(picture=picture, rotation=0)

    def _drawn(self, frame: VideoFrame, params: ColourParams) -> Picture:
        bgr = upright(frame).bgr
        seen = palette(bgr)
        if self._own is None or max(abs(one - other) for one, other in zip(
                seen.numbers(), self._own.numbers(), strict=True)) > CUT:
            self._own = seen
        self._own = self._own.toward(seen, SHARE)
        picture = Picture.from_bgr(transfer(bgr, self._own, params.wanted, params.strength))
        _ = picture.i420  # what an encoder wants; made in this thread it costs the loop nothing
        return picture
