"""A fixed number of places for state in a stateful model, lent to streams."""

from __future__ import annotations

from ..errors import Busy


class Slots:
    """Whose slot is which, and which ones still hold what an earlier holder left behind."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(reversed(range(count)))
        self._held: dict[str, int] = {}
        self._stale: set[int] = set()

    def acquire(self, holder: str) -> int:
        """The holder's slot; a new holder gets a free one. Raises `Busy` when all are taken."""
        if holder not in self._held:
            if not self._free:
                raise Busy(f"all {self.count} states of this model are in use")
            slot = self._held[holder] = self._free.pop()
            self._stale.add(slot)
        return self._held[holder]

    def release(self, holder: str) -> int | None:
        """Give the holder's slot back, if it has one."""
        slot = self._held.pop(holder, None)
        if slot is not None:
            self._free.append(slot)
        return slot

    def freshen(self, slot: int) -> bool:
        """True once after each new holder: the state has to be reset before it is used."""
        if slot not in self._stale:
            return False
        self._stale.remove(slot)
        return True

    def held(self) -> dict[str, int]:
        return dict(self._held)
