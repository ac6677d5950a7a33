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
from ...store.blobs import no_space
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
    key = keys.current()  # before anything is written
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            made = target / path.relative_to(source)
            made.parent.mkdir(parents=True, exist_ok=True)
            anew(path, made, keys, path.name)
    return {"key": key_id(key).hex()}


def anew(path: Path, made: Path, keys: Keys, name: str) -> str:
    """The file with the current key, opened once more to see that it is the same; answers the SHA-256 of what is plain.

    Raises `Unavailable` without the key that it has, `InvalidInput` for one that was changed, `NoSpace`.
    """
    before, after = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file, no_space(), made.open("wb") as closed:
        seal(_counted(opened(file, keys, name) if is_sealed(path) else chunks_of(file), before), closed, keys.current())
    with made.open("rb") as file:
        for piece in opened(file, keys, name):
            after.update(piece)
    if before.digest() != after.digest():
        raise InvalidInput(f"{name} did not come out as it went in", field="kind")
    return before.hexdigest()


def _counted(plain: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for piece in plain:
        digest.update(piece)
        yield piece
