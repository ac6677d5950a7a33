"""From a folder with a ``model.toml`` to a loaded model.

A model is a folder, named like the model: ``model.toml`` is its card (title, task, licence, sources, what was
measured) and its manifest (engine, files with size and SHA-256, inputs, outputs, capabilities). `engine` is
``module:Class``; the class is called with the entry and the device. Only classes of
`aimass_stream.engines` and those that installed packages name in the entry-point group of the same name are
called: a manifest must not be able to run whatever it likes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from ..errors import InvalidInput, NotFound
from .contract import LONGEST, Capabilities, Model, TensorSpec
from .device import Device

T = TypeVar("T")

MANIFEST = "model.toml"
MANIFEST_BYTES = 256 * 1024
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
VERSION = re.compile(rf"{NAME.pattern}@[1-9][0-9]{{0,8}}")
ENGINES = "aimass_stream.engines"  # the package, and the entry-point group
# "object": whole requests and answers (dataclasses), where a model takes more than tensors
DTYPES = ("float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "object")

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class ModelFile:
    path: str  # inside the model's folder
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class NpmFile:
    """A model's file inside an npm package: it is not in the model's folder and may not be on this machine."""

    package: str
    version: str  # of the package
    path: str  # inside it
    sha256: str
    member: str = ""  # the file's name inside packed assets at `path`


@dataclass(frozen=True, slots=True)
class Entry:
    """A model in a catalogue: its card and manifest, nothing loaded."""

    folder: Path
    name: str
    version: str
    title: str
    task: str  # "image-to-image", "detection"...
    licence: str  # SPDX
    sources: tuple[str, ...]  # what it was made from
    engine: str  # "module:Class"
    files: tuple[ModelFile, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    capabilities: Capabilities = field(default_factory=Capabilities)
    description: str = ""
    card: dict[str, Any] = field(default_factory=dict)  # measured quality and the like, for people
    npm: NpmFile | None = None
    options: dict[str, Any] = field(default_factory=dict)  # how its inputs are made and its outputs read

    def file(self, suffix: str) -> Path:
        """The one file of the model that ends so; raises `InvalidInput`."""
        found = [item.path for item in self.files if item.path.endswith(suffix)]
        if len(found) != 1:
            raise InvalidInput(f"{self.name} must have one {suffix} file, not {len(found)}", field="files")
        return self.folder / found[0]


class ModelStore(Protocol):
    """Where models come from."""

    def entries(self) -> list[Entry]: ...
    def get(self, name: str) -> Entry:
        """Raises `NotFound` naming the models there are."""
        ...

    def open(self, name: str, device: Device) -> Model:
        """Check the files and build the model; takes its time. Raises `NotFound` or `InvalidInput`."""
        ...


class FolderStore:
    """Models in folders; of two with one name, the one in the earlier folder."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(folders)
        # what opening a model is done in: files that are encrypted are plain then
        self.plain: Callable[[Entry], contextlib.AbstractContextManager[Entry]] = contextlib.nullcontext
        self.versions: Path | None = None  # where versions lie, as ``fish@7``: found by name, and in no list
        self._read: dict[Path, tuple[int, Entry]] = {}  # by manifest, with the time it was last changed

    def add(self, *folders: Path) -> None:
        """Look in these folders first."""
        self.folders = (*(folder for folder in folders if folder not in self.folders), *self.folders)

    def names(self) -> list[str]:
        return sorted({manifest.parent.name for folder in self.folders for manifest in folder.glob(f"*/{MANIFEST}")
                       if NAME.fullmatch(manifest.parent.name)})

    def entries(self) -> list[Entry]:
        """Every model whose manifest can be read, by name."""
        found = []
        for name in self.names():
            try:
                found.append(self.get(name))
            except InvalidInput:
                continue  # a broken neighbour; `get` tells what is wrong with it
        return found

    def get(self, name: str) -> Entry:
        plain, version = NAME.fullmatch(name), VERSION.fullmatch(name)
        folders = self.folders if plain else (self.versions,) if version and self.versions is not None else ()
        for folder in folders if ".." not in name else ():
            manifest = folder / name / MANIFEST
            if manifest.is_file():
                return self._entry(manifest)
        raise NotFound(f"there is no model {name[:64]!r}; there are: {', '.join(self.names()) or 'none'}", field="name")

    def open(self, name: str, device: Device) -> Model:
        with self.plain(self.get(name)) as entry:
            for item in entry.files:
                check_file(entry.folder, item)
            return cast(Model, _engine(entry.engine)(entry, device))

    def prepare(self) -> None:
        """Import what the models' engines need: while that is done, all threads wait, for torch longer than a second.

        An engine's module may have a function `prepare` for what it imports when a model is built. What can't be
        imported is told when a model is opened.
        """
        for engine in sorted({entry.engine for entry in self.entries()}):
            with contextlib.suppress(InvalidInput):
                module = sys.modules[_engine(engine).__module__]
                getattr(module, "prepare", _nothing)()

    def _entry(self, manifest: Path) -> Entry:
        changed = manifest.stat().st_mtime_ns
        known = self._read.get(manifest)
        if known is None or known[0] != changed:
            known = self._read[manifest] = (changed, read_manifest(manifest))
        return known[1]


def named(store: ModelStore, model: str) -> list[Entry]:
    """The models of a store, with that one if it is a version, which no list has."""
    found = store.entries()
    if VERSION.fullmatch(model):
        with contextlib.suppress(NotFound):
            found.append(store.get(model))
    return found


def _nothing() -> None:
    """Most engines import all they need themselves."""


@functools.cache
def installed() -> FolderStore:
    """The models of this installation: one store for the process, to which its settings may add folders."""
    bundled = PACKAGE / "_models"  # in a wheel; in a source tree they lie beside the package
    return FolderStore([bundled if bundled.is_dir() else PACKAGE.parent / "models"])


def check_file(folder: Path, item: ModelFile) -> None:
    """Raises `InvalidInput` if the file is missing, outside of the folder, or not the one that was meant."""
    path = (folder / item.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidInput(f"{item.path} lies outside of the model's folder", field="files")
    if not path.is_file():
        raise InvalidInput(f"{item.path} is missing", field="files")
    if path.stat().st_size != item.size:
        raise InvalidInput(f"{item.path} has {path.stat().st_size} bytes instead of {item.size}", field="files")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != item.sha256:
        raise InvalidInput(f"{item.path} is not the file that the manifest means: its SHA-256 differs", field="files")


def check_listed(*paths: Path) -> None:
    """For engines that find their files without a manifest: where one lies beside them, they must be what it means.

    Files that it does not list, and those without a manifest, are their owner's business. Reads them as a whole:
    call it in a thread. Raises `InvalidInput`.
    """
    for path in paths:
        manifest = path.parent / MANIFEST
        if manifest.is_file():
            for item in read_manifest(manifest).files:
                if item.path == path.name:
                    check_file(path.parent, item)


def read_manifest(manifest: Path) -> Entry:
    """Raises `InvalidInput` naming the field."""
    if manifest.stat().st_size > MANIFEST_BYTES:
        raise InvalidInput(f"{manifest.name} is larger than {MANIFEST_BYTES} bytes")
    try:
        table = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{manifest.name} is not TOML: {error}") from None
    name = _get(table, "name", str)
    if name != manifest.parent.name:
        raise InvalidInput(f"the model is named {name!r} but its folder {manifest.parent.name!r}", field="name")
    return Entry(
        folder=manifest.parent, name=name, version=_get(table, "version", str), title=_get(table, "title", str),
        task=_get(table, "task", str), licence=_get(table, "licence", str), engine=_get(table, "engine", str),
        sources=tuple(str(source) for source in _get(table, "sources", list)),
        files=tuple(_file(item, f"files[{index}]") for index, item in enumerate(_get(table, "files", list))),
        inputs=_tensors(table, "inputs"), outputs=_tensors(table, "outputs"),
        capabilities=_capabilities(_get(table, "capabilities", dict, {})),
        description=_get(table, "description", str, ""), card=_get(table, "card", dict, {}),
        npm=_npm(_get(table, "npm", dict, {})), options=_get(table, "options", dict, {}))


def _get(table: dict[str, Any], key: str, kind: type[T], default: T | None = None, path: str = "") -> T:
    value = table.get(key, default)
    if not isinstance(value, kind):
        what = "is missing" if value is None else f"must be a {kind.__name__}"
        raise InvalidInput(f"{path}{key} {what}", field=f"{path}{key}")
    return value


def _file(item: object, path: str) -> ModelFile:
    if not isinstance(item, dict):
        raise InvalidInput(f"{path} must be a table", field=path)
    return ModelFile(_get(item, "path", str, path=f"{path}."), _get(item, "size", int, path=f"{path}."),
                     _get(item, "sha256", str, path=f"{path}."))


def _npm(table: dict[str, Any]) -> NpmFile | None:
    if not table:
        return None
    package, version, path, sha256 = (_get(table, key, str, path="npm.") for key in (
        "package", "version", "path", "sha256"))
    return NpmFile(package, version, path, sha256, _get(table, "member", str, "", "npm."))


def _capabilities(table: dict[str, Any]) -> Capabilities:
    path = "capabilities."
    can = Capabilities(
        batchable=_get(table, "batchable", bool, False, path), max_batch=_get(table, "max_batch", int, 1, path),
        fixed_shapes=_get(table, "fixed_shapes", bool, False, path), slots=_get(table, "slots", int, 0, path),
        light=_get(table, "light", bool, False, path),
        longest=_seconds(table, "longest", LONGEST, path))
    if can.max_batch < 1 or can.slots < 0 or not can.longest > 0:
        raise InvalidInput("max_batch is at least 1, slots at least 0, and longest more than 0", field="capabilities")
    return can


def _seconds(table: dict[str, Any], key: str, default: float, path: str) -> float:
    value = table.get(key, default)
    return float(value) if type(value) is int else _get(table, key, float, default, path)


def _tensors(table: dict[str, Any], key: str) -> tuple[TensorSpec, ...]:
    """Free axes are written as names, which say what they are: ``shape = ["n", 3, "height", "width"]``."""
    specs = []
    for index, item in enumerate(_get(table, key, list)):
        path = f"{key}[{index}]"
        if not isinstance(item, dict):
            raise InvalidInput(f"{path} must be a table", field=path)
        shape = _get(item, "shape", list, path=f"{path}.")
        dtype = _get(item, "dtype", str, "float32", path=f"{path}.")
        if dtype not in DTYPES:
            raise InvalidInput(f"{path}.dtype must be one of {', '.join(DTYPES)}", field=f"{path}.dtype")
        example = _get(item, "example", list, [], path=f"{path}.")
        if example and (len(example) != len(shape) or not all(type(axis) is int and axis > 0 for axis in example)):
            raise InvalidInput(f"{path}.example must be a shape as long as {path}.shape", field=f"{path}.example")
        specs.append(TensorSpec(
            name=_get(item, "name", str, path=f"{path}."),
            shape=tuple(axis if isinstance(axis, int) else None for axis in shape),
            dtype=dtype,
            unit=_get(item, "unit", str, "", path=f"{path}."),
            example=tuple(example) or None))
    return tuple(specs)


def _engine(reference: str) -> Any:
    """The class that ``module:Class`` names, if it may be used."""
    module, _, name = reference.partition(":")
    allowed = module.startswith(f"{ENGINES}.") or reference in {point.value for point in _points(ENGINES)}
    if not allowed or not name.isidentifier():
        raise InvalidInput(f"{reference!r} is no engine of this installation", field="engine")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"the engine {reference!r} can't be loaded: {error}", field="engine") from error


def _points(group: str) -> Sequence[Any]:
    return tuple(entry_points(group=group))
