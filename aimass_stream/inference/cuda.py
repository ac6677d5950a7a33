"""A CUDA device, and the way of tensors to it and back. **Unverified**: written without such a device at hand.

What reaches the card does so in the order of the worker's calls, on one stream for each model between two for copies,
so that copies of one batch pass while another one computes. Nothing waits on the event loop or on the worker: the end
of a run is an event, which a thread of its own waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import Unavailable
from ..workers import Workers
from .device import CpuDevice, Device, Worker, cores

T = TypeVar("T")

NO_TORCH = "torch is not installed: pip install 'aimass-stream[torch]'"
PLACES = 2  # runs under way at a time: one computes while copies of the other pass


def import_torch() -> Any:
    """Takes seconds the first time. Raises `Unavailable` where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise Unavailable(f"{NO_TORCH} ({error})") from None
    return torch


class CudaDevice:
    """One card. Models of torch and of onnxruntime's CUDA provider run on it; the engine has a processor for others."""

    places = PLACES
    workers = 1

    def __init__(self, number: int = 0) -> None:
        """Raises `Unavailable` where there is no torch or no such card."""
        torch = self._torch = import_torch()
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if number >= count:
            raise Unavailable(f"there is no CUDA device {number}: {count} were found")
        self.name = f"cuda:{number}"
        self.threads = max(1, cores() // 2)  # of models that run on the processor after all
        self.incoming, self.outgoing = torch.cuda.Stream(self.name), torch.cuda.Stream(self.name)
        self._worker = Worker(f"aimass-{self.name}")
        self._waiters = Workers(PLACES, f"aimass-{self.name}-end")

    async def run(self, work: Callable[[], T]) -> T:
        return await self._worker.run(work)

    async def launch(self, work: Callable[[], Callable[[], T]]) -> T:
        finish = await self._worker.run(work)
        return await asyncio.wrap_future(self._waiters.submit(finish))

    def renew(self) -> None:
        """Also of the threads that wait for an end which may not come."""
        self._worker.renew()
        self._waiters.shutdown(wait=False)
        self._waiters = Workers(PLACES, f"aimass-{self.name}-end")

    def used(self) -> int:
        return int(self._torch.cuda.memory_allocated(self.name))

    def relieve(self) -> None:
        self._torch.cuda.empty_cache()

    def describe(self) -> dict[str, Any]:
        card = self._torch.cuda.get_device_properties(self.name)
        return {"name": self.name, "kind": "cuda", "card": card.name, "memory": int(card.total_memory)}

    def close(self) -> None:
        self._worker.close()
        self._waiters.shutdown(wait=True)


def open_device(name: str = "auto") -> Device:
    """"cpu", "cuda" or "cuda:1"; "auto" takes a card where torch sees one. Raises `Unavailable` for a missing one."""
    if name == "auto":
        with contextlib.suppress(Unavailable):
            if driven():
                return CudaDevice()
    elif name.partition(":")[0] == "cuda":
        return CudaDevice(int(name.partition(":")[2] or 0))
    return CpuDevice()


def driven() -> bool:
    """Whether NVIDIA's driver is here: without it nobody need wait for torch to be imported."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


class Way:
    """A model's own: its stream on a card, or the processor's plain memory with the same calls."""

    def __init__(self, device: Device, torch: Any) -> None:
        self._torch = torch
        self._device = device if isinstance(device, CudaDevice) else None
        self.place = torch.device(device.name if self._device is not None else "cpu")
        self.threads = device.threads
        self.stream: Any = torch.cuda.Stream(self.place) if self._device is not None else None

    def computing(self) -> contextlib.AbstractContextManager[Any]:
        """What is launched inside goes on the model's stream."""
        if self.stream is not None:
            stream: contextlib.AbstractContextManager[Any] = self._torch.cuda.stream(self.stream)
            return stream
        if self._torch.get_num_threads() != self.threads:  # this thread's own number
            self._torch.set_num_threads(self.threads)
        return contextlib.nullcontext()

    def send(self, values: NDArray[Any]) -> Any:
        """To a tensor at `place`. It has arrived for the model's stream, not for anybody else."""
        torch = self._torch
        if self._device is None:
            return torch.from_numpy(np.require(values, requirements=["C", "W"]))
        # pinned; torch keeps it until the copy is over, and then for the next one
        staged = torch.empty(values.shape, dtype=torch.from_numpy(np.empty(0, values.dtype)).dtype, pin_memory=True)
        staged.numpy()[...] = values
        with torch.cuda.stream(self._device.incoming):
            tensor = staged.to(self.place, non_blocking=True)
        self.stream.wait_stream(self._device.incoming)
        tensor.record_stream(self.stream)
        return tensor

    def fetch(self, tensors: Sequence[Any]) -> Callable[[], list[NDArray[Any]]]:
        """Begin to copy what the model's stream computes; what is answered waits for the end."""
        torch = self._torch
        if self._device is None:
            found = [tensor.numpy() for tensor in tensors]
            return lambda: found
        outgoing = self._device.outgoing
        outgoing.wait_stream(self.stream)
        staged = []
        with torch.cuda.stream(outgoing):
            for tensor in tensors:
                staged.append(torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True))
                staged[-1].copy_(tensor, non_blocking=True)
                tensor.record_stream(outgoing)
            over = torch.cuda.Event(blocking=True)
            over.record(outgoing)

        def finish() -> list[NDArray[Any]]:
            over.synchronize()
            return [tensor.numpy() for tensor in staged]

        return finish

    def settle(self) -> None:
        """Wait for all that the model has launched; before its memory is given back."""
        if self.stream is not None:
            self.stream.synchronize()
