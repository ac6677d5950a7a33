"""How fast memory is copied and matrices are multiplied here: the ceilings of everything that runs on a device.

`python -m aimass_stream.inference.rates` prints JSON of torch and of every CUDA device it sees (unverified on a card).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MEBI = 1 << 20
REPEATS = 5  # the fastest counts


@dataclass(frozen=True, slots=True)
class Rates:
    """bytes/s read and written count once; a product of n x n matrices counts as 2 n³ operations."""

    name: str
    copy: float  # bytes/s, inside the device's memory
    matmul: float  # operations/s, float32
    matmul_half: float | None = None  # operations/s, float16
    to_device: float | None = None  # bytes/s, from pinned memory
    from_device: float | None = None  # bytes/s, into pinned memory

    def told(self) -> str:
        """For people."""
        parts = [f"{self.name}: copies {self.copy / 1e9:.1f} GB/s"]
        if self.to_device is not None and self.from_device is not None:
            parts.append(f"to it {self.to_device / 1e9:.1f}, from it {self.from_device / 1e9:.1f} GB/s")
        parts.append(f"matrices {_operations(self.matmul)} in float32")
        if self.matmul_half is not None:
            parts.append(f"{_operations(self.matmul_half)} in float16")
        return ", ".join(parts)


def _operations(rate: float) -> str:
    return f"{rate / 1e12:.1f} TFLOP/s" if rate >= 1e12 else f"{rate / 1e9:.1f} GFLOP/s"


def processor(size: int = 1024, room: int = 64 * MEBI) -> Rates:
    """By numpy: one thread copies, its BLAS multiplies with as many as it likes. About 0.2 s."""
    source = np.ones(room, np.uint8)
    target = np.empty_like(source)
    matrix = np.ones((size, size), np.float32)
    return Rates("cpu", room / _fastest(lambda: np.copyto(target, source)), 2 * size**3 / _fastest(
        lambda: np.matmul(matrix, matrix)))


def card(torch: Any, number: int = 0, size: int = 4096, room: int = 256 * MEBI) -> Rates:
    """A CUDA device by torch."""
    place = torch.device("cuda", number)
    inside, other = (torch.empty(room, dtype=torch.uint8, device=place) for _ in range(2))
    pinned = torch.empty(room, dtype=torch.uint8, pin_memory=True)
    whole = torch.ones((size, size), device=place)
    half = whole.half()

    def timed(work: Callable[[], object]) -> float:
        def waited() -> None:
            work()
            torch.cuda.synchronize(place)

        return _fastest(waited)

    return Rates(torch.cuda.get_device_properties(place).name, room / timed(lambda: other.copy_(inside)),
                 2 * size**3 / timed(lambda: torch.mm(whole, whole)), 2 * size**3 / timed(lambda: torch.mm(half, half)),
                 room / timed(lambda: inside.copy_(pinned, non_blocking=True)),
                 room / timed(lambda: pinned.copy_(inside, non_blocking=True)))


def _fastest(work: Callable[[], object]) -> float:
    """s; the first run only warms up."""
    times = []
    for _ in range(REPEATS + 1):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def main() -> None:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    told = {"torch": torch.__version__, "cards": [asdict(card(torch, number)) for number in range(count)]}
    print(json.dumps(told))  # noqa: T201  for whoever started this


if __name__ == "__main__":
    main()
