"""Another key for what is encrypted at rest: each version's files are sealed anew, one version after the other.

A version changes in one transaction, when its new files are on the disk. So each has the old key or the new one at any
moment, and a server that has both opens all; who is stopped half-way goes on with those that are left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ..errors import AimassError, InvalidInput
from ..ports import Auditor, Caller
from ..store import Blobs, Database
from ..store.sealed import Keys, key_id
from .catalogue import Catalogue
from .conversions.sealing import anew
from .records import File, Version

State: TypeAlias = Literal["rekeyed", "current", "left"]


@dataclass(frozen=True, slots=True)
class Outcome:
    version: str  # "fish@7"
    state: State  # "left": it has the key that it had
    reason: str = ""


class Rekeying:
    def __init__(self, database: Database, blobs: Blobs, keys: Keys, auditor: Auditor, caller: Caller) -> None:
        """`keys`: the first is the one that all get."""
        self._catalogue, self._blobs, self._keys, self._auditor, self._caller = (
            Catalogue(database), blobs, keys, auditor, caller)

    async def run(self) -> AsyncIterator[tuple[Outcome, int]]:
        """What became of each encrypted version, with how many there are. Raises `Unavailable` without a key."""
        key = key_id(self._keys.current()).hex()
        versions = await self._catalogue.sealed()
        for version in versions:
            before = version.sealed["key"]
            if before == key:
                yield Outcome(version.served, "current"), len(versions)
                continue
            try:
                files = [await self._anew(version, file) for file in version.files]
                kept = await self._catalogue.reseal(version, files, key)
            except AimassError as error:
                yield Outcome(version.served, "left", error.detail), len(versions)
                continue
            if kept:
                await self._auditor.write(self._caller, "model.version.rekeyed", version.served, before=before, key=key)
                yield Outcome(version.served, "rekeyed"), len(versions)
            else:
                yield Outcome(version.served, "left", "it was deleted or changed meanwhile"), len(versions)

    async def _anew(self, version: Version, file: File) -> File:
        """The new file, on the disk; nothing names it yet. One that nobody comes to name is swept away in a day."""
        plain = (version.sealed.get("files") or {}).get(file.path)
        name = f"{version.served}'s {file.path}"
        if plain is None:  # not encrypted
            return file
        async with self._blobs.local(file.sha256) as path, self._blobs.scratch() as place:
            digest = await asyncio.to_thread(anew, path, place, self._keys, name)
            if digest != plain["sha256"]:
                raise InvalidInput(f"{name} is not what was encrypted", field="files")
            blob = await self._blobs.adopt(place)
        return replace(file, sha256=blob.sha256, size=blob.size)
