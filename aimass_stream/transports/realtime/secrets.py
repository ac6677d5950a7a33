"""Client secrets: keys that a server hands to its web pages, each with a configuration, for some minutes."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

from ...errors import Unauthorized
from ...ports import Caller
from .session import Configuration

PREFIX = "ek_"
MOST = 1024  # at once; the oldest goes first
SHORTEST, LONGEST, USUAL = 10, 7200, 600  # s


@dataclass(frozen=True, slots=True)
class Secret:
    value: str
    expires_at: float  # s since the epoch
    configuration: Configuration
    caller: Caller  # who asked for it


class Secrets:
    """In memory: none outlives the server."""

    def __init__(self) -> None:
        self._secrets: OrderedDict[str, Secret] = OrderedDict()

    def __len__(self) -> int:
        return len(self._secrets)

    def make(self, configuration: Configuration, caller: Caller, seconds: int = USUAL) -> Secret:
        moment = time.time()
        for value in [each.value for each in self._secrets.values() if each.expires_at <= moment]:
            del self._secrets[value]
        secret = Secret(PREFIX + secrets.token_urlsafe(24), moment + seconds, configuration, caller)
        self._secrets[secret.value] = secret
        while len(self._secrets) > MOST:
            self._secrets.popitem(last=False)
        return secret

    def get(self, value: str) -> Secret:
        """Raises `Unauthorized`. One secret may open several sessions until it expires."""
        secret = self._secrets.get(value)
        if secret is None or secret.expires_at <= time.time():
            raise Unauthorized("this client secret is unknown or has expired")
        return secret
