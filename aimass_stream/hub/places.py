"""Versions as folders, which the inference engine reads as it reads those that are built in: ``models/fish@7``.

Their files are names of blobs, so a folder costs no room. One appears when it is whole.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from ..errors import NotFound
from ..inference import Entry
from ..inference.loader import MANIFEST, read_manifest
from ..store import Blobs
from ..store.sealed import sealed_by
from .importing import link
from .manifests import toml
from .records import Version


class Places:
    def __init__(self, blobs: Blobs, folder: Path) -> None:
        self._blobs, self.folder = blobs, folder
        self._lock = asyncio.Lock()

    async def lay_out(self, version: Version) -> Entry:
        """The version's folder, made if it is not there."""
        place = self.folder / version.served
        async with self._lock:
            if not await asyncio.to_thread(_stands, place, version):
                async with AsyncExitStack() as stack:
                    files = [(file.path, await stack.enter_async_context(self._blobs.local(file.sha256)))
                             for file in version.files]
                    await asyncio.to_thread(_made, place, files, _manifest(version))
        return await asyncio.to_thread(read_manifest, place / MANIFEST)

    def take_away(self, served: str) -> None:
        shutil.rmtree(self.folder / served, ignore_errors=True)

    def there(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*@*")) if self.folder.is_dir() else []


def _stands(place: Path, version: Version) -> bool:
    """False also where its files have got another key since."""
    try:
        return (place / MANIFEST).is_file() and all(
            sealed_by(place / path) == version.sealed["key"] for path in version.sealed.get("files") or ())
    except FileNotFoundError:
        return False


def _manifest(version: Version) -> str:
    """Of an encrypted version, which has none among its files."""
    if not version.sealed:
        return ""
    told = {key: value for key, value in version.manifest.items() if key != "example"}
    return toml(told | {"name": version.served, "version": str(version.number)})


def _made(place: Path, files: list[tuple[str, Path]], manifest: str = "") -> None:
    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, source in files:
        link(source, part / name)
    if manifest:
        (part / MANIFEST).write_text(manifest, encoding="utf-8")
    if not (part / MANIFEST).is_file():
        raise NotFound(f"{place.name} has no {MANIFEST}", field="version")
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
