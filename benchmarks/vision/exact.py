"""The section on frame-exact results: does each speak of a picture that was shown, and of what is in that very one?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aimass_stream.frames import VIDEO_TIME_BASE

from ..aims import Aim
from ..servers import OURS, SUBJECTS, serving
from ..speech.section import NONE, Result, percent, table
from . import live, scenes
from .detection import faces_model

SESSIONS = (1, 4)
WIDTH, HEIGHT = 640, 480
SHIFTS = range(-5, 6)  # pictures by which a result might be off

Stamped = tuple[int, int]  # number of a picture, and its RTP time stamp
Told = tuple[float, dict[str, Any]]  # pts in s, notes


def run(quick: bool) -> Result:
    model = faces_model()
    body = {"pipeline": [{"stage": "detect", "model": model, "overlay": False}]}
    result: Result = {"model": model, "runs": {}}
    with serving(SUBJECTS[OURS], environment=live.ENVIRONMENT, core=None) as server:
        for count in SESSIONS[: 1 if quick else None]:
            try:
                found = live.watched(server, body, count, live.lengths(quick), width=WIDTH, height=HEIGHT)
                each = [compared(report["stamps"], report["results"]) for report in found.reports]
                one = {"sessions": count, "results": sum(one["results"] for one in each),
                       "shown": sum(one["shown"] for one in each), "off": sorted({one["off"] for one in each}, key=str),
                       "pictures": sum(len(report["stamps"]) for report in found.reports)}
            except live.FAILURES as error:
                one = live.failed(count, error)
            result["runs"][str(count)] = one
            print(f"  {count} sessions: {one}", flush=True)
            server.settle()
    return result


def compared(stamps: Sequence[Stamped], results: Sequence[Told]) -> dict[str, Any]:
    """Of one session: results for the time in which pictures were shown, how many of these have the time of one, and
    by how many pictures the places that they tell are off."""
    numbers = {stamp: number for number, stamp in stamps}
    if not numbers:
        return {"results": 0, "shown": 0, "off": None}
    first, last = min(numbers), max(numbers)
    told = [(round(pts / VIDEO_TIME_BASE), notes) for pts, notes in results]
    told = [(stamp, notes) for stamp, notes in told if first <= stamp <= last]
    shown = [(numbers[stamp], notes) for stamp, notes in told if stamp in numbers]
    return {"results": len(told), "shown": len(shown), "off": _off(shown)}


def _off(shown: Sequence[tuple[int, dict[str, Any]]]) -> int | None:
    """The shift by which faces fit best to where the walker was drawn; a finder's bias does not matter."""
    places = []
    for number, notes in shown:
        faces = notes.get("detect", {}).get("detections", [])
        if len(faces) == 1:
            x, _, width, _ = faces[0]["box"]
            places.append((number, x + width / 2))
    if len(places) < 10:
        return None

    def misfit(shift: int) -> float:
        return float(np.std([x - scenes.walker(number + shift, WIDTH, HEIGHT)[0] for number, x in places]))

    return min(SHIFTS, key=misfit)


def aims(result: Result) -> list[Aim]:
    found = []
    for count, one in result["runs"].items():
        if "error" in one:
            found.append(Aim(f"100 % of results carry a pts that was shown, {count} sessions", one["error"], None))
            continue
        found.append(Aim(f"100 % of results carry a pts that was shown, {count} session{'s' * (count != '1')}",
                         f"{one['shown']} of {one['results']}", one["results"] > 0 and one["shown"] == one["results"]))
        found.append(Aim(f"results speak of the very picture, {count} session{'s' * (count != '1')}",
                         f"best fit {_offs(one)} pictures off",
                         one["off"] == [0] if None not in one["off"] else None))
    return found


def _offs(one: Result) -> str:
    return ", ".join(NONE if off is None else f"{off:+d}" for off in one["off"])


def tell(result: Result) -> str:
    rows: list[list[object]] = []
    for count, one in result["runs"].items():
        if "error" in one:
            rows.append([count, one["error"], *[NONE] * 4])
            continue
        share = one["shown"] / one["results"] if one["results"] else None
        rows.append([count, one["pictures"], one["results"], one["shown"], percent(share),
                     _offs(one)])
    return (f"Sessions of {WIDTH}x{HEIGHT} at 30/s through WebRTC; {result['model']} looks at each picture. A result "
            "comes by the data channel with the pts of its picture, a picture with its RTP time stamp, which is the "
            "same number: a result is frame-exact if a picture with its pts was shown. Results of the time before the "
            "first and after the last shown picture don't count. That they speak of what is in that picture: faces "
            "are compared with where the walker was drawn in that one and in the five before and after it; the best "
            "fit is to be 0.\n\n"
            + table(["sessions", "pictures shown", "results", "with a pts that was shown", "share",
                     "best fit, pictures off"], rows))
