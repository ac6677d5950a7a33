"""The trial of a model that is code and was approved: in its cell, of which this here only hears.

For a thread of the server itself: a cell can't be made inside of the sandbox, and nothing of the model runs here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..inference.contract import TensorSpec
from ..inference.device import CpuDevice
from ..inference.loader import MANIFEST
from ..inference.rows import independent
from .examine import MAX_BATCH, _example, _measured, _opened
from .manifests import _checked, _examples, toml

LONGEST = 30.0  # s of a run that a manifest may ask for


def tried(folder: Path, manifest: dict[str, Any], example: dict[str, Any] | None) -> dict[str, Any]:
    """What a run on the example brought. The manifest is completed with what the model tells, and written.

    Raises `InvalidInput`, `ModelFailed`, and `Unavailable` where no cell can be made.
    """
    can = manifest["capabilities"]
    can["longest"] = min(LONGEST, float(can["longest"])) if type(can.get("longest")) in (int, float) else 5.0
    batchable = bool(can.pop("batchable", True))
    device = CpuDevice(threads=1, places=1)
    try:
        model = _opened(folder, manifest, device)
        try:
            manifest["inputs"] = manifest["inputs"] or _told(model.inputs, "inputs")
            _examples(manifest["inputs"], example)
            trial = _measured(model, _example(model, manifest, example))
            manifest["outputs"] = manifest["outputs"] or _told(model.outputs, "outputs")
            free = all(spec.shape and spec.shape[0] is None for spec in (*model.inputs, *model.outputs))
            if batchable and free and independent(model.inputs, model.run, model.run):
                manifest["capabilities"] = can | {"batchable": True, "max_batch": MAX_BATCH}
            ways = list(getattr(model, "ways", ()))
        finally:
            model.close()
    finally:
        device.close()
    (folder / MANIFEST).write_text(toml(manifest), encoding="utf-8")
    return trial | {"example": "given" if example else "made", "cell": ways}


def _told(specs: tuple[TensorSpec, ...], field: str) -> list[dict[str, Any]]:
    return _checked([{"name": spec.name, "dtype": spec.dtype, "unit": spec.unit,
                      "shape": [f"axis{place}" if axis is None and place else "n" if axis is None else axis
                                for place, axis in enumerate(spec.shape)],
                      "example": list(spec.example or ())} for spec in specs], field)


