"""A built-in architecture with its weights, as an ONNX graph (torch.onnx, by tracing a run on the usual shapes)."""

# torch's types are left out of the check
# mypy: allow-subclassing-any

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...inference.device import CpuDevice
from ...inference.loader import Entry


def exported(entry: Entry, target: Path, opset: int) -> dict[str, Any]:
    """Pictures go in and come out as they do for the network itself. Raises `InvalidInput` for what torch can't say in
    ONNX."""
    import torch

    from ...engines.torch_network import TorchNetwork

    device = CpuDevice(threads=1, places=1)
    try:
        network = TorchNetwork(entry, device)

        class Whole(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = network._network

            def forward(self, *tensors: Any) -> Any:
                made = network._computed(list(tensors))
                return made[0] if len(made) == 1 else tuple(made)

        specs = (*entry.inputs, *entry.outputs)
        free = {spec.name: {place: f"{'n' if place == 0 else f'{spec.name}_{place}'}" for place, axis in
                            enumerate(spec.shape) if axis is None} for spec in specs}
        usual = tuple(torch.from_numpy(spec.zeros()) for spec in entry.inputs)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # what tracing leaves out is found by comparing
            torch.onnx.export(
                Whole().eval(), usual, str(target / "model.onnx"), dynamo=False, opset_version=opset,
                input_names=[spec.name for spec in entry.inputs], output_names=[spec.name for spec in entry.outputs],
                dynamic_axes={name: axes for name, axes in free.items() if axes})
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        told = " ".join(str(error).split())[:300]
        raise InvalidInput(f"torch can't write this network as ONNX: {told}", field="kind") from None
    finally:
        device.close()
    return {"opset": opset, "torch": torch.__version__}
