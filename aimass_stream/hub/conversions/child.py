"""A conversion, in the sandbox: from one version's folder to the files of another, measured against each other.

Progress is yielded as jobs' children do it, with the report as facts at the end; the files go into a tar archive.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...inference.device import CpuDevice
from ...inference.loader import MANIFEST, Entry, _engine, check_file, read_manifest
from ...jobs.report import Progress, report
from ..formats import recognise
from ..manifests import manifest_of, toml
from ..vault import Vault
from . import half, int8, network, prune, sealing, shards
from .comparing import compared

MOST_REPORT = 12 * 1024  # bytes of JSON


def convert(number: int, folder: str, kind: str, options: dict[str, Any], format: str, told: dict[str, Any],
            keys: int = -1) -> Iterator[bytes]:
    """`number` is the open file for the archive, `told` what is said of the result, as a manifest; `keys` an open file
    with the keys to encrypt with."""
    source, target = Path(folder), Path.cwd() / Path(folder).name
    target.mkdir()
    yield report(Progress(0.05, "converting"))
    details = sealing.sealed(source, target, keys) if kind == "encrypt" else (
        _converted(source, target, kind, options, format))
    yield report(Progress(0.5, "comparing it with the original"))
    sizes = {"before": size_of(source), "after": size_of(target)}
    measured = _same(source, target, keys) if kind == "encrypt" else _measured(source, target, told)
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
    if kind == "shards":
        return shards.sharded(source, target, format, options)
    return network.exported(read_manifest(source / MANIFEST), target, options["opset"])


def size_of(folder: Path) -> int:
    """Bytes of a model's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _measured(source: Path, target: Path, told: dict[str, Any]) -> dict[str, Any]:
    manifest = manifest_of(target.name, recognise(target), target, told)
    (target / MANIFEST).write_text(toml(manifest), encoding="utf-8")
    return _compared([read_manifest(folder / MANIFEST) for folder in (source, target)],
                     manifest | {"example": told.get("example")})


def _same(source: Path, target: Path, keys: int) -> dict[str, Any]:
    """Of a version that is encrypted: opened again, each of its bytes is the one that it was."""
    vault = Vault(sealing.keys_in(keys), Path.cwd() / "plain")
    entry = read_manifest(source / MANIFEST)
    with vault.entry(entry) as before, vault.entry(replace(entry, folder=target)) as after:
        for item in entry.files:
            check_file(after.folder, item)
        try:
            return _compared([before, after], {})
        except InvalidInput:  # one that takes whole requests: its bytes were compared
            return {"difference": {"max": 0.0, "mean": 0.0, "cosine": 1.0}, "runs": 0, "inputs": 0}


def _compared(entries: Sequence[Entry], manifest: dict[str, Any]) -> dict[str, Any]:
    device = CpuDevice(threads=1, places=1)
    try:
        before, after = (_engine(entry.engine)(entry, device) for entry in entries)
        for model in (before, after):
            model.warm_up()
        return compared(before, after, manifest)
    finally:
        device.close()
