"""CTranslate2's folders: ``model.bin``, whose table of variables has to fit its size, and a ``config.json``.

The binary is read as CTranslate2's own `specs.model_spec` writes it, from its version 4 on.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import InvalidInput
from .kinds import Found, Graph, Tensor

MODEL, CONFIG = "model.bin", "config.json"
OLDEST, NEWEST = 4, 16  # of the binary
MOST_VARIABLES = 100_000
KINDS = (("float32", 4), ("int8", 1), ("int16", 2), ("int32", 4), ("float16", 2), ("bfloat16", 2))
FLOATS = {"float32": "<f4", "float16": "<f2"}
ENGINES = {"WhisperSpec": ("aimass_stream.engines.faster_whisper:FasterWhisper", "speech-recognition")}
CONFIG_BYTES = 1 << 20


def check(path: Path) -> Found:
    """`path` is that of the binary. Raises `InvalidInput` that says what is wrong."""
    config = _config(path.with_name(CONFIG))
    with path.open("rb") as file:
        try:
            version = _number(file, "I")
            if not OLDEST <= version <= NEWEST:
                raise _wrong(path, "is no model of CTranslate2, or of a version that is not known")
            name, revision, count = _word(file), _number(file, "I"), _number(file, "I")
            if count > MOST_VARIABLES:
                raise _wrong(path, f"claims {count} variables")
            tensors = [_variable(file, path) for _ in range(count)]
        except (struct.error, UnicodeDecodeError, OSError):
            raise _wrong(path, "is cut off, or no model of CTranslate2") from None
    if name not in ENGINES:
        raise InvalidInput(f"it is CTranslate2's {name[:60]}; of these, Whisper is what runs here", field="files")
    engine, task = ENGINES[name]
    facts = {"spec": name, "revision": revision, "parameters": sum(math.prod(each.shape) for each in tensors),
             "languages": len(config.get("lang_ids", [])) or 1}
    return Found("ctranslate2", engine, Graph(tuple(tensors)), facts, task=task)


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= CONFIG_BYTES else None
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(f"a folder of CTranslate2 has a {CONFIG} beside {MODEL}", field="files")
    return found


def _variable(file: IO[bytes], path: Path) -> Tensor:
    name = _word(file)
    shape = tuple(_number(file, "I") for _ in range(_number(file, "B")))
    kind, size = _number(file, "B"), _number(file, "I")
    if kind >= len(KINDS) or size != math.prod(shape) * KINDS[kind][1]:
        raise _wrong(path, f"is broken at the variable {name[:64]}")
    begin = file.tell()
    file.seek(size, 1)
    if file.tell() > path.stat().st_size:
        raise _wrong(path, f"is cut off within the variable {name[:64]}")
    dtype = KINDS[kind][0]
    if size and dtype in FLOATS:
        kept = np.dtype(FLOATS[dtype])
        if not np.isfinite(np.memmap(path, kept, "r", begin, (size // kept.itemsize,))).all():
            raise _wrong(path, f"has values that are no finite numbers: {name[:64]}")
    return Tensor(name[:200], dtype, shape, size)


def _number(file: IO[bytes], kind: str) -> int:
    size = struct.calcsize(f"<{kind}")
    return int(struct.unpack(f"<{kind}", file.read(size))[0])


def _word(file: IO[bytes]) -> str:
    return file.read(_number(file, "H")).rstrip(b"\x00").decode()


def _wrong(path: Path, what: str) -> InvalidInput:
    return InvalidInput(f"{path.name} {what}", field="files")
