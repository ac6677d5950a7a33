"""Requests for inference that are answered where their last byte comes in: without a task, and without ASGI.

That can be done for what is short, of a model whose runs are so short that they are made on the event loop, and whose
caller is known and counted in memory. Everything else takes the usual way, which is told what has been done already:
who asks is let in, and counted, once, and a name that may lead to several versions is looked up once. No error is
written here: what is refused, or fails, takes the usual way, too, and is refused there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..accounts import Accounts
from ..accounts.secret import CONNECT
from ..errors import AimassError
from ..ports import Caller
from ..settings import Settings
from . import predict
from .deps import ADMITTED
from .headers import text_of
from .oip.bodies import HEADER, JSON_HERE, Body, head_of
from .oip.infer import Infer
from .oip.offered import SERVED
from .shortcut import FORM, MODELS, PREDICT, params_of

log = logging.getLogger(__name__)

# what these headers say is heeded here, or means nothing to any server; with others a request takes the usual way
KNOWN = frozenset((b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control", b"connection",
                   b"content-length", b"content-type", b"host", b"pragma", b"user-agent", HEADER))
CONTROL = frozenset(map(chr, (*range(32), 127)))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request is, by its first line and its headers."""

    name: str
    version: str
    short: bool  # /predict
    authorization: str | None
    length: int
    header: int | None  # bytes of JSON before binary data


class Direct:
    def __init__(self, infer: Infer, settings: Settings, accounts: Accounts) -> None:
        self._infer, self._accounts = infer, accounts
        self._allows_host = lru_cache(64)(settings.allows_host)

    def plan(self, target: bytes, given: list[tuple[bytes, bytes]]) -> Plan | None:
        """Of a POST; None where it takes the usual way. It follows from what is given and nothing else."""
        if not target.startswith((b"/predict/", b"/v2/models/")) or not target.isascii() or any(
                mark in target for mark in (b"%", b"?", b"#")):
            return None
        headers = dict(given)
        if len(headers) != len(given) or not headers.keys() <= KNOWN:
            return None
        length, header = headers.get(b"content-length", b""), headers.get(HEADER)
        authorization, path = text_of(headers, b"authorization"), target.decode("ascii")
        if (not length.isdigit() or len(length) > 8 or int(length) > JSON_HERE
                or (header is not None and (not header.isdigit() or len(header) > 8 or int(header) > int(length)))
                or (authorization or "").partition(" ")[2].strip().startswith(CONNECT)
                or not self._allows_host(text_of(headers, b"host"))):
            return None
        size = None if header is None else int(header)
        if path.startswith(MODELS):
            params = params_of(path)
            return None if params is None else Plan(params["name"], params.get("version", ""), False, authorization,
                                                    int(length), size)
        name = path[len(PREDICT):]
        if not name or "/" in name or headers.get(b"content-type", b"").lower().startswith(FORM):
            return None
        return Plan(name, "", True, authorization, int(length), size)

    def answer(self, plan: Plan, address: str, body: bytes, done: dict[str, Any]) -> tuple[bytes, bytes] | None:
        """The lines of headers that are the answer's own, and its body. None where it takes the usual way, with `done`
        in its scope."""
        try:
            caller = self._admitted(plan, address, done)
            if caller is None:
                return None
            caller.need("media")
            begun = time.perf_counter()
            offered = self._infer.offered
            done[SERVED] = served = offered.catalogue.resolve(plan.name, plan.version, caller=caller)
            if not offered.at_hand(served, caller):
                return None
            if plan.short:
                text = predict.at_once(self._infer, caller, served, body, begun)
                return None if text is None else (
                    _head(len(text), served.name, served.version, served.reason), text)
            written = self._infer.at_once(caller, served, Body(body, plan.header), begun)
            return None if written is None else (head_of(*written), b"".join((written[0], *written[1])))
        except AimassError:
            return None
        except Exception:
            log.exception("a request could not be answered at once")
            return None

    def _admitted(self, plan: Plan, address: str, done: dict[str, Any]) -> Caller | None:
        """As `deps.admit`. None where that would have to be waited for."""
        allowance = self._accounts.parts.allowance
        try:
            caller = self._accounts.authorize(plan.authorization, address=address)
            if not allowance.boundless(caller):
                if not allowance.at_hand:
                    return None
                _now(allowance.request(caller))
                _now(allowance.upload(caller, plan.length))
        except AimassError as error:
            done[ADMITTED] = error
            raise
        done[ADMITTED] = caller
        return caller


def _now(work: Coroutine[Any, Any, None]) -> None:
    """Of what waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("counters in memory were waited for")


def _head(length: int, name: str, version: str, reason: str) -> bytes:
    return b"content-type: application/json\r\ncontent-length: %d\r\n%b" % (length, _model(name, version, reason))


@lru_cache(256)
def _model(name: str, version: str, reason: str) -> bytes:
    """Raises `ValueError` for what no header may have in it; the usual way does, too."""
    if not CONTROL.isdisjoint(name + version + reason):
        raise ValueError(f"{name!r}, {version!r}, {reason!r} can't be in a header")
    lines = f"x-model: {name}@{version}\r\n" + (f"x-model-reason: {reason}\r\n" if reason else "")
    return lines.encode("latin-1", "replace")
