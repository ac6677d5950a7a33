"""What needs a GPU stands in the table as not measured: `benchmarks/gpu.py` measures it on a machine that has one."""

from __future__ import annotations

from ..aims import Aim
from ..speech.section import Result

ELSEWHERE = "needs a GPU: benchmarks/gpu.py"


def run(quick: bool) -> Result:
    return {}


def aims(result: Result) -> list[Aim]:
    return [Aim("batching at 8 sessions on a GPU: >= 3.5x serial eager throughput", ELSEWHERE, None),
            Aim("batching at 8 sessions on a GPU: neighbour's p95 within +10 %", ELSEWHERE, None)]


def tell(result: Result) -> str:
    return "Batches across sessions on a GPU: not measured here, `benchmarks/gpu.py` measures them."
