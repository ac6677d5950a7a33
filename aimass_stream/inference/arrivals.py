"""Models that come and go while the server runs: somebody trains one, copies a folder, or takes one away.

Manifests are looked at every two seconds: that costs a millisecond in a thread, works on every file system, and needs
no library. A model's folder gets its name when it is whole, so what has a manifest can be used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .loader import MANIFEST, FolderStore

log = logging.getLogger(__name__)

EVERY = 2.0  # s

Version: TypeAlias = tuple[Path, int]  # the manifest that counts, and when it was last changed (ns)


@dataclass(frozen=True, slots=True)
class Change:
    """Names."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def versions(store: FolderStore) -> dict[str, Version]:
    """By name. Looks at files."""
    found: dict[str, Version] = {}
    for folder in reversed(store.folders):  # of two with one name, the one in the earlier folder
        for manifest in folder.glob(f"[a-z0-9]*/{MANIFEST}"):
            try:
                found[manifest.parent.name] = manifest, manifest.stat().st_mtime_ns
            except OSError:
                continue  # it was taken away meanwhile
    return found


async def watch(store: FolderStore, before: dict[str, Version], told: Callable[[Change], Awaitable[None]],
                every: float = EVERY) -> None:
    """Tell of every change since `before`, which are the `versions` that somebody saw. Runs until it is cancelled."""
    while True:
        await asyncio.sleep(every)
        seen = await asyncio.to_thread(versions, store)
        if seen != before:
            change = Change(tuple(sorted(seen.keys() - before.keys())),
                            tuple(sorted(name for name in seen.keys() & before.keys() if seen[name] != before[name])),
                            tuple(sorted(before.keys() - seen.keys())))
            before = seen
            log.info("models: %s", "; ".join(f"{what} {', '.join(names)}" for what, names in (
                ("new", change.added), ("changed", change.changed), ("gone", change.removed)) if names))
            await told(change)
