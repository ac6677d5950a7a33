"""What a tree of processes has used, those that have ended included."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

import psutil

EVERY = 0.5  # s between two looks: what a process used after the last one before its end is not seen


@dataclass
class _Seen:
    parent: int
    own: float = 0.0  # s
    buried: float = 0.0  # s of children that it has waited for, and of theirs
    there: bool = True


class Tree:
    """The processes below `root` and itself.

    A parent's count of its children's time holds what it has waited for, and nothing where it has the kernel bury
    them (SIGCHLD ignored). So each process is looked at as long as it lives, and for those that are gone the larger
    of both counts.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._seen: dict[int, _Seen] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watching: threading.Thread | None = None

    def watch(self) -> None:
        """Look again and again until `close`."""
        self._watching = threading.Thread(target=self._watch, name="processes", daemon=True)
        self._watching.start()

    def close(self) -> None:
        self._over.set()
        if self._watching is not None:
            self._watching.join()

    def look(self) -> list[psutil.Process]:
        """Those that are there now."""
        with self._lock:
            there = []
            for seen in self._seen.values():
                seen.there = False
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(self._root)
                there = [root, *root.children(recursive=True)]
            for process in there:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    self._seen[process.pid] = _Seen(process.ppid(), times.user + times.system,
                                                    times.children_user + times.children_system)
            return there

    @property
    def cpu(self) -> float:
        """s up to the last look."""
        with self._lock:
            return self._total(self._root) if self._root in self._seen else 0.0

    def _total(self, pid: int) -> float:
        one = self._seen[pid]
        children = [(child, self._total(child)) for child, seen in self._seen.items() if seen.parent == pid]
        gone = sum(total for child, total in children if not self._seen[child].there)
        there = sum(total for child, total in children if self._seen[child].there)
        return one.own + there + max(gone, one.buried)

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self.look()
