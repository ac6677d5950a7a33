"""Connect tokens: what a page's script may have to open one session, once, within a minute. In memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ..errors import Unauthorized
from ..ports import Caller
from .secret import CONNECT, hash_of, made

LONGEST = 60  # s
MOST = 4096  # at once; the oldest goes first


class ConnectTokens:
    """`clock` is one that nobody can set."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tokens)

    def make(self, caller: Caller, seconds: float) -> str:
        while self._tokens and (len(self._tokens) >= MOST
                                or next(iter(self._tokens.values()))[1] + LONGEST <= self._clock()):
            self._tokens.popitem(last=False)
        token = made(CONNECT)
        self._tokens[hash_of(token)] = caller, self._clock() + min(seconds, LONGEST)
        return token

    def take(self, token: str) -> Caller:
        """Who asked for it. It is no longer good afterwards. Raises `Unauthorized`."""
        try:
            return self.look(token)
        finally:
            self._tokens.pop(hash_of(token), None)

    def look(self, token: str) -> Caller:
        """Who asked for it, and it stays good. Raises `Unauthorized`."""
        caller, end = self._tokens.get(hash_of(token), (None, 0.0))
        if caller is None or end <= self._clock():
            raise Unauthorized("this connect token was used, has expired, or was never made here")
        return caller
