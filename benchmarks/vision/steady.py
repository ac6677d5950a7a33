"""The section on steady pictures: how much a style flickers, held still and not, as masked warp error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from aimass_stream import clips
from aimass_stream.frames import Pixels
from aimass_stream.inference import Engine
from aimass_stream.painting.steady import warp_error
from aimass_stream.stages.style import choices

from ..aims import Aim
from ..speech.section import Plot, Result, percent, table
from . import scenes
from .offline import Around, engine, frame, staged
from .painting import NO_STYLE

WIDTH, HEIGHT = 320, 240
PICTURES = 24
SETTLED = 2  # pictures that a stream has begun with, which are not compared
NOISE = 3.0  # levels, deviation of the camera's noise
HALVED = 0.5
SHEET = 40  # number of the drawn scene on the style sheet
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 88]


def shown(count: int) -> dict[str, list[Pixels]]:
    """Streams of (h, w, 3) BGR, all seen by a noisy camera."""
    wide = clips.draw(SHEET, 2 * WIDTH, 2 * HEIGHT)
    still = clips.draw(SHEET, WIDTH, HEIGHT)
    seen = {"still": [still] * count,
            "pan": [wide[60 + number : 60 + number + HEIGHT, 2 * number : 2 * number + WIDTH]
                    for number in range(count)],
            "drawn scene": [scenes.draw(SHEET + number, WIDTH, HEIGHT) for number in range(count)]}
    return {name: [scenes.grainy(picture, number, NOISE) for number, picture in enumerate(pictures)]
            for name, pictures in seen.items()}


def run(quick: bool) -> Result:
    return asyncio.run(_run(8 if quick else PICTURES))


async def _run(count: int) -> Result:
    streams = shown(count)
    result: Result = {"pictures": count, "styles": {}}
    async with engine() as made:
        for style in choices():
            rows = {}
            for name, pictures in streams.items():
                error = {steady: warped(pictures, await painted(made, style.name, pictures, steady))
                         for steady in (False, True)}
                rows[name] = {"shown": error[False][1], "plain": error[False][0], "steady": error[True][0]}
                print(f"  {style.name}, {name}: {rows[name]}", flush=True)
            result["styles"][style.name] = rows
    return result


async def painted(made: Engine, style: str, pictures: Sequence[Pixels], steady: bool) -> list[Pixels]:
    async with staged("style", Around(made, style), name=style, steady=steady, deadline=5000) as stage:
        return [(await stage.process(frame(picture, number))).bgr for number, picture in enumerate(pictures)]


def warped(pictures: Sequence[Pixels], made: Sequence[Pixels]) -> tuple[float, float]:
    """Mean warp error between neighbours, in levels: of what was made, and of the pictures themselves."""
    errors = [warp_error(*pairs) for pairs in zip(list(pairwise(pictures))[SETTLED:], list(pairwise(made))[SETTLED:],
                                                  strict=True)]
    return (round(float(np.mean([error.made for error in errors])), 2),
            round(float(np.mean([error.shown for error in errors])), 2))


def aims(result: Result) -> list[Aim]:
    if not result["styles"]:
        return [Aim("style flicker at least halved by steadying", NO_STYLE, None)]
    found = []
    for style, rows in result["styles"].items():
        shares = {name: one["steady"] / one["plain"] if one["plain"] else 0.0 for name, one in rows.items()}
        found.append(Aim(f"style flicker (masked warp error) at least halved by steadying, {style}",
                         "left: " + ", ".join(f"{name} {percent(share)}" for name, share in shares.items()),
                         max(shares.values()) <= HALVED))
    return found


def tell(result: Result) -> str:
    if not result["styles"]:
        return f"{NO_STYLE}: not measured."
    rows = [[style, name, one["shown"], one["plain"], one["steady"],
             percent(one["steady"] / one["plain"]) if one["plain"] else "0.0%"]
            for style, scenes_of_it in result["styles"].items() for name, one in scenes_of_it.items()]
    return ("Masked warp error between neighbours (Lai et al., arXiv:1808.00449), root mean square in levels "
            f"of 255, mean over {result['pictures']} pictures of {WIDTH}x{HEIGHT} with noise of {NOISE:g} levels: a "
            "camera that stands before a still scene, one that pans over it by 2.2 px a picture, and drawn people, "
            "sun, birds and ball that move. The pictures' own error is what noise and the flow's mistakes make of it. "
            "Parts that stand still are not painted again, so that nothing of them flickers.\n\n"
            + table(["style", "scene", "pictures themselves", "painted one by one", "steadied", "left"], rows))


def plots(result: Result, folder: Path) -> list[Plot]:
    """The style sheet, painted anew by the styles that are installed."""
    if not result["styles"]:
        return []
    sheet = asyncio.run(_sheet())
    if sheet is None or not cv2.imwrite(str(folder / "vision-styles.jpg"), sheet, QUALITY):
        return []
    return [("vision-styles.jpg", "A drawn scene, and what each style makes of it")]


async def _sheet() -> Pixels | None:
    """Three pictures in a row: the scene, and the scene in every style."""
    scene = scenes.person(clips.draw(SHEET, WIDTH, HEIGHT), WIDTH // 2, 130, 34)
    cells = [_titled(scene, "the scene")]
    async with engine() as made:
        for style in choices():
            [picture] = await painted(made, style.name, [scene], steady=False)
            cells.append(_titled(picture, style.title or style.name))
    if len(cells) == 1:
        return None
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % 3)
    return np.vstack([np.hstack(cells[begin : begin + 3]) for begin in range(0, len(cells), 3)])


def _titled(picture: Pixels, title: str) -> Pixels:
    """With its title below and a white border."""
    made = np.asarray(cv2.copyMakeBorder(picture, 6, 26, 6, 6, cv2.BORDER_CONSTANT, value=(255, 255, 255)), np.uint8)
    cv2.putText(made, title, (8, made.shape[0] - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return made
