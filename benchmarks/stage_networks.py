"""What stages with a network or a finder cost: CPU time of all threads together, for `benchmarks.stages`."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aimass_stream.errors import AimassError
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, installed
from aimass_stream.stage import Context
from aimass_stream.stages import Registry

from .vision import scenes

WARM, ROUNDS = 3, 20  # pictures
PATIENT = {"deadline": 5000}
LOOKS = "read "  # tasks that stages look in while pictures go on
# parameters that say which network works, and what it has to do
CASES: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]] = {
    "style": [("", {}), ("wide", {"detail": "wide"})],
    "detect": [("MediaPipe's faces", {"model": "mediapipe-faces"}), ("cascade of faces", {"model": "opencv-faces"}),
               ("people by HOG", {"model": "opencv-people"})],
    "ocr": [("a look at one line", {"every": 1})],
    "background": [("blur", {})],
    "hands": [("none in sight", {})],
}

HEAD = """
With a network or a finder: CPU time of all threads together, median of {rounds} pictures in which somebody walks and
things move, with conversions, following and drawing; {load:.0f} tasks wanted {cores} cores meanwhile, and more tasks
than cores make it dearer. What stands still costs `style` nothing; `ocr` looks at each sixth picture at most.

| stage | 640x480 | 1280x720 |
|---|---|---|
"""


class Threads:
    """What `Surroundings` has, with an engine and threads that are real ones."""

    def __init__(self, around: Any, engine: Engine, executor: ThreadPoolExecutor) -> None:
        self.around, self.engine, self._executor = around, engine, executor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.around, name)

    def run(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def pictures(width: int, height: int) -> list[Pixels]:
    """I420, (h*3/2, w): with a line of writing, for those who read."""
    return [Picture.from_bgr(scenes.draw(number, width, height)).i420 for number in range(WARM + ROUNDS)]


async def cost(registry: Registry, context: Context, name: str, given: Mapping[str, Any], seen: Sequence[Pixels]
               ) -> float:
    """ms of CPU for a picture. Raises what the stage raises at its start."""
    model = registry.params(name)
    assert model is not None
    stage = registry.create(name, model.model_validate({**PATIENT, **given}))
    await stage.start(context)
    spent = []
    for number, picture in enumerate(seen):
        frame = VideoFrame(picture=Picture.from_i420(picture), pts=number * 3000, time_base=VIDEO_TIME_BASE,
                           track="video-0")
        before, begun = asyncio.all_tasks(), time.process_time()
        await stage.process(frame)
        looks = [task for task in asyncio.all_tasks() - before if task.get_name().startswith(LOOKS)]
        if looks:
            await asyncio.wait(looks)
        spent.append(time.process_time() - begun)
    await stage.close()
    return statistics.median(spent[WARM:]) * 1000


async def rows(registry: Registry, around: Any, sizes: Sequence[tuple[int, int]], only: Sequence[str]) -> list[str]:
    """Of the table; what can't be had here is left out and said."""
    wanted = {name: cases for name, cases in CASES.items() if not only or name in only}
    seen = {size: pictures(*size) for size in sizes} if wanted else {}
    found = []
    engine, executor = Engine(installed()), ThreadPoolExecutor(4)
    context: Any = Threads(around, engine, executor)
    try:
        for name, cases in wanted.items():
            for words, given in cases:
                shown = f"`{name}`" + (f", {words}" if words else "")
                try:
                    costs = [await cost(registry, context, name, given, seen[size]) for size in sizes]
                except AimassError as error:
                    print(f"{shown} is left out: {error.detail}")
                    continue
                found.append(f"| {shown} | {' | '.join(f'{each:.1f}' for each in costs)} |")
    finally:
        await engine.close()
        executor.shutdown()
    return found
