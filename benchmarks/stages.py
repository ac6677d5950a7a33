"""What every stage costs, and the reference of stages: writes docs/api/stages.md.

    python -m benchmarks.stages            measure and write
    python -m benchmarks.stages --keep     write with the measurements that are in the file
    python -m benchmarks.stages --only motion,detect     measure these, and keep the others

A frame is measured as it comes from a decoder (I420 inside an `av.VideoFrame`) to I420 for the encoder, in CPU
time of the thread that does it, so that a busy machine does not change it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np

from aimass_stream import clips
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, Kind, Picture, VideoFrame
from aimass_stream.settings import Settings
from aimass_stream.stages import Registry

from . import stage_networks

PAGE = Path(__file__).parents[1] / "docs" / "api" / "stages.md"
SIZES = ((640, 480), (1280, 720))
ROUNDS = 60
MOVING = 12  # pictures, again and again
RNNOISE = [("rnnoise", {"engine": "rnnoise"})] if find_spec("pyrnnoise") else []  # an extra
# parameters that make a stage work, where its defaults let frames pass; and the dearest of a stage's ways
CASES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "mirror": [("", {})],
    "rotate": [("90°", {}), ("free angle", {"degrees": 13})],
    "crop": [("half", {"width": 0.5, "height": 0.5})],
    "gray": [("", {})],
    "edges": [("", {})],
    "cartoon": [("", {})],
    "blur": [("", {}), ("sigma 100", {"sigma": 100})],
    "colour": [("", {})],
    "text": [("same words", {"text": "AI Mass Stream"}), ("new words each frame", {"text": "{time} {frame} {pts}"})],
    "motion": [("", {})],
    "fps": [("", {"max": 240})],
    "mute": [("", {"video": True})],
    "denoise": [("gate", {"engine": "gate"}), *RNNOISE],
    "agc": [("", {})],
    "gain": [("", {"db": 6})],
    "level": [("", {})],
}

HEAD = """# Stages

What `GET /v1/stages` lists, for reading. Made by `benchmarks/stages.py`: text and ranges come from the code.
A pipeline is a list of stages in the order they work: `[{"stage": "mirror"}, {"stage": "blur", "sigma": 4}]`.
Every stage may also have an `id` (keeps its state when the list is reordered) and a `track` (limits it to one).
An unknown parameter or a value out of range is refused before anything changes, and the error names it, for
example `pipeline[1].sigma`. Any parameter may be changed while frames flow.
"""

COST = """
## What they cost

CPU time of one frame in ms, median, {machine}. Work under 2 ms is done on the event loop,
since the way to a thread and back would add more than it saves; longer work goes to the session's threads.

| stage | 640x480 | 1280x720 | runs |
|---|---|---|---|
"""


class Surroundings:
    """A context that runs threads' work in place, to measure it."""

    track = "video-0"
    session = ""
    engine: Any = None
    settings = Settings()
    rung = 0
    room = None

    def __init__(self) -> None:
        self.threads = 0

    def emit(self, frame: Frame) -> None:
        """Nothing comes later here."""

    def event(self, data: object, frame: Frame | None = None) -> None:
        """Nobody listens."""

    def drop(self, reason: str, count: int = 1) -> None:
        """Nothing is dropped."""

    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        self.threads += 1
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(function(*arguments))
        return done

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)

    def beside(self, seconds: float) -> None:
        """Nobody governs."""

    def first_words(self, seconds: float, model: str) -> None:
        """Nobody meters."""

    def flush(self) -> None:
        """Nothing is on its way out."""

    def pipeline(self) -> list[dict[str, Any]]:
        return []

    def stages(self) -> list[dict[str, Any]]:
        return []

    def kinds(self) -> frozenset[Kind]:
        return frozenset()

    async def steer(self, pipeline: list[dict[str, Any]]) -> None:
        """The stage that is measured stays."""


def _picture(number: int, decoded: av.VideoFrame) -> VideoFrame:
    return VideoFrame(picture=Picture.from_av(decoded), pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0")


def _sound(number: int) -> AudioFrame:
    return AudioFrame(samples=clips.tone(0.02), pts=number * 960, time_base=AUDIO_TIME_BASE, track="audio-0")


async def _measure(registry: Registry, name: str, given: dict[str, Any], make: Callable[[int], Frame]
                   ) -> tuple[float, bool]:
    """Milliseconds of CPU for a frame, and whether it went to a thread."""
    model = registry.params(name)
    assert model is not None
    stage, context = registry.create(name, model.model_validate(given)), Surroundings()
    await stage.start(context)
    await stage.process(make(0))
    context.threads = 0
    costs = []
    for number in range(1, ROUNDS + 1):
        frame = make(number)
        begun = time.thread_time()
        answer = await stage.process(frame)
        if isinstance(answer, VideoFrame):
            assert answer.picture.i420.dtype == np.uint8
        costs.append((time.thread_time() - begun) * 1000)
    await stage.close()
    return statistics.median(costs), context.threads > 0


async def _rows(registry: Registry, only: Sequence[str]) -> list[str]:
    decoded = {size: [Picture.from_bgr(clips.draw(number, *size)).av for number in range(MOVING)] for size in SIZES}
    rows = []
    for name, cases in CASES.items():
        for words, given in cases if not only or name in only else ():
            shown = f"`{name}`" + (f", {words}" if words else "")
            if "video" in registry.create(name, registry.params(name)()).accepts:  # type: ignore[misc]
                found = [await _measure(registry, name, given,
                                        lambda n, size=size: _picture(n, decoded[size][n % MOVING]))  # type: ignore[misc]
                         for size in SIZES]
                where = " / ".join(dict.fromkeys("thread" if threaded else "on the loop" for _, threaded in found))
                rows.append(f"| {shown} | {found[0][0]:.2f} | {found[1][0]:.2f} | {where} |")
            else:
                cost, _ = await _measure(registry, name, given, _sound)
                rows.append(f"| {shown}, 20 ms of sound | {cost:.3f} | | on the loop |")
    return rows


async def _cost(registry: Registry, before: str, only: Sequence[str]) -> str:
    """The measured part: rows that are not measured now are those of `before`."""
    kept = [line for line in before.splitlines() if line.startswith("| `") and only and _name(line) not in only]
    light = await _rows(registry, only)
    heavy = await stage_networks.rows(registry, Surroundings(), SIZES, only)
    networks = [line for line in kept if _name(line) in stage_networks.CASES]
    light += [line for line in kept if line not in networks]
    return (COST.format(machine=_machine()) + "\n".join(_sorted(light, CASES)) + "\n"
            + stage_networks.HEAD.format(rounds=stage_networks.ROUNDS, load=os.getloadavg()[0],
                                         cores=len(os.sched_getaffinity(0)))
            + "\n".join(_sorted(networks + heavy, stage_networks.CASES)) + "\n")


def _name(row: str) -> str:
    return row.split("`")[1]


def _sorted(rows: Iterable[str], order: Iterable[str]) -> list[str]:
    places = list(order)
    return sorted(rows, key=lambda row: places.index(_name(row)) if _name(row) in places else len(places))


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    return f"one thread of an {model[1].strip()}" if model else "one thread"


def _stage(item: dict[str, Any]) -> str:
    lines = [f"\n## {item['name']}\n", f"{' '.join(item['doc'].split())} Takes {' and '.join(item['accepts'])}.\n"]
    if item.get("ladder"):
        rungs = "; ".join(f"`{rung['name']}`" + (f" {rung['says']}" if rung["says"] else "") for rung in item["ladder"])
        lines.append(f"For a [promised latency](rest.md#promised-latency) it can work with less: {rungs}.\n")
    properties = item["params"].get("properties", {})
    if properties:
        lines += ["| parameter | default | range | |", "|---|---|---|---|"]
    for name, part in properties.items():
        default = json.dumps(part["default"], ensure_ascii=False)
        lines.append(f"| `{name}` | `{default}` | {_range(part)} | {part['description']} |")
    return "\n".join(lines)


def _range(part: dict[str, Any]) -> str:
    unit = f" {part['unit']}" if "unit" in part else ""
    if "minimum" in part:
        return f"{part['minimum']:g} to {part['maximum']:g}{unit}"
    if part.get("installed"):
        return "what is installed"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    words = "#rrggbb" if "format" in part else "text"
    return {"boolean": "`true`, `false`", "array": "list", "string": words}[part["type"]]


def page(registry: Registry, cost: str) -> str:
    """The whole page; `cost` is its measured part."""
    return HEAD + cost + "".join(_stage(item) + "\n" for item in registry.describe())


def measured(text: str) -> str:
    """The part of a page that was measured."""
    return text[text.index("\n## What they cost") : text.index("\n## mirror")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="do not measure")
    parser.add_argument("--only", default="", metavar="STAGES", help="measure these, separated by commas")
    arguments = parser.parse_args()
    registry = Registry(entries=[])
    registry.load()
    before = measured(PAGE.read_text())
    only = [name for name in arguments.only.split(",") if name]
    cost = before if arguments.keep else asyncio.run(_cost(registry, before, only))
    PAGE.write_text(page(registry, cost))
    print(cost)


if __name__ == "__main__":
    main()
