"""A folder of weights as pulling leaves it: its files listed with their sizes and hashes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from aimass_stream.weights import WeightFile, Weights
from aimass_stream.weights.pulling import MANIFEST, manifest


def listed(folder: Path) -> None:
    """Write the manifest of what lies there."""
    files = []
    for path in sorted(each for each in folder.iterdir() if each.name != MANIFEST):
        data = path.read_bytes()
        files.append(WeightFile(path.name, path.name, len(data), hashlib.sha256(data).hexdigest()))
    weights = Weights(folder.name, "A voice", "voice", "aimass_stream.engines.none:None", "CC0-1.0", "", ("en",),
                      tuple(files))
    (folder / MANIFEST).write_text(manifest(weights, weights.files), encoding="utf-8")


def altered(path: Path) -> None:
    """One byte of it becomes another; its size and date stay as they were."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
