"""An hour of sound at speed through one pair of ears: memory has to stay flat, and the delay as well."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Coroutine
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from aimass_stream.frames import AudioFrame
from aimass_stream.hearing.ears import Committed, EarEvent, Ears, EarSettings
from aimass_stream.hearing.recognizers import open_recognizer
from aimass_stream.inference import Engine, installed
from aimass_stream.settings import Settings
from aimass_stream.speech.words import HEARING_RATE

from ..aims import Aim
from . import corpus
from .section import Plot, Result, table

PIECE = HEARING_RATE // 10  # samples of one frame
TALK_EVERY = 60.0  # s: one sentence a minute, the rest is the silence of a room
LOOK_EVERY = 300.0  # s of sound between looks at the memory
GROWTH = 8  # MiB a reading may lie over the third of an hour before it


def run(quick: bool) -> Result:
    return asyncio.run(_run(600.0 if quick else 3600.0))


async def _run(length: float) -> Result:
    [stream] = await corpus.spoken(1, 4.0)
    talk = (stream.audio * 32767).astype(np.int16)
    engine, process = Engine(installed()), psutil.Process()
    tasks: set[asyncio.Task[None]] = set()
    words: list[float] = []  # s of processing from the end of a sentence to its last words
    asked = 0.0

    def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        tasks.add(task)
        return task

    def heard(event: EarEvent) -> None:
        if isinstance(event, Committed) and event.final:
            words.append(time.monotonic() - asked)

    recognizer = await open_recognizer(engine, Settings(), session="endurance", want="whisper", model="asr-nano-en")
    ears = Ears(engine, recognizer, EarSettings(), session="endurance", output=heard, spawn=spawn)
    await ears.start()
    readings: list[tuple[float, float]] = []
    noise = np.random.default_rng(1).normal(0, 30, HEARING_RATE * 10).astype(np.int16)
    begun = time.monotonic()
    for number in range(int(length * HEARING_RATE / PIECE)):
        at = number * PIECE
        inside = at % int(TALK_EVERY * HEARING_RATE)
        sound = noise[at % (len(noise) - PIECE) :][:PIECE].copy()
        said = talk[inside : inside + PIECE]
        sound[: len(said)] += said
        if len(said):
            asked = time.monotonic()
        ears.hear(AudioFrame(samples=sound[:, None], rate=HEARING_RATE, pts=at, track="audio-0",
                             time_base=Fraction(1, HEARING_RATE)))
        while ears.backlog > 2.0:  # noqa: ASYNC110  the sound is faster than its ears: they are waited for
            await asyncio.sleep(0.002)
        if at % int(LOOK_EVERY * HEARING_RATE) == 0:
            gc.collect()
            readings.append((at / HEARING_RATE, process.memory_info().rss / 2**20))
    while ears.backlog > 0.1:  # noqa: ASYNC110  as above
        await asyncio.sleep(0.01)
    took = time.monotonic() - begun
    await ears.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await engine.close()
    return {"seconds": length, "took": round(took, 1), "memory": [[s, round(mib, 1)] for s, mib in readings],
            "utterances": len(words), "dropped": ears.dropped,
            "delays": [round(value, 3) for value in words]}


def _growth(result: Result) -> float:
    """MiB from the median of the second third to that of the last: start-up is over by then."""
    values = [mib for _, mib in result["memory"]]
    third = max(1, len(values) // 3)
    return float(np.median(values[-third:]) - np.median(values[third : 2 * third]))


def aims(result: Result) -> list[Aim]:
    growth = _growth(result)
    half = len(result["delays"]) // 2
    first, last = float(np.median(result["delays"][:half] or [0])), float(np.median(result["delays"][half:] or [0]))
    return [Aim("1 h of sound at speed: memory flat", f"{growth:+.1f} MiB in the last third", growth <= GROWTH),
            Aim("1 h of sound at speed: no delay growth", f"{first:.2f} s, then {last:.2f} s, "
                f"{result['dropped']:.1f} s of sound dropped", last <= first * 1.25 + 0.1 and not result["dropped"])]


def tell(result: Result) -> str:
    rows = [[f"{at / 60:.0f}", f"{mib:.0f}"] for at, mib in result["memory"]]
    return (f"{result['seconds'] / 60:.0f} minutes of a quiet room with a few sentences a minute, as fast as they are "
            f"heard: {result['took']:.0f} s, {result['seconds'] / result['took']:.0f} times real time, "
            f"{result['utterances']} utterances.\n\n" + table(["minute", "resident MiB"], rows))


def plots(result: Result, folder: Path) -> list[Plot]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 2.6))
    minutes, sizes = zip(*((at / 60, mib) for at, mib in result["memory"]), strict=True)
    axes.plot(minutes, sizes, marker="o", color="#d1495b")
    axes.set(xlabel="minutes of sound", ylabel="resident MiB", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(folder / "speech-memory.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("speech-memory.svg", "Memory over an hour of sound")]
