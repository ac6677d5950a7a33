"""Encryption at rest: each file of a version sealed, opened again, and held against the original."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...inference.loader import MANIFEST
from ...signing import KEY
from ...store.sealed import Keys, chunks_of, is_sealed, key_id, opened, seal


def keys_in(number: int) -> Keys:
    """What `keys_out` wrote."""
    data = os.pread(number, os.fstat(number).st_size, 0)
    return Keys([data[at : at + KEY] for at in range(0, len(data), KEY)])


def keys_out(keys: Keys) -> int:
    """An open file in memory: keys travel to the child, and are written nowhere."""
    number = os.memfd_create("keys")
    os.write(number, b"".join(keys.all))
    return number


def sealed(source: Path, target: Path, number: int) -> dict[str, Any]:
    """What is encrypted already gets the current key; its plain bytes are never written."""
    keys = keys_in(number)
    key = keys.current()
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            made = target / path.relative_to(source)
            made.parent.mkdir(parents=True, exist_ok=True)
            before = hashlib.sha256()
            with path.open("rb") as file, made.open("xb") as closed:
                plain = opened(file, keys, path.name) if is_sealed(path) else chunks_of(file)
                seal(_counted(plain, before), closed, key)
            after = hashlib.sha256()
            with made.open("rb") as file:
                for piece in opened(file, keys, path.name):
                    after.update(piece)
            if before.digest() != after.digest():
                raise InvalidInput(f"{path.name} did not come out as it went in", field="kind")
    return {"key": key_id(key).hex()}


def _counted(plain: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for piece in plain:
        digest.update(piece)
        yield piece
