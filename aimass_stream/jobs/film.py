"""A short video file, painted by the very stage that paints live pictures. Made to run in the sandbox."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from ..errors import InvalidMedia, ModelFailed, TooLarge
from ..frames import VIDEO_TIME_BASE, Frame, Kind, Picture, VideoFrame
from ..inference import Engine, installed
from ..settings import Settings
from ..stage_base import upright
from ..stages.style import Style, StyleParams
from .footage import Film, Footage, Shot
from .report import Preview, Progress, report

TOLD_EVERY = 0.25  # s between two reports
SHOWN_EVERY = 1.0  # s between two previews
PREVIEW = 480  # px of its longer side
PATIENT = 5000  # ms that a picture may wait for the network, which nobody else uses


@dataclass(frozen=True, slots=True)
class Bounds:
    seconds: float  # of the video
    side: int  # px of the longer side; larger pictures are shrunk


def look(number: int, bounds: Bounds) -> Iterator[bytes]:
    """What the file of that number is, as JSON: width and height as it is seen upright in px, seconds (None: not told),
    sound. Raises `InvalidMedia` or `TooLarge` with the rest of a sentence about the file."""
    with Footage(number, bounds.side) as footage:
        seconds = footage.seconds
        if seconds is not None and seconds > bounds.seconds:
            raise TooLarge(f"is {seconds:.0f} s long; {bounds.seconds:g} s are the most")
        shot = next((shot for shot in footage.read() if isinstance(shot, Shot)), None)
        if shot is None:
            raise InvalidMedia("has no picture that can be decoded")
        width, height = shot.picture.width, shot.picture.height
        if shot.turn % 180:
            width, height = height, width
        yield json.dumps({"width": width, "height": height, "seconds": seconds,
                          "sound": footage.audio is not None}).encode()


def paint(result: int, source: int, params: dict[str, Any], folders: Sequence[str], versions: str | None,
          bounds: Bounds) -> Iterator[bytes]:
    """Paints `source` with these parameters of the stage style into `result`, an MP4 file. Models are those in
    `folders`, the hub's those in `versions`. Raises as `look`."""
    store = installed()
    store.folders, store.versions = tuple(map(Path, folders)), None if versions is None else Path(versions)
    with (asyncio.Runner() as runner, Footage(source, bounds.side) as footage,
          _Painter(runner, StyleParams(**params | {"deadline": PATIENT})) as painter):
        with Film(result, footage) as film:
            yield from _through(footage, painter, film, bounds)
        yield report(Progress(1.0, _sum(film), {
            "pictures": film.pictures, "sound": film.sound, "broken": footage.broken, "cut_off": footage.cut_off}))


def _through(footage: Footage, painter: _Painter, film: Film, bounds: Bounds) -> Iterator[bytes]:
    told = shown = 0.0
    for piece in footage.read():
        if not isinstance(piece, Shot):
            film.hear(piece)
            continue
        if piece.seconds > bounds.seconds:
            raise TooLarge(f"is longer than {bounds.seconds:g} s, which is the most")
        picture = painter.paint(piece)
        film.show(picture, piece.seconds)
        now = time.monotonic()
        if now > shown + SHOWN_EVERY:
            shown = now
            yield report(_preview(picture))
        if now > told + TOLD_EVERY:
            told = now
            yield report(_progress(footage, film, piece.seconds))


def _progress(footage: Footage, film: Film, seconds: float) -> Progress:
    whole = footage.seconds
    return Progress(min(0.99, seconds / whole) if whole else 0.0,
                    f"{_sum(film)}, {seconds:.1f}" + (f" of {whole:.1f} s" if whole else " s"))


def _sum(film: Film) -> str:
    return f"{film.pictures} picture" + ("s" if film.pictures != 1 else "")


def _preview(picture: Picture) -> Preview:
    factor = min(1.0, PREVIEW / max(picture.width, picture.height))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    _, data = cv2.imencode(".jpg", cv2.resize(picture.bgr, size, interpolation=cv2.INTER_AREA),
                           [cv2.IMWRITE_JPEG_QUALITY, 80])
    return Preview(data.tobytes())


class _Painter:
    """The stage with an engine of its own."""

    def __init__(self, runner: asyncio.Runner, params: StyleParams) -> None:
        self._runner = runner
        self._engine = Engine(installed())
        self._stage = Style(params)

    def __enter__(self) -> _Painter:
        self._runner.run(self._stage.start(_Alone(self._engine)))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stage.close())
        self._runner.run(self._engine.close())

    def paint(self, shot: Shot) -> Picture:
        frame = VideoFrame(pts=round(shot.seconds / VIDEO_TIME_BASE), time_base=VIDEO_TIME_BASE, track=_Alone.track,
                           picture=shot.picture, rotation=shot.turn)
        made = self._runner.run(self._stage.process(frame))
        if not isinstance(made, VideoFrame):
            raise ModelFailed("the network did not paint a picture in time")
        if made.rotation:  # at strength 0 nothing is touched
            made = made.replace(picture=upright(made), rotation=0)
        return made.picture


class _Alone:
    """A stage's surroundings where there is no pipeline; what it does in threads elsewhere, it does here at once.

    It has all of `stage.Context`, also what a stage of pictures has no use for.
    """

    track = "video-0"
    session = "job"
    rung = 0  # of the stage's ladder: there is no hurry
    room = None

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.settings = Settings()

    def emit(self, frame: Frame) -> None:
        raise NotImplementedError

    def event(self, data: object, frame: Frame | None = None) -> None:
        """Nobody listens."""

    def drop(self, reason: str, count: int = 1) -> None:
        """The picture is missing, which is told by that."""

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)

    def beside(self, seconds: float) -> None:
        """Nobody counts."""

    def first_words(self, seconds: float, model: str) -> None:
        """Nobody speaks."""

    def flush(self) -> None:
        """There is no sound."""

    def pipeline(self) -> list[dict[str, Any]]:
        return []

    def stages(self) -> list[dict[str, Any]]:
        return []

    def kinds(self) -> frozenset[Kind]:
        return frozenset({"video"})

    async def steer(self, pipeline: list[dict[str, Any]]) -> None:
        raise NotImplementedError
