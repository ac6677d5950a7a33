"""A conversion, in the sandbox: from one version's folder to the files of another, measured against each other.

Progress is yielded as jobs' children do it, with the report as facts at the end; the files go into a tar archive.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...inference.contract import Model
from ...inference.device import CpuDevice
from ...inference.loader import MANIFEST, _engine, read_manifest
from ...jobs.report import Progress, report
from ..formats import recognise
from ..manifests import manifest_of, toml
from . import half, int8, network, prune
from .comparing import compared

MOST_REPORT = 12 * 1024  # bytes of JSON


def convert(number: int, folder: str, kind: str, options: dict[str, Any], format: str, told: dict[str, Any]
            ) -> Iterator[bytes]:
    """`number` is the open file for the archive, `told` what is said of the result, as a manifest."""
    source, target = Path(folder), Path.cwd() / Path(folder).name
    target.mkdir()
    yield report(Progress(0.05, "converting"))
    details = _converted(source, target, kind, options, format)
    yield report(Progress(0.5, "comparing it with the original"))
    sizes = {"before": size_of(source), "after": size_of(target)}
    measured = _measured(source, target, told)
    yield report(Progress(0.8, "packing"))
    with os.fdopen(os.dup(number), "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        for path in sorted(target.rglob("*")):
            if path.is_file() and path.name != MANIFEST:
                archive.add(path, path.relative_to(target).as_posix())
    facts = {"conversion": {"kind": kind, "options": options, "size": sizes} | measured | details}
    if len(json.dumps(facts)) > MOST_REPORT:
        raise InvalidInput("there is more to tell of this conversion than can be kept", field="kind")
    yield report(Progress(0.9, "checking the result", facts))


def _converted(source: Path, target: Path, kind: str, options: dict[str, Any], format: str) -> dict[str, Any]:
    if kind == "int8":
        return int8.int8(source, target, options)
    if kind == "half":
        return half.half(source, target, format)
    if kind == "prune":
        return prune.prune(source, target, format, options)
    return network.exported(read_manifest(source / MANIFEST), target, options["opset"])


def size_of(folder: Path) -> int:
    """Bytes of a model's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _measured(source: Path, target: Path, told: dict[str, Any]) -> dict[str, Any]:
    manifest = manifest_of(target.name, recognise(target), target, told)
    (target / MANIFEST).write_text(toml(manifest), encoding="utf-8")
    device = CpuDevice(threads=1, places=1)
    try:
        before, after = (_opened(folder, device) for folder in (source, target))
        for model in (before, after):
            model.warm_up()
        return compared(before, after, manifest | {"example": told.get("example")})
    finally:
        device.close()


def _opened(folder: Path, device: CpuDevice) -> Model:
    entry = read_manifest(folder / MANIFEST)
    model: Model = _engine(entry.engine)(entry, device)
    return model
