"""The import of a model, in the sandbox: unpack, recognise, check, and run it once on its example.

What is found out is yielded as JSON: ``{"share", "message"}`` on the way, ``{"result"}`` at the end. Files stay in the
folder, with the ``model.toml`` that was made of them, and ``graph.json`` beside it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..engines import ENGINES
from ..errors import InvalidInput
from ..inference.contract import Batch, Model, check_inputs
from ..inference.device import CpuDevice
from ..inference.loader import MANIFEST, _engine, read_manifest
from ..inference.rows import independent
from .archives import unpack
from .formats import recognise
from .imports import translated
from .manifests import array_of, manifest_of, merged, toml

RUNS, SECONDS = 20, 2.0  # of the trial at most
SHOWN = 32  # values of an output that are shown
GRAPH = "graph.json"
MAX_BATCH = 32
FREE = ("onnx", "torch")  # engines whose first axis may be free without anybody having looked whether rows mix


def examine(place: str, archive: str, told: dict[str, Any], most: int, approved: bool = False,
            converters: str = "") -> Iterator[bytes]:
    """`place` is a folder named as the version will be served; `archive` a file to be unpacked into it, or "". Code
    that was `approved` is not run here, but tried in its cell after this. `converters` is a folder with interpreters
    that have other frameworks."""
    folder = Path(place)
    if archive:
        yield _said(0.05, "unpacking")
        unpack(Path(archive), folder, most)
    given = (folder / MANIFEST).read_bytes() if (folder / MANIFEST).is_file() else b""
    told = merged(folder, told)
    yield _said(0.2, "checking the files")
    imported = translated(folder, told, Path(converters))
    found = recognise(folder, most)
    found = replace(found, facts=found.facts | imported)
    (folder.parent / GRAPH).write_text(json.dumps(found.graph.json()), encoding="utf-8")
    result: dict[str, Any] = {"format": found.format, "engine": found.engine, "facts": found.facts}
    if found.code and approved:
        manifest = manifest_of(folder.name, found, folder, told)
        yield json.dumps({"result": result | {
            "state": "approved", "reason": "", "engine": manifest["engine"], "manifest": manifest,
            "example": told.get("example")}}).encode()
        return
    if found.code:
        if given:  # it is read again when an admin has approved
            (folder / MANIFEST).write_bytes(given)
        yield json.dumps({"result": result | {"state": "quarantined", "reason": found.code}}).encode()
        return
    yield _said(0.6, "trying it")
    manifest = manifest_of(folder.name, found, folder, told)
    trial = tried(folder, manifest, told.get("example"))
    result |= {"state": "ready", "reason": "", "engine": manifest["engine"], "facts": found.facts | {"trial": trial},
               "manifest": manifest | ({"example": told["example"]} if "example" in told else {})}
    yield json.dumps({"result": result}).encode()


def _said(share: float, message: str) -> bytes:
    return json.dumps({"share": share, "message": message}).encode()


def tried(folder: Path, manifest: dict[str, Any], example: dict[str, Any] | None) -> dict[str, Any]:
    """What a run on the example brought; the manifest is written, with what was found out about batches.

    Raises `InvalidInput` where it does not run, or gives what is no number.
    """
    device = CpuDevice(threads=1, places=1)
    try:
        model = _opened(folder, manifest, device)
        if _may_batch(model, manifest) and independent(model.inputs, model.run, model.run):
            manifest["capabilities"] = manifest["capabilities"] | {"batchable": True, "max_batch": MAX_BATCH}
            model.close()
            model = _opened(folder, manifest, device)
        model.warm_up()
        if any(spec.dtype == "object" for spec in model.inputs):
            return {"example": "its own"}
        return _measured(model, _example(model, manifest, example)) | {"example": "given" if example else "made"}
    finally:
        device.close()


def _opened(folder: Path, manifest: dict[str, Any], device: CpuDevice) -> Model:
    (folder / MANIFEST).write_text(toml(manifest), encoding="utf-8")
    entry = read_manifest(folder / MANIFEST)
    model: Model = _engine(entry.engine)(entry, device)
    return model


def _may_batch(model: Model, manifest: dict[str, Any]) -> bool:
    """Whether that is still to be found out. What a sender says of batches is not believed."""
    if manifest["engine"] not in {ENGINES[each] for each in FREE} or not all(
            spec.shape and spec.shape[0] is None for spec in (*model.inputs, *model.outputs)):
        return False
    return bool(manifest["capabilities"].pop("batchable", True))


def _example(model: Model, manifest: dict[str, Any], example: dict[str, Any] | None) -> Batch:
    if example is not None:
        batch = {each["name"]: array_of(example[each["name"]], each) for each in manifest["inputs"]}
    else:
        rng = np.random.default_rng(1)
        batch = {spec.name: rng.random(spec.usual).astype(spec.dtype) if np.dtype(spec.dtype).kind == "f"
                 else spec.zeros() for spec in model.inputs}
    if not model.capabilities.stateful:
        check_inputs(model, batch)
    return batch


def _measured(model: Model, batch: Batch) -> dict[str, Any]:
    if model.capabilities.stateful:
        return {"ms": None}  # its engine gives it its slots; the warm-up was a run
    made = model.run(batch)
    outputs = [_summary(spec.name, made[spec.name]) for spec in model.outputs]
    for spec in model.outputs:
        spec.check(made[spec.name])
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < RUNS and (not times or time.perf_counter() - begun < SECONDS):
        at = time.perf_counter()
        model.run(batch)
        times.append(time.perf_counter() - at)
    return {"ms": round(1000 * statistics.median(times), 3), "runs": len(times), "outputs": outputs}


def _summary(name: str, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "dtype": str(values.dtype), "shape": list(values.shape)}
    if values.dtype.kind not in "fiub" or not values.size:
        return told
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InvalidInput(f"its output {name[:64]} has values that are no finite numbers", field="files")
    numbers = values.astype(np.float64)
    told |= {"least": float(numbers.min()), "most": float(numbers.max()), "mean": float(numbers.mean())}
    return told | ({"values": values.tolist()} if values.size <= SHOWN else {})
