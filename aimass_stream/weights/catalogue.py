"""Which weights there are: `models/catalogue.toml`."""

from __future__ import annotations

import functools
import importlib.util
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InvalidInput, NotFound
from ..settings import Settings

PACKAGE = Path(__file__).resolve().parents[1]


EXTRAS = {"torch": "torch", "torchaudio": "torch", "piper": "piper"}  # of this package, by the module that they bring


@dataclass(frozen=True, slots=True)
class WeightFile:
    path: str  # in the model's folder
    source: str  # in the repository, or behind `base`
    size: int | None = None  # bytes
    sha256: str | None = None
    begins: str = ""  # the first digits of the SHA-256, where no more of it was published
    git: str | None = None  # git's SHA-1 of the blob, which hubs tell for small files

    def json(self) -> dict[str, Any]:
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Weights:
    """One entry of the catalogue."""

    name: str
    title: str
    purpose: Literal["hearing", "voice", "training"]
    engine: str
    licence: str
    description: str
    languages: tuple[str, ...]
    files: tuple[WeightFile, ...]
    repository: str = ""
    revision: str = ""
    base: str = ""  # URL of a folder, for what lies on no hub
    default: bool = False
    needs: str = ""  # a module without which it is of no use

    @property
    def usable(self) -> bool:
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    @property
    def how(self) -> str:
        """What to do where it is not usable."""
        return f"pip install 'aimass-stream[{EXTRAS.get(self.needs, self.needs)}]'"

    @property
    def size(self) -> int | None:
        """Bytes, as far as the catalogue knows them all."""
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if len(sizes) == len(self.files) else None

    @property
    def source(self) -> str:
        return f"{self.repository} at {self.revision}" if self.repository else self.base


@functools.cache
def catalogue() -> dict[str, Weights]:
    """What can be pulled, by name."""
    bundled = PACKAGE / "_models"  # in a wheel; in a source tree it lies beside the package
    folder = bundled if bundled.is_dir() else PACKAGE.parent / "models"
    table = tomllib.loads((folder / "catalogue.toml").read_text(encoding="utf-8"))
    return {entry["name"]: _weights(entry) for entry in table["weights"]}


def _weights(entry: dict[str, Any]) -> Weights:
    files = tuple(WeightFile(item["path"], item.get("from") or item.get("url") or item["path"], item.get("size"),
                             item.get("sha256"), item.get("begins", "")) for item in entry["files"])
    return Weights(
        name=entry["name"], title=entry["title"], purpose=entry["for"], engine=entry["engine"],
        licence=entry["licence"], description=entry["description"], languages=tuple(entry["languages"]), files=files,
        repository=entry.get("repository", ""), revision=entry.get("revision", ""), base=entry.get("base", ""),
        default=entry.get("default", False), needs=entry.get("needs", ""))


def get(name: str) -> Weights:
    """Raises `NotFound` naming what there is."""
    found = catalogue().get(name)
    if found is None:
        raise NotFound(f"there are no weights {name[:64]!r}; there are: {', '.join(catalogue())}", field="name")
    return found


def folder_of(settings: Settings) -> Path:
    return settings.data_dir / "models"


def checked(name: str) -> Weights:
    """The entry, if it can be of use here. Raises `NotFound` or `InvalidInput`."""
    found = get(name)
    if not found.usable:
        raise InvalidInput(f"{name} needs {found.needs}, which is not installed here: {found.how}", field="name")
    return found
