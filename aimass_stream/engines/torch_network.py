"""Our own architectures on torch: a manifest that names one of them, and a file of its weights.

::

    engine = "aimass_stream.engines.torch_network:TorchNetwork"
    [options]
    architecture = "style"      # of architectures.ARCHITECTURES
    compile = "inductor"        # a backend of torch.compile; without it the network runs eagerly
    graphs = true               # record CUDA graphs where every axis but the first is fixed (the default)
    [options.arguments]         # of the architecture

Pictures may go in as they are, uint8 (n, h, w, 3) BGR: then they become (n, 3, h, w) RGB, 0 to 1, on the device, and
what comes out is turned back. **Unverified** on CUDA: see `inference.cuda`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..architectures import ARCHITECTURES
from ..errors import InvalidInput, Unavailable
from ..inference import safetensors
from ..inference.contract import Batch, TensorSpec
from ..inference.cuda import Way, import_torch
from ..inference.device import Device
from ..inference.loader import Entry

log = logging.getLogger(__name__)

WARM = 3  # runs before a graph is recorded: libraries choose their kernels in the first ones


def prepare() -> None:
    """Import torch, which keeps every thread of the process waiting: before anybody waits for pictures."""
    with contextlib.suppress(Unavailable):
        import_torch()


class TorchNetwork:
    """Inputs go to the network in the manifest's order, what it returns are the outputs in theirs. Rows are its own."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` naming what doesn't fit, `Unavailable` without torch."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        if entry.capabilities.stateful:
            raise InvalidInput("a network of this engine keeps no state between runs", field="capabilities.slots")
        self._torch = import_torch()
        self._way = Way(device, self._torch)
        self._network = self._built(entry)
        self._pictures = [_is_picture(spec) for spec in (*self.inputs, *self.outputs)]
        fixed = all(axis is not None for spec in self.inputs for axis in spec.shape[1:])
        self.capabilities = replace(entry.capabilities, fixed_shapes=fixed, accelerated=self._way.stream is not None)
        self._recording = fixed and self.capabilities.accelerated and bool(entry.options.get("graphs", True))
        self._graphs: dict[int, _Graph] = {}  # by rows

    def _built(self, entry: Entry) -> Any:
        torch, options = self._torch, entry.options
        if options.get("architecture") not in ARCHITECTURES:
            raise InvalidInput(f"architecture must be one of {', '.join(ARCHITECTURES)}", field="options.architecture")
        state = {name: torch.from_numpy(values) for name, values in safetensors.of(entry).items()}
        module, _, kind = ARCHITECTURES[options["architecture"]].partition(":")
        try:
            network = getattr(importlib.import_module(module), kind)(**options.get("arguments", {}))
            network.load_state_dict(state)
        except (RuntimeError, TypeError, ValueError) as error:
            told = " ".join(str(error).split())[:300]
            raise InvalidInput(f"these weights are not those of this network: {told}", field="files") from None
        network = network.eval().requires_grad_(False).to(self._way.place)
        return torch.compile(network, backend=options["compile"]) if options.get("compile") else network

    def warm_up(self) -> None:
        """Raises `InvalidInput` where outputs are not the manifest's."""
        made = self.run({spec.name: spec.zeros() for spec in self.inputs})
        for spec in self.outputs:
            spec.check(made[spec.name])
        most = self.capabilities.max_batch if self.capabilities.batchable else 1
        if self._recording:
            for rows in sorted({*(2**power for power in range(most.bit_length())), most}):
                self._record(rows)

    def _record(self, rows: int) -> None:
        try:
            self._graphs[rows] = _Graph(self._torch, self._way, self._computed, [
                self._way.send(spec.zeros(rows)) for spec in self.inputs])
        except RuntimeError as error:  # something in the network can't be recorded: it runs eagerly
            log.warning("%s: no CUDA graph of %d rows: %s", self.name, rows, str(error).partition("\n")[0])
            self._recording = False

    def run(self, batch: Batch) -> Batch:
        return self.launch(batch)()

    def launch(self, batch: Batch) -> Callable[[], Batch]:
        """Begin a run; what is answered waits for its end and may be called in another thread."""
        torch = self._torch
        with torch.inference_mode(), self._way.computing():
            sent = [self._way.send(batch[spec.name]) for spec in self.inputs]
            rows = len(sent[0])
            recorded = min((size for size in self._graphs if size >= rows), default=0)
            made = self._graphs[recorded].replay(sent, rows) if recorded else self._computed(sent)
            fetched = self._way.fetch(made)
        names = [spec.name for spec in self.outputs]
        return lambda: dict(zip(names, fetched(), strict=True))

    def _computed(self, tensors: list[Any]) -> list[Any]:
        takes = [_planes(tensor) if picture else tensor
                 for tensor, picture in zip(tensors, self._pictures, strict=False)]
        made = self._network(*takes)
        gives = [made] if self._torch.is_tensor(made) else list(made)
        if len(gives) != len(self.outputs):
            raise InvalidInput(f"{self.name} has {len(gives)} outputs; the manifest names {len(self.outputs)}",
                               field="outputs")
        return [_pixels(self._torch, tensor) if picture else tensor
                for tensor, picture in zip(gives, self._pictures[len(self.inputs) :], strict=True)]

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._way.settle()
        self._graphs.clear()
        self._network = None


class _Graph:
    """All launches of a run as one, on tensors that stay: inputs are copied in, outputs out, on the model's stream."""

    def __init__(self, torch: Any, way: Way, compute: Callable[[list[Any]], list[Any]], inputs: list[Any]) -> None:
        self._inputs = inputs
        with torch.inference_mode(), way.computing():
            for _ in range(WARM):
                compute(self._inputs)
        way.settle()
        self._graph = torch.cuda.CUDAGraph()
        # other threads use the card meanwhile
        with torch.inference_mode(), torch.cuda.graph(self._graph, stream=way.stream,
                                                      capture_error_mode="thread_local"):
            self._outputs = compute(self._inputs)

    def replay(self, sent: list[Any], rows: int) -> list[Any]:
        """Rows beyond those that are sent hold what was there before, and nobody looks at them."""
        for own, tensor in zip(self._inputs, sent, strict=True):
            own[:rows].copy_(tensor)
        self._graph.replay()
        return [tensor[:rows].clone() for tensor in self._outputs]


def _is_picture(spec: TensorSpec) -> bool:
    return spec.dtype == "uint8" and len(spec.shape) == 4 and spec.shape[-1] == 3


def _planes(pictures: Any) -> Any:
    """(n, 3, h, w) RGB, 0 to 1, of (n, h, w, 3) BGR, uint8."""
    return pictures.flip(3).permute(0, 3, 1, 2).float().div_(255)


def _pixels(torch: Any, planes: Any) -> Any:
    """The way back, rounded and cut."""
    pixels = planes.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).flip(3).contiguous()
