"""The section on lips: how far a processed picture is behind its sound, over minutes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.browser import Visitor

from ..aims import Aim
from ..platform.own import ours
from ..speech.section import NONE, Plot, Result, table
from .page import FAILURES, TRANSPORTS, chromium, failure, page, run, spread

MINUTES = 10.0
BESIDE = 1.0  # minutes of those that are measured for comparison
QUICK = 0.5
SETTLE = 5.0  # s
OFFSET = 40.0  # ms
BEEP = 1000.0  # ms between two
NEAR = 500.0  # ms around a beep, whose pictures it is compared with

BEGIN = """
  const [transport, sync] = given;
  window.camera = bench.camera();
  window.beeper = await bench.beeper();
  window.session = await sdk.connect({ url: location.origin, transport, sync, pipeline: [{ stage: "mirror" }] });
  const [sound, picture] = [session.process(beeper.track), session.process(camera.track)];
  window.seen = { said: [], heard: [], shown: [] };
  bench.listen(beeper.track, (at) => seen.said.push(at));
  bench.listen(sound, (at) => seen.heard.push(at));
  let newest = 0;
  bench.look(bench.show("picture", picture), ({ number, mirrored, at }) => {
    const taken = camera.at(number);
    if (!mirrored || taken <= newest) return;
    newest = taken;
    seen.shown.push([at, at - taken]);
  });
"""
TAKE = """
  const taken = window.seen;
  window.seen = { said: [], heard: [], shown: [] };
  return { ...taken, transport: session.transport, epoch: session.epoch };
"""


def ways(quick: bool) -> dict[str, tuple[str, str, float]]:
    """transport, sync, minutes by title: with `lips` for long, and as it comes beside it."""
    return {f"{transport}, {sync}": (transport, sync, QUICK if quick else MINUTES if sync == "lips" else BESIDE)
            for sync, transport in itertools.product(("lips", "lowest"), TRANSPORTS)}


def run_section(quick: bool) -> Result:
    result: Result = {}
    with ours("embed") as server, chromium() as browser:
        for title, (transport, sync, minutes) in ways(quick).items():
            try:
                with page(browser, server.base) as visitor:
                    result[title] = {"minutes": minutes, **measure(visitor, transport, sync, minutes)}
            except FAILURES as error:
                result[title] = failure(error)
            print(f"  {title}: {({**result[title], 'series': ''})}", flush=True)
    return {"ways": result}


def measure(visitor: Visitor, transport: str, sync: str, minutes: float, settle: float = SETTLE) -> Result:
    run(visitor, BEGIN, transport, sync)
    visitor.until("seen.shown.length > 30 && seen.heard.length > 1", 60)
    visitor.page.wait_for_timeout(settle * 1000)
    run(visitor, TAKE)
    visitor.page.wait_for_timeout(minutes * 60_000)
    one = run(visitor, TAKE)
    if (one["transport"], one["epoch"]) != (transport, 1):
        raise ValueError(f"it went by {one['transport']}, in epoch {one['epoch']}")
    return offsets(one["said"], one["heard"], one["shown"], minutes)


def offsets(said: list[float], heard: list[float], shown: list[list[float]], minutes: float) -> Result:
    """Of each beep that was heard: ms that pictures shown around it took longer than it did.

    said, heard: when each began, ms. shown: when each new picture was shown, and what it took, ms.
    """
    begins, times = np.array(said), np.array([at for at, _ in shown])
    delays = np.array([delay for _, delay in shown])
    series, sound = [], []
    for at in heard:
        before = begins[begins <= at]
        if not len(before) or at - before[-1] >= BEEP:
            continue
        near = delays[np.abs(times - at) <= NEAR]
        if len(near):
            sound.append(at - before[-1])
            series.append([round((at - heard[0]) / 1000, 1), round(float(np.median(near)) - sound[-1], 1)])
    values = [offset for _, offset in series]
    return {"offset": spread([abs(value) for value in values]),
            "median": round(float(np.median(values)), 1) if values else None, "sound": spread(sound),
            "picture": spread([float(delay) for delay in delays]),
            "heard_share": round(len(values) / (minutes * 60_000 / BEEP), 3), "series": series}


def aims(result: Result) -> list[Aim]:
    found = []
    for title, one in result["ways"].items():
        if not title.endswith("lips"):
            continue
        text = f"{title}: processed picture and sound apart <= {OFFSET:g} ms, p95 of beeps"
        if "error" in one or not one["offset"]:
            found.append(Aim(text, one.get("error", "nothing was heard"), None))
            continue
        enough = one["heard_share"] >= 0.9
        measured = (f"{one['offset']['p95']:.0f} ms, longest {one['offset']['max']:.0f} ms, of "
                    f"{one['offset']['count']} in {one['minutes']:g} minutes")
        found.append(Aim(text, measured if enough else f"{measured}, and a tenth or more was not heard",
                         one["offset"]["p95"] <= OFFSET if enough else None))
    return found


def tell(result: Result) -> str:
    rows: list[list[Any]] = []
    for title, one in result["ways"].items():
        if "error" in one or not one["offset"]:
            rows.append([title, one.get("error", "nothing was heard"), *[NONE] * 6])
            continue
        rows.append([title, f"{one['minutes']:g}", *(three(one[name]) for name in ("offset", "picture", "sound")),
                     one["median"], drift(one["series"]), f"{one['heard_share']:.0%}"])
    return ("A page sends numbered pictures and a sound that beeps once a second; both come back as the processed pair."
            " Picture: drawn to shown, as in the section on delay. Sound: a beep's first loud sample in the track that "
            "is sent to that in the processed track, by when its piece of 10 ms is handed out. Apart: the middle delay "
            "of the pictures within half a second of a beep, less that beep's; ahead is as far as behind. `lips` is "
            "the session's `sync` for it; `lowest`, as it comes, promises nothing and is here to compare. The delay of "
            "the loudspeaker's own buffer is in none of it.\n\n"
            + table(["by, sync", "minutes", "apart, p50 / p95 / longest, ms", "picture, ms", "sound, ms",
                     "picture behind sound, middle, ms", "last minute against the first, ms", "beeps heard"], rows))


def three(values: dict[str, float] | None) -> str:
    return NONE if not values else f"{values['p50']:.0f} / {values['p95']:.0f} / {values['max']:.0f}"


def drift(series: list[list[float]]) -> str:
    """How the middle has moved."""
    first = [offset for at, offset in series if at <= 60]
    last = [offset for at, offset in series if at > series[-1][0] - 60]
    if not first or series[-1][0] < 120:
        return NONE
    return f"{float(np.median(last)) - float(np.median(first)):+.0f}"


def plots(result: Result, folder: Path) -> list[Plot]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.8))
    for title, one in result["ways"].items():
        if one.get("series") and title.endswith("lips"):
            axes.plot([at / 60 for at, _ in one["series"]], [offset for _, offset in one["series"]], label=title,
                      linewidth=0.8)
    for limit in (-OFFSET, OFFSET):
        axes.axhline(limit, color="gray", linestyle="--", linewidth=0.8)
    axes.set_xlabel("minutes")
    axes.set_ylabel("picture behind sound, ms")
    axes.legend()
    figure.tight_layout()
    figure.savefig(folder / "embed-lips.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("embed-lips.svg", "How far the processed picture is behind its sound, for each beep; dashed: the aim")]
