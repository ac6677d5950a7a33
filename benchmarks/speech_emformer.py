"""How many streams an Emformer RNN-T keeps up with: ``python -m benchmarks.speech_emformer``. Untrained weights.

Every stream hands over its 160 ms when they have passed, as microphones do; the engine puts together what waits. All
of it runs on one thread.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from aimass_stream.engines.emformer import REDUCED, Emformer
from aimass_stream.inference import CpuDevice, Engine, FolderStore
from aimass_stream.inference.contract import SLOT

SESSIONS = (1, 2, 4, 8)
STEPS = 30  # of 160 ms, of each stream
VOCABULARY = [f"▁t{number}" for number in range(512)]
BIAS = 1.6  # for the blank: about two tokens a second come out, as speech has
NOTE = "untrained: WER not measured"


@dataclass(frozen=True, slots=True)
class Row:
    sessions: int
    step_ms: float  # of the model, for one step of so many streams, median
    of_real_time: float  # step / 160 ms: below 1 it keeps up
    delay_p50_ms: float  # from a segment's last sample to its tokens, sessions at their own pace
    delay_p95_ms: float
    keeps_up: bool


def measure(sessions: tuple[int, ...] = SESSIONS, steps: int = STEPS, **shape: Any) -> dict[str, Any]:
    """`shape`: what differs from the base model (`architectures.emformer.BASE`); by default 17 million parameters."""
    return asyncio.run(_measure(sessions, steps, shape or REDUCED))


async def _measure(sessions: tuple[int, ...], steps: int, shape: dict[str, Any]) -> dict[str, Any]:
    engine = Engine(FolderStore([]), CpuDevice(threads=1))
    name = "emformer untrained"
    model = Emformer.generated(name, engine.device, vocabulary=VOCABULARY, bias=BIAS, slots=max(sessions), **shape)
    parameters = sum(weight.numel() for weight in model.stepper.network.parameters())
    await engine.add(model)
    try:
        rows = []
        for count in sessions:
            step = await engine.device.run(partial(_step, model, count))
            delays = await _paced(engine, model, count, steps)
            seconds = model.advance / 16_000
            rows.append(Row(count, round(step * 1000, 1), round(step / seconds, 3),
                            round(statistics.median(delays) * 1000, 1),
                            round(float(np.percentile(delays, 95)) * 1000, 1), max(delays[-count:]) < seconds))
        together = engine.statistics()[name].batch_limit
    finally:
        await engine.close()
    return {"parameters": parameters, "threads": 1, "rows_together": together, "note": NOTE,
            "rows": [asdict(row) for row in rows]}


def _step(model: Emformer, count: int) -> float:
    rng = np.random.default_rng(0)
    times = []
    for _ in range(9):
        sound = rng.normal(0, 0.1, (count, model.samples)).astype(np.float32)
        begun = time.perf_counter()
        model.run({"sound": sound, SLOT: np.arange(count)})
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


async def _paced(engine: Engine, model: Emformer, count: int, steps: int) -> list[float]:
    """Delays of all steps, in the order in which they were due."""
    rng = np.random.default_rng(count)
    seconds = model.advance / 16_000
    begun = time.monotonic() + 0.1
    found: list[tuple[float, float]] = []

    async def stream(number: int, offset: float) -> None:
        sound = rng.normal(0, 0.1, (steps, 1, model.samples)).astype(np.float32)
        for step in range(steps):
            due = begun + offset + step * seconds
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await engine.submit(model.name, {"sound": sound[step]}, session=f"bench {number}")
            found.append((due, time.monotonic() - due))
        engine.forget(model.name, f"bench {number}")

    await asyncio.gather(*(stream(number, rng.uniform(0, seconds)) for number in range(count)))
    return [delay for _, delay in sorted(found)]


def table(result: dict[str, Any]) -> str:
    lines = [f"Emformer RNN-T, {result['parameters'] / 1e6:.1f} million parameters, one thread; {result['note']}", "",
             "| sessions | step ms | of real time | delay p50 / p95 ms | keeps up |", "|---|---|---|---|---|"]
    lines += [f"| {row['sessions']} | {row['step_ms']} | {row['of_real_time']} | "
              f"{row['delay_p50_ms']} / {row['delay_p95_ms']} | {'yes' if row['keeps_up'] else 'no'} |"
              for row in result["rows"]]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(measure()))
