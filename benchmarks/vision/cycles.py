"""`python -m benchmarks.vision.cycles COUNT MODEL...`: load and unload models again and again, in a process of its own.

Prints JSON: MiB that are resident after each five cycles of all models, what is free given back as the server does it
when its last session has ended.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Sequence

import psutil

from aimass_stream import memory
from aimass_stream.inference import Engine, installed
from aimass_stream.settings import Settings

EVERY = 5


async def cycled(count: int, models: Sequence[str]) -> list[float]:
    engine, process = Engine(installed()), psutil.Process()
    readings = []
    for number in range(1, count + 1):
        for model in models:
            await engine.load(model)  # which warms it up and measures it
            await engine.unload(model)
        if number % EVERY == 0:
            gc.collect()
            memory.give_back()
            readings.append(round(process.memory_info().rss / 2**20, 2))
    await engine.close()
    return readings


if __name__ == "__main__":
    installed().add(*Settings().model_dirs)
    print(json.dumps(asyncio.run(cycled(int(sys.argv[1]), sys.argv[2:]))))
