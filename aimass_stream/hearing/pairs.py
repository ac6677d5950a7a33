"""Pairs of decoders that decode commands: so many for each core, shared by all ears and apart from recognisers.

An utterance has a pair for itself while it is decoded. Afterwards the pair stays open, for opening one takes 0.4 s of
work. Its 0.1 GB are given back when another ear needs the place, or when nobody needed it for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from ..errors import Busy
from ..inference import Engine
from ..speech.words import Waveform
from .sphinx import Pool, decoders

Path: TypeAlias = Sequence[Sequence[Any]]  # text, first and last frame, score, phones; pauses too

MOST_WAITING = 4  # utterances that wait for their turn; yet another is decided by its text alone
KEPT = 300.0  # s that a pair stays open and idle; one of each ear stays as long as there is room


class Owner(Protocol):
    """What a pair hears for: an ear."""

    async def tune(self, grammatical: Any, free: Any) -> None:
        """Tell the two decoders of a new pair what to listen for."""
        ...


class Pair:
    """Two decoders that hear the same: for the grammar, and for free speech."""

    def __init__(self, owner: Owner, *streams: Any) -> None:
        self.owner = owner
        self.since = 0.0  # s; idle since then
        self._streams = streams

    @property
    def failed(self) -> bool:
        return any(stream.failed for stream in self._streams)

    async def begin(self) -> None:
        await asyncio.gather(*(stream.begin() for stream in self._streams))

    async def feed(self, sound: Waveform) -> None:
        await asyncio.gather(*(stream.feed(sound) for stream in self._streams))

    async def paths(self) -> tuple[Path, Path]:
        commanded, free = await asyncio.gather(*(stream.path() for stream in self._streams))
        return commanded, free

    def close(self) -> None:
        for stream in self._streams:
            stream.drop()


class Pairs:
    """All pairs of this server; shared by the name "command pairs" (`Engine.share`)."""

    def __init__(self, pool: Pool, kept: float = KEPT) -> None:
        self._pool = pool
        self._kept = kept
        self._turns = asyncio.Semaphore(pool.pairs)
        self._idle: list[Pair] = []  # the longest idle first
        self._opened = 0  # pairs that are open, or being opened
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @classmethod
    async def open(cls, engine: Engine) -> Pairs:
        """Raises `Unavailable` when PocketSphinx is not here."""
        async def make() -> Pairs:
            return cls(await decoders(engine))

        return await engine.share("command pairs", make)

    async def take(self, owner: Owner) -> Pair:
        """A pair of this owner's, when there is a turn. Raises `ModelFailed`, and `Busy` when enough wait already."""
        await self._turn()
        try:
            mine = next((pair for pair in reversed(self._idle) if pair.owner is owner), None)
            if mine is not None:
                self._idle.remove(mine)
                return mine
            if self._opened >= self._pool.pairs:
                self._close(self._idle.pop(0))  # whoever has a turn finds that many at most in use
            return await self._open(owner)
        except BaseException:
            self._turns.release()
            raise

    def give(self, pair: Pair) -> None:
        """Back. One that was left in the middle of a call is closed."""
        if pair.failed or self._closed:
            self._close(pair)
        else:
            pair.since = asyncio.get_running_loop().time()
            self._idle.append(pair)
            self._tidy()
        self._turns.release()

    def forget(self, owner: Owner) -> None:
        """Close what this owner has idle."""
        self._close_all([pair for pair in self._idle if pair.owner is owner])

    async def close(self) -> None:
        """The engine closes it, since it is shared."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._close_all(list(self._idle))

    async def _turn(self) -> None:
        if self._turns.locked() and self._waiting >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} utterances wait already to be heard as commands", retry_after=1)
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1

    async def _open(self, owner: Owner) -> Pair:
        streams: list[Any] = []
        self._opened += 1
        try:
            for _ in range(2):
                streams.append(await self._pool.stream(command=True))
            await owner.tune(*streams)
        except BaseException:
            self._close(Pair(owner, *streams))
            raise
        return Pair(owner, *streams)

    def _close(self, pair: Pair) -> None:
        self._opened -= 1
        pair.close()

    def _close_all(self, pairs: list[Pair]) -> None:
        for pair in pairs:
            self._idle.remove(pair)
            self._close(pair)

    def _tidy(self) -> None:
        """Close what nobody needed for long, now and when it is time again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        last = {pair.owner: pair for pair in self._idle}
        spare = [pair for pair in self._idle if last[pair.owner] is not pair]
        self._close_all([pair for pair in spare if pair.since + self._kept <= loop.time()])
        rest = [pair for pair in spare if pair in self._idle]
        if rest:
            self._timer = loop.call_at(rest[0].since + self._kept, self._tidy)
