"""The section on what is behind a person: what the blur costs, and how still the person's outline stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from aimass_stream import clips
from aimass_stream.errors import Unavailable
from aimass_stream.frames import Pixels
from aimass_stream.inference import Engine, installed
from aimass_stream.seeing.input import PictureInput
from aimass_stream.stages.background import WIDE
from aimass_stream.vision.matting import covering

from ..aims import Aim
from ..figures import difference
from ..servers import OURS, SUBJECTS, serving
from ..speech.section import NONE, Result, ms, percent, table
from . import live, scenes
from .labelled import SHARED
from .offline import Around, engine, frame, staged
from .painting import brief

WIDTH, HEIGHT = 640, 480
CORE = 0.4
HALVED = 0.5
PICTURES, SETTLED = 30, 4  # of a still person; those that are not compared
NOISE = 4.0  # levels
EDGE = (0.05, 0.95)  # mean alphas between which a pixel belongs to the outline
PORTRAIT = SHARED / "images" / "kodak" / "kodim04.jpg"


def run(quick: bool) -> Result:
    result: Result = {"runs": {}, "outlines": {}, "absent": ""}
    try:
        result["outlines"] = asyncio.run(_outlines(10 if quick else PICTURES))
    except Unavailable as error:
        result["absent"] = error.detail
        return result
    with serving(SUBJECTS[OURS], environment=live.ENVIRONMENT, core=None) as server:
        for name, pipeline in (("plain", []), ("blurred", [{"stage": "background"}])):
            result["runs"][name] = live.together(server, {"pipeline": pipeline}, 1, live.lengths(quick), width=WIDTH,
                                                 height=HEIGHT)
            server.settle()
        for name, one in result["runs"].items():
            print(f"  {name}: {brief(one)}", flush=True)
    print(f"  outlines: {result['outlines']}", flush=True)
    return result


async def _outlines(count: int) -> dict[str, dict[str, float]]:
    """By person: mean step of the outline's alpha between neighbours, in levels, of the raw mask and of ours."""
    people = {"drawn": scenes.person(clips.draw(40, WIDTH, HEIGHT), 320, 200, 90)}
    if PORTRAIT.is_file():
        portrait = cv2.imread(str(PORTRAIT))
        assert portrait is not None
        people["photographed"] = covering(np.asarray(portrait, np.uint8), WIDTH, HEIGHT)
    found = {}
    async with engine() as made:
        for name, person in people.items():
            pictures = [scenes.grainy(person, number, NOISE) for number in range(count)]
            ours, raw = await _alphas(made, pictures)
            found[name] = flicker(raw[SETTLED:], ours[SETTLED:])
    return found


async def _alphas(made: Engine, pictures: Sequence[Pixels]) -> tuple[list[Pixels], list[Pixels]]:
    """(h, w) of each picture: the stage's, and the network's mask as it comes, stretched."""
    takes = PictureInput(installed().get(WIDE))
    ours, raw = [], []
    async with staged("background", Around(made), model=WIDE, deadline=5000) as stage:
        for number, picture in enumerate(pictures):
            seen = frame(picture, number)
            await stage.process(seen)
            if stage._alpha is None:
                raise RuntimeError(f"the stage made no mask: {seen.notes}")
            ours.append(stage._alpha)
            batch, _, (width, height) = takes.prepare(picture)
            [mask] = (await made.submit(WIDE, batch, session="raw")).values()
            stretched = cv2.resize(mask.reshape(height, width), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
            raw.append(np.asarray(np.clip(255 * stretched, 0, 255), np.uint8))
    return ours, raw


def flicker(raw: Sequence[Pixels], ours: Sequence[Pixels]) -> dict[str, float]:
    """Of alphas (h, w) of a still person: root mean square of the steps between neighbours, in levels, where either
    has the person's outline, the same pixels for both."""
    low, high = (255 * edge for edge in EDGE)
    outline = np.zeros(raw[0].shape, np.bool_)
    for alphas in (raw, ours):
        mean = np.mean(alphas, axis=0)
        outline |= (mean > low) & (mean < high)
    if not outline.any():
        raise ValueError("there is no outline")

    def steps(alphas: Sequence[Pixels]) -> float:
        squares = [np.square(after[outline].astype(np.float64) - before[outline]).mean()
                   for before, after in pairwise(alphas)]
        return round(float(np.sqrt(np.mean(squares))), 2)

    return {"raw": steps(raw), "ours": steps(ours), "outline": round(float(outline.mean()), 4)}


def aims(result: Result) -> list[Aim]:
    if result["absent"]:
        return [Aim("background blur at 640x480@30 <= 0.4 core; outline flickers half as much", result["absent"], None)]
    plain, blurred = result["runs"]["plain"].get("cpu"), result["runs"]["blurred"].get("cpu")
    used = None if plain is None or blurred is None else blurred - plain
    whole = result["runs"]["blurred"].get("held") == 1
    found = [Aim(f"background blur at 640x480@30: core used <= {CORE:g}, at full rate",
                 f"{used:.2f} ({blurred:.2f} with the session's codecs)" if used is not None else NONE,
                 used <= CORE and whole if used is not None else None)]
    for name, one in result["outlines"].items():
        found.append(Aim(f"outline of a still person ({name}): flicker at most half of the raw mask's",
                         f"{one['ours']:g} against {one['raw']:g} levels", one["ours"] <= HALVED * one["raw"]))
    return found


def tell(result: Result) -> str:
    if result["absent"]:
        return f"Not measured: {result['absent']}."
    rows = [[title, one.get("cpu", NONE), one.get("per_s", NONE), f"{ms(one.get('p50_ms'))} / {ms(one.get('p95_ms'))}"]
            for title, one in (("nothing", result["runs"]["plain"]), ("blur", result["runs"]["blurred"]))]
    later = difference(result["runs"]["blurred"].get("p95_ms"), result["runs"]["plain"].get("p95_ms"))
    outlines = [[name, one["raw"], one["ours"], percent(one["ours"] / one["raw"]) if one["raw"] else NONE,
                 percent(one["outline"])] for name, one in result["outlines"].items()]
    return ("One session of 640x480 at 30/s with a drawn person that walks, through WebRTC; cores are the server's, "
            f"its codecs included. The blur adds {NONE if later is None else f'{later:g}'} ms to the p95.\n\n"
            + table(["stage", "cores", "pictures/s", "p50 / p95, ms"], rows)
            + f"\n\nA still person before a camera with noise of {NOISE:g} levels: steps of alpha between neighbouring "
            "pictures, root mean square in levels of 255 along the outline (where alpha is between "
            f"{EDGE[0]:g} and {EDGE[1]:g} in either mask); raw is the network's mask, stretched to the picture.\n\n"
            + table(["person", "raw mask", "ours", "left", "outline's share of the picture"], outlines))
