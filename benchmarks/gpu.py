"""`python benchmarks/gpu.py --out FILE`: what a card does for many painted sessions. Needs torch, numpy and a style.

Everything goes the way it goes in the server: sessions submit pictures (uint8) to the inference engine, which copies
them to the card, paints them, and copies them back. Measured are the card's own ceilings; pictures a second of 1 to 32
sessions one by one and in batches, eagerly and as CUDA graphs; copies that overlap computing or don't; how much later
a neighbour's pictures come, whose network is another; and how many sessions the card paints at 30 pictures a second.
`--device cpu` measures the same on the processor. The engine on CUDA is **unverified** until somebody has run this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # started as a file: its own folder's modules are none of ours
    sys.path[0] = str(ROOT)

import numpy as np  # noqa: E402

from aimass_stream.engines.torch_network import TorchNetwork  # noqa: E402
from aimass_stream.errors import Busy, DeadlineMissed  # noqa: E402
from aimass_stream.inference import Capabilities, CpuDevice, Device, Engine, Entry, FolderStore, TensorSpec  # noqa: E402
from aimass_stream.inference import rates as rates_of  # noqa: E402
from aimass_stream.inference.cuda import CudaDevice, import_torch, open_device  # noqa: E402
from aimass_stream.inference.loader import MANIFEST, ModelFile, read_manifest  # noqa: E402

RATE = 30.0  # pictures/s of a paced session
HELD = 0.97  # share of its pictures that come back in time in a session that is held
MOST = 32  # rows of a batch
ENGINE = "aimass_stream.engines.style:Style"  # whose weights are those of architectures.style


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    side: int = 512  # px of a picture
    neighbour: int = 128  # px of the neighbour's
    seconds: float = 3.0  # of each measurement, after a quarter of that
    sessions: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    beside: int = 8  # sessions that the neighbour has
    most: int = 1024  # streams looked for


QUICK = Plan(32, 32, 0.2, (1, 2), 2, 4)


@dataclass(frozen=True)
class Painter:
    """One way to run the same network."""

    name: str
    rows: int = MOST  # of a batch; 1: one by one
    graphs: bool = True
    side: int = 0  # px; 0: the plan's


PAINTERS = (Painter("one by one, eager", 1, False), Painter("one by one, graph", 1),
            Painter("batches, eager", graphs=False), Painter("batches, graph"))


def entry_of(style: Path, painter: Painter, side: int) -> Entry:
    pictures = TensorSpec("image", (None, side, side, 3), "uint8", "BGR", example=(1, side, side, 3))
    file = next(style.glob("*.safetensors"))
    return Entry(style, painter.name, "1", painter.name, "image-to-image", "", (), "",
                 (ModelFile(file.name, file.stat().st_size, ""),), (pictures,),
                 (TensorSpec("styled", pictures.shape, "uint8", example=pictures.example),),
                 Capabilities(batchable=painter.rows > 1, max_batch=painter.rows, longest=60),
                 options={"architecture": "style", "graphs": painter.graphs})


def styles() -> list[Path]:
    found = sorted((ROOT / "models").glob(f"style-*/{MANIFEST}"))
    return [manifest.parent for manifest in found if read_manifest(manifest).engine == ENGINE]


def pictures(side: int, count: int = 4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [{"image": rng.integers(0, 256, (1, side, side, 3), np.uint8)} for _ in range(count)]


class Bench:
    """One engine on one device, with painters that are loaded when they are wanted."""

    def __init__(self, style: Path, plan: Plan, device: Device) -> None:
        self.style, self.plan, self.device = style, plan, device
        self.engine = Engine(FolderStore([]), device)

    async def load(self, painter: Painter) -> None:
        if painter.name not in self.engine.models():
            side = painter.side or self.plan.side
            await self.engine.load(painter.name, lambda: TorchNetwork(entry_of(self.style, painter, side), self.device))

    async def hurried(self, painter: Painter, sessions: int) -> dict[str, float]:
        """Every session submits its next picture when the last one is back."""
        await self.load(painter)
        queue, count, over = pictures(self.plan.side), 0, time.monotonic() + 1.25 * self.plan.seconds
        begin = over - self.plan.seconds

        async def session(number: int) -> None:
            nonlocal count
            at = number
            while time.monotonic() < over:
                await self.engine.submit(painter.name, queue[at % len(queue)], session=f"s{number}")
                at += 1
                count += begin <= time.monotonic() < over

        await asyncio.gather(*(session(number) for number in range(sessions)))
        found = self.engine.statistics()[painter.name]
        return {"per_s": count / self.plan.seconds, "rows": found.batch, "limit": found.batch_limit,
                "run_ms": 1000 * found.run_p50}

    async def paced(self, painter: Painter, sessions: int) -> dict[str, float]:
        """Every session submits `RATE` pictures a second, and drops one that could not be begun within its time."""
        await self.load(painter)
        queue, delays, wanted = pictures(painter.side or self.plan.side), list[float](), 0
        start = time.monotonic()
        over, begin = start + 1.25 * self.plan.seconds, start + 0.25 * self.plan.seconds

        async def session(number: int) -> None:
            nonlocal wanted
            due = start + number / sessions / RATE  # cameras are not in step
            tasks: set[asyncio.Task[None]] = set()
            while due < over:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if due >= begin:
                    wanted += 1
                task = asyncio.create_task(picture(f"s{number}", due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                due += 1 / RATE
            await asyncio.gather(*tasks)

        async def picture(name: str, due: float) -> None:
            try:
                await self.engine.submit(painter.name, queue[int(due * RATE) % len(queue)], session=name,
                                         deadline=due + 1 / RATE)
            except (DeadlineMissed, Busy):
                return
            if due >= begin:
                delays.append(time.monotonic() - due)

        used = time.thread_time()
        await asyncio.gather(*(session(number) for number in range(sessions)))
        ordered = sorted(delays) or [float("inf")]
        return {"sessions": sessions, "share": len(delays) / max(1, wanted),
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p95_ms": 1000 * ordered[int(0.95 * (len(ordered) - 1))],
                "loop": (time.thread_time() - used) / (time.monotonic() - start)}


def held(found: dict[str, float]) -> bool:
    return found["share"] >= HELD and found["p95_ms"] <= 1000 / RATE


async def neighbour(bench: Bench) -> dict[str, Any]:
    """A session of another network, alone and beside others that are painted one by one or in batches."""
    other = Painter("neighbour", 1, side=bench.plan.neighbour)
    found = {"alone": await bench.paced(other, 1)}
    for painter in (PAINTERS[0], PAINTERS[3]):
        found[painter.name], _ = await asyncio.gather(bench.paced(other, 1), bench.paced(painter, bench.plan.beside))
    return found


async def most_streams(bench: Bench, painter: Painter) -> dict[str, Any]:
    """Twice as many until they are not held, then halfway between, again and again."""
    tries, good, bad = list[dict[str, float]](), 0, 1
    while bad <= bench.plan.most:
        tries.append(await bench.paced(painter, bad))
        if not held(tries[-1]):
            break
        good, bad = bad, bad * 2
    while bad - good > max(1, good // 16):
        tries.append(await bench.paced(painter, (good + bad) // 2))
        good, bad = ((good + bad) // 2, bad) if held(tries[-1]) else (good, (good + bad) // 2)
    return {"streams": good, "tries": tries}


async def agreement(bench: Bench) -> float:
    """The largest difference between the processor's picture and the device's, in levels of 255."""
    processor = CpuDevice()
    try:
        model = TorchNetwork(entry_of(bench.style, PAINTERS[0], bench.plan.side), processor)
        [batch, *_] = pictures(bench.plan.side)
        wanted = await processor.run(lambda: model.run(batch)["styled"].astype(int))
    finally:
        processor.close()
    await bench.load(PAINTERS[3])
    made = await bench.engine.submit(PAINTERS[3].name, batch, session="a")
    return float(np.abs(made["styled"] - wanted).max())


@asynccontextmanager
async def _opened(style: Path, plan: Plan, name: str, places: int | None = None) -> Any:
    device = open_device(name)
    if places is not None:
        device.places = places
    bench = Bench(style, plan, device)
    try:
        yield bench
    finally:
        await bench.engine.close()


async def measured(style: Path, plan: Plan, name: str) -> dict[str, Any]:
    torch = import_torch()
    result: dict[str, Any] = {"plan": asdict(plan), "style": style.name, "torch": torch.__version__}

    async def section(key: str, work: Callable[[], Awaitable[Any]]) -> None:
        begun = time.monotonic()
        result[key] = await work()
        print(f"  {key}: {json.dumps(result[key], default=str)[:400]} ({time.monotonic() - begun:.0f} s)", flush=True)

    async with _opened(style, plan, name) as bench:
        result["device"] = bench.device.describe()
        card = isinstance(bench.device, CudaDevice)
        ceilings = await bench.device.run(lambda: rates_of.card(torch) if card else rates_of.processor())
        result["ceilings"] = asdict(ceilings) | {"told": ceilings.told()}
        print(f"  {ceilings.told()}", flush=True)
        await section("levels_apart", lambda: agreement(bench))
        for painter in PAINTERS:
            async def grown(painter: Painter = painter) -> dict[str, Any]:
                return {str(count): await bench.hurried(painter, count) for count in plan.sessions}
            await section(painter.name, grown)
        await section("neighbour", lambda: neighbour(bench))
        await section("streams", lambda: most_streams(bench, PAINTERS[3]))
    for key, places in (("copies overlap", None), ("copies in turn", 1)):
        async with _opened(style, plan, name, places) as bench:
            await section(key, lambda bench=bench: bench.hurried(PAINTERS[3], plan.sessions[-1]))  # type: ignore[misc]
    return result


def table(result: dict[str, Any]) -> str:
    """For people; the file has all of it."""
    names = [painter.name for painter in PAINTERS]
    lines = [f"{result['device']['name']}: {result['ceilings']['told']}",
             f"pictures/s of {result['plan']['side']}x{result['plan']['side']}, by sessions:",
             "  sessions  " + "  ".join(f"{name:>18}" for name in names)]
    for count in result[names[0]]:
        lines.append(f"  {count:>8}  " + "  ".join(f"{result[name][count]['per_s']:18.1f}" for name in names))
    alone, serial, batched = (result["neighbour"][key]["p95_ms"] for key in ("alone", names[0], names[3]))
    return "\n".join([
        *lines,
        f"neighbour's p95: {alone:.1f} ms alone, {serial:.1f} beside one by one, {batched:.1f} beside batches",
        f"copies: {result['copies overlap']['per_s']:.1f}/s overlapping, "
        f"{result['copies in turn']['per_s']:.1f}/s in turn",
        f"streams at {RATE:.0f}/s: {result['streams']['streams']}; levels apart from the processor: "
        f"{result['levels_apart']:g}"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--style", type=Path, help="a style's folder; by default the first in models/")
    parser.add_argument("--side", type=int, help=f"px of a picture, by default {Plan.side}")
    parser.add_argument("--quick", action="store_true", help="tiny pictures and short: only to see that it works")
    chosen = parser.parse_args(arguments)
    found = [chosen.style] if chosen.style else styles()
    if not found:
        parser.error("no style network is here: name its folder with --style")
    plan = QUICK if chosen.quick else Plan(**({"side": chosen.side} if chosen.side else {}))
    result = asyncio.run(measured(found[0], plan, chosen.device))
    chosen.out.write_text(json.dumps(result, indent=1))
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
