"""What needs a GPU is measured by `benchmarks/gpu.py` where there is one; its file is shown, if it is here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..aims import Aim
from ..gpu import PAINTERS, table
from ..servers import HERE
from ..speech.section import Result

FILE = HERE / "gpu.json"
ELSEWHERE = "needs a GPU: benchmarks/gpu.py"
SESSIONS = "8"
GAIN, LATER = 3.5, 1.1  # times the throughput, times the neighbour's p95
SERIAL, BATCHED = PAINTERS[0].name, PAINTERS[3].name


def run(quick: bool) -> Result:
    return read(FILE)


def read(path: Path) -> Result:
    """What was measured on a card; nothing of a processor's counts."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found if found.get("device", {}).get("kind") == "cuda" else {}


def aims(result: Result) -> list[Aim]:
    throughput = "batching at 8 sessions on a GPU: >= 3.5x serial eager throughput"
    later = "batching at 8 sessions on a GPU: neighbour's p95 within +10 % of what it is beside serial ones"
    if not result:
        return [Aim(throughput, ELSEWHERE, None), Aim(later, ELSEWHERE, None)]
    gain = result[BATCHED][SESSIONS]["per_s"] / result[SERIAL][SESSIONS]["per_s"]
    alone, serial, batched = (result["neighbour"][key]["p95_ms"] for key in ("alone", SERIAL, BATCHED))
    return [Aim(throughput, f"{gain:.1f}x", gain >= GAIN),
            Aim(later, f"{batched:.1f} ms, {serial:.1f} beside serial ones, {alone:.1f} alone",
                batched <= LATER * serial)]


def tell(result: Result) -> str:
    if not result:
        return "Batches across sessions on a GPU: not measured here, `benchmarks/gpu.py` measures them."
    return f"Measured by `benchmarks/gpu.py` on {result['device']['card']}:\n\n```\n{table(result)}\n```"
