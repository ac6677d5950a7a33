"""Pickles: what a file would call if somebody loaded it. Nothing here loads one.

Only what `torch.save` makes of tensors by name is read (`state`), as torch's own `weights_only` does it: by an
unpickler that knows tensors, containers and numbers, and nothing that acts. Everything else is code.
"""

from __future__ import annotations

import collections
import math
import pickle
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from ...errors import InvalidInput, TooLarge
from .kinds import Tensor

PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MOST_OPCODES = 2_000_000
MOST_PICKLE = 64 << 20  # bytes of the part of a torch file that is not numbers
DATA = "data.pkl"
# what has been used to run things: named first where a pickle is told about
ACTS = ("os", "posix", "nt", "subprocess", "sys", "builtins", "__builtin__", "socket", "shutil", "runpy", "importlib",
        "pty", "ctypes", "webbrowser", "asyncio", "code", "pickle", "torch.hub", "numpy.testing", "requests")
HARMLESS = {"set", "frozenset", "dict", "list", "tuple", "bytearray", "bytes", "int", "float", "complex", "str", "bool",
            "slice", "range", "object"}
STORAGES = {"FloatStorage": ("F32", "<f4"), "DoubleStorage": ("F64", "<f8"), "HalfStorage": ("F16", "<f2"),
            "BFloat16Storage": ("BF16", "<u2"), "LongStorage": ("I64", "<i8"), "IntStorage": ("I32", "<i4"),
            "ShortStorage": ("I16", "<i2"), "CharStorage": ("I8", "i1"), "ByteStorage": ("U8", "u1"),
            "BoolStorage": ("BOOL", "u1")}
KEYS = ("state_dict", "model_state_dict", "model", "params_ema", "params", "net", "weights")


class Code(Exception):
    """The file would have something called that is not a tensor's making."""


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor as it lies in a storage; strides and offset in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def calls(file: IO[bytes]) -> list[str]:
    """What a pickle names, as "module.name", what acts first. Raises `InvalidInput` for one that can't be read."""
    named: set[str] = set()
    words: collections.deque[str] = collections.deque(maxlen=2)  # the last ones that were put on the stack
    memo: dict[int, str] = {}
    try:
        for count, (code, given, _) in enumerate(pickletools.genops(file)):
            if count > MOST_OPCODES:
                raise TooLarge(f"the pickle has more than {MOST_OPCODES} steps", field="files")
            if code.name in ("GLOBAL", "INST"):
                named.add(str(given).replace(" ", "."))
            elif code.name == "STACK_GLOBAL":
                named.add(".".join(words) if len(words) == 2 else "something that is computed")
            elif "UNICODE" in code.name or code.name in ("STRING", "BINSTRING", "SHORT_BINSTRING"):
                words.append(str(given))
            elif code.name == "MEMOIZE" and words:
                memo[len(memo)] = words[-1]
            elif code.name in ("BINPUT", "LONG_BINPUT", "PUT") and words:
                memo[int(str(given))] = words[-1]
            elif code.name in ("BINGET", "LONG_BINGET", "GET"):
                words.append(memo.get(int(str(given)), "?"))
    except (ValueError, EOFError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the pickle is broken: {str(error)[:100]}", field="files") from None
    return sorted(named, key=lambda name: (not acts(name), name))


def acts(name: str) -> bool:
    if name.rpartition(".")[0] in ("builtins", "__builtin__") and name.rpartition(".")[2] in HARMLESS:
        return False
    return any(name == module or name.startswith(f"{module}.") for module in ACTS)


def torch_kind(path: Path) -> str:
    """"torchscript", "pt2", "state" for what may be tensors alone, or "" for another kind of zip file."""
    with zipfile.ZipFile(path) as opened:
        names = {name.partition("/")[2] or name for name in opened.namelist()}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        return "torchscript"
    if {"archive_format", "serialized_exported_program.json"} & names or any(
            name.startswith(("models/", "data/aotinductor/")) for name in names):
        return "pt2"
    return "state" if DATA in names else ""


def state(path: Path, most: int) -> list[tuple[Tensor, Any]]:
    """The tensors of a file by `torch.save`, each with its numbers as an array.

    Raises `Code` for what is more than tensors, and `InvalidInput` for what is broken or has none.
    """
    with zipfile.ZipFile(path) as opened:
        places = {info.filename.partition("/")[2]: info for info in opened.infolist()}
        place = places[DATA]
        if place.file_size > MOST_PICKLE:
            raise InvalidInput(f"{path.name}: its pickle has {place.file_size} bytes; {MOST_PICKLE} are the most",
                               field="files")
        with opened.open(place) as file:
            found = _named(_unpickled(file, path.name), path.name)
        order = opened.read(places["byteorder"]) if "byteorder" in places else b"little"
        if order != b"little":
            raise InvalidInput(f"{path.name} was saved on a machine of another byte order", field="files")
        taken: list[tuple[Tensor, Any]] = []
        for name, stored in found.items():
            tensor, values = _values(name, stored, opened, places, path)
            most -= tensor.bytes
            if most < 0:
                raise TooLarge(f"{path.name} has larger tensors than it may", field="files")
            taken.append((tensor, values))
    return taken


def _unpickled(file: IO[bytes], name: str) -> Any:
    try:
        return _Unpickler(file).load()
    except (Code, InvalidInput):
        raise
    except Exception as error:  # a broken pickle raises whatever its steps lead to
        raise InvalidInput(f"{name} can't be read: {type(error).__name__}: {str(error)[:100]}", field="files") from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if (module, name) == ("torch", "Size"):
            return tuple
        if module == "torch" and name in STORAGES:
            return name
        raise Code(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in STORAGES or type(count) is not int:
            raise InvalidInput("the file names storages that are none of torch's", field="files")
        return _Storage(storage, str(key), count)


def _rebuilt(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Stored:
    return _Stored(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: _Stored, *_: Any) -> _Stored:
    return tensor


def _named(found: Any, name: str) -> dict[str, _Stored]:
    """Tensors by name: the whole, or the part of a checkpoint that has them."""
    for key in ("", *KEYS):
        part = found.get(key) if key and isinstance(found, dict) else found
        if isinstance(part, dict):
            tensors = {str(key)[:200]: value for key, value in part.items() if isinstance(value, _Stored)}
            if tensors and len(tensors) == len(part):
                return tensors
    raise InvalidInput(f"{name} has no tensors by name: save model.state_dict()", field="files")


def _values(name: str, stored: _Stored, opened: zipfile.ZipFile, places: dict[str, zipfile.ZipInfo], path: Path
            ) -> tuple[Tensor, Any]:
    kind, dtype = STORAGES[stored.storage.kind]
    size = np.dtype(dtype).itemsize
    place = places.get(f"data/{stored.storage.key}")
    reach = stored.offset + sum((axis - 1) * step for axis, step in zip(stored.shape, stored.strides, strict=True))
    count = math.prod(stored.shape)
    sane = (place is not None and stored.offset >= 0 and all(axis >= 0 for axis in stored.shape)
            and all(step >= 0 for step in stored.strides) and (count == 0 or reach < stored.storage.count))
    if not sane or place is None or place.file_size != stored.storage.count * size:
        _broken(name)
    if place.compress_type != zipfile.ZIP_STORED or count * size > 4 * max(place.file_size, 1 << 20):
        _broken(name)
    numbers = np.frombuffer(opened.read(place), dtype)
    steps = tuple(step * size for step in stored.strides)
    values = np.lib.stride_tricks.as_strided(numbers[stored.offset :], stored.shape, steps, writeable=False)
    if kind in ("F16", "F32", "F64") and not np.isfinite(values).all():
        raise InvalidInput(f"the tensor {name[:64]} has values that are no finite numbers", field="files")
    return Tensor(name, kind, stored.shape, count * size), np.ascontiguousarray(values)


def _broken(name: str) -> NoReturn:
    raise InvalidInput(f"the tensor {name[:64]} is broken: its numbers are not where it says", field="files")


def told(named: list[str]) -> str:
    """For people: what a pickle would call."""
    first = ", ".join(each[:60] for each in named[:5]) or "nothing that can be seen"
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    which = "which acts" if len(named) == 1 else "of which some act"
    warning = f", {which} on the machine" if any(map(acts, named)) else ""
    return f"it is a pickle that calls {first}{more}{warning}"

