"""Take the colour out."""

from __future__ import annotations

from ..frames import Picture
from ..stage_base import EVERY_SIZE, NEUTRAL, NoParams, PictureStage


class Gray(PictureStage[NoParams]):
    """Black and white: brightness stays exactly as it is, colour goes."""

    Params = NoParams
    phrases = {"black and white": {}, "grayscale": {}, "(make|turn) (it|me|the picture) gray": {},
               "(remove|take away|no) [the] color": {}}
    inline = EVERY_SIZE

    @staticmethod
    def draw(picture: Picture, params: NoParams) -> Picture:
        i420 = picture.i420.copy()
        i420[picture.height :] = NEUTRAL
        return Picture.from_i420(i420)
