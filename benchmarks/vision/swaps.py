"""The section on swaps: the gap that a change of style, model or pipeline leaves, and memory after a hundred loads."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aimass_stream.stages.style import catalogue

from ..aims import Aim
from ..driver import Session
from ..figures import Values
from ..servers import HERE, OURS, SUBJECTS, Server, serving
from ..speech.section import NONE, Plot, Result, ms, table
from . import live
from .cycles import EVERY
from .detection import faces_model
from .painting import chosen

GAP = 0.1  # s
WATCHED = 1.5  # s after a change in which the longest gap is looked for
BETWEEN = 2.0  # s from one change to the next
BEFORE = 0.05  # s
CYCLES, GROWTH = 100, 0.01
BEGUN = 2  # readings that belong to the start

Change = tuple[str, dict[str, Any]]  # of what kind, body of the PATCH


def changes(style: str, quick: bool) -> list[Change]:
    """For a session that begins with this style: others that have to be loaded, back again, other pipelines."""
    others = [name for name in catalogue() if name != style][: 1 if quick else 5]
    painted = {"stage": "style", "name": style}
    found: list[Change] = [("style, from its file", _style(name)) for name in others]
    found += [("style, in memory", _style(name)) for name in [style, *others[:1], style][: 1 if quick else 3] if others]
    model = faces_model()
    detect = {"stage": "detect", "model": model}
    found += [("pipeline: style to detect", {"pipeline": [detect]}),
              ("model of detect", {"stage": {"index": 0, "params": {"model": "opencv-codes"}}}),
              ("model of detect", {"stage": {"index": 0, "params": {"model": model}}}),
              ("pipeline: detect to style", {"pipeline": [painted]})]
    return found


def _style(name: str) -> dict[str, Any]:
    return {"stage": {"index": 0, "params": {"name": name}}}


def run(quick: bool) -> Result:
    result: Result = {"gaps": [], "memory": {}, "usual": None, "absent": ""}
    style = chosen()
    if not style:
        result["absent"] = "no style network is installed"
    elif (error := _swapped(result, style, quick)) is not None:
        result["absent"] = error
    for name in _models(style):
        result["memory"][name] = _cycled(name, 2 * EVERY if quick else CYCLES)
        print(f"  {name}, MiB: {result['memory'][name]}", flush=True)
    return result


def _models(style: str) -> list[str]:
    return [*([catalogue()[style].name] if style else []), faces_model()]


def _swapped(result: Result, style: str, quick: bool) -> str | None:
    """Two sessions at once, of which the first is changed; why not, if it could not be."""
    wanted = changes(style, quick)
    moments: list[float] = []

    def act(sessions: Sequence[Session], until: float) -> None:
        time.sleep(BETWEEN)
        for _, body in wanted:
            moments.append(time.monotonic())
            patch(sessions[0].server, sessions[0].session_id or "", body)
            time.sleep(max(0.0, moments[-1] + BETWEEN - time.monotonic()))

    sized = live.Lengths(2.0, BETWEEN * (1 + len(wanted)))
    body = {"pipeline": [{"stage": "style", "name": style}]}
    try:
        with serving(SUBJECTS[OURS], environment=live.ENVIRONMENT, core=None) as server:
            found = live.watched(server, body, 2, sized, meanwhile=act)
    except live.FAILURES as error:
        return f"{type(error).__name__}: {error}"[:300]
    own, other = (fresh(report["decoded"]) for report in found.reports)
    result["usual"] = round(gap(own, found.since, found.since + BETWEEN), 4)
    for (kind, told), moment in zip(wanted, moments, strict=True):
        since, until = moment - BEFORE, moment + WATCHED
        result["gaps"].append({"kind": kind, "to": told, "own": round(gap(own, since, until), 4),
                               "other": round(gap(other, since, until), 4)})
        print(f"  {kind}: {result['gaps'][-1]}", flush=True)
    return None


def patch(server: Server, session: str, body: dict[str, Any]) -> None:
    """Raises `OSError` when the change is refused."""
    request = urllib.request.Request(f"{server.base}/v1/sessions/{session}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"}, method="PATCH")
    with urllib.request.urlopen(request, timeout=30):
        pass


def fresh(decoded: Sequence[tuple[int, float]]) -> Values:
    """When pictures came that are newer than those before, whether their numbers can be read in a style or not."""
    newest, times = -1, []
    for stamp, at in decoded:
        if stamp > newest:
            newest = stamp
            times.append(at)
    return np.array(times, np.float64)


def gap(times: Values, since: float, until: float) -> float:
    """The longest time without a new picture, s, between the two moments."""
    inside = times[(times > since) & (times < until)]
    return float(np.diff(np.concatenate([[since], inside, [until]])).max())


def _cycled(model: str, count: int) -> list[float]:
    done = subprocess.run([sys.executable, "-m", "benchmarks.vision.cycles", str(count), model], cwd=HERE.parent,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"loading {model} again and again failed: {done.stderr.strip()[-300:]}")
    readings: list[float] = json.loads(done.stdout)
    return readings


def growth(readings: Sequence[float]) -> float | None:
    """Share by which the lowest of the last readings lies over the lowest of the first ones after the start.

    What the C library keeps of freed memory goes up and down by some MiB; what is never given back lifts the lowest.
    """
    some = max(3, len(readings) // 4)
    if len(readings) < BEGUN + some + 1:
        return None
    return min(readings[-some:]) / min(readings[BEGUN : BEGUN + some]) - 1


def by_kind(result: Result) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for kind in dict.fromkeys(one["kind"] for one in result["gaps"]):
        yield kind, [one for one in result["gaps"] if one["kind"] == kind]


def aims(result: Result) -> list[Aim]:
    found = [Aim("swaps under load: gap <= 100 ms", result["absent"], None)] if result["absent"] else []
    for kind, rows in by_kind(result):
        worst = max(max(one["own"], one["other"]) for one in rows)
        found.append(Aim(f"{kind}, under load: gap <= {1000 * GAP:g} ms",
                         f"{ms(1000 * worst)} ms ({ms(1000 * result['usual'])} before)", worst <= GAP))
    for model, readings in result["memory"].items():
        more = growth(readings)
        found.append(Aim(f"load and unload x{EVERY * len(readings)}, {model}: memory within {GROWTH:.0%}",
                         f"{more:+.1%}" if more is not None else NONE, more <= GROWTH if more is not None else None))
    return found


def tell(result: Result) -> str:
    rows = [[kind, len(found), ms(1000 * float(np.median([one["own"] for one in found]))),
             ms(1000 * max(one["own"] for one in found)), ms(1000 * max(one["other"] for one in found))]
            for kind, found in by_kind(result)]
    text = ("Two painted sessions of 320x240 at 30/s through WebRTC, of which one is changed by REST every "
            f"{BETWEEN:g} s: the longest time without a new picture in the {WATCHED:g} s after it, at the clients. "
            "Pictures come every 33 ms.\n\n"
            + table(["change", "times", "gap, median, ms", "gap, longest, ms", "the other session's longest, ms"], rows)
            if rows else f"Swaps: not measured ({result['absent']}).")
    sizes = [[model, EVERY * len(readings), readings[0], readings[min(BEGUN, len(readings) - 1)], readings[-1],
              max(readings)] for model, readings in result["memory"].items() if readings]
    return text + ("\n\nLoaded, warmed up, measured and unloaded again and again in a process of its own; resident MiB."
                   "\n\n" + table(["model", "times", f"after {EVERY}", f"after {EVERY * (BEGUN + 1)}", "at the end",
                                   "most"], sizes))


def plots(result: Result, folder: Path) -> list[Plot]:
    if not any(len(readings) > 1 for readings in result["memory"].values()):
        return []
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 2.6))
    for model, readings in result["memory"].items():
        axes.plot([EVERY * (place + 1) for place in range(len(readings))], readings, marker="o", ms=3, label=model)
    axes.set(xlabel="times loaded and unloaded", ylabel="resident MiB", ylim=(0, None))
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "vision-memory.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("vision-memory.svg", "Memory while models are loaded and unloaded")]
