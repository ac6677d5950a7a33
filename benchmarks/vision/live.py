"""Sessions of a server that show the walker, all at once, and what their clients saw of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..driver import Client, Session
from ..figures import between, difference, median_ms, new_pictures, percentiles, series
from ..servers import Server
from ..speech.section import Result
from . import scenes

# nobody is turned away before the figures show why; nothing is looked for on a network, no ears are made ready
ENVIRONMENT = {"AIMASS_MAX_SESSIONS": "64", "AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10",
               "AIMASS_FETCH": "false", "AIMASS_WARM": "false"}
CLIENTS = 2  # processes that the sessions are shared by
FULL = 0.97  # share of the pictures that come back in a session that is held at full rate
FIRST = 30.0  # s within which the first picture is back, a model's loading included
FAILURES = (ConnectionError, TimeoutError, OSError)


@dataclass(frozen=True)
class Lengths:
    """Seconds of each measurement."""

    settle: float = 2.0
    seconds: float = 9.0


QUICK = Lengths(1.0, 3.0)


def lengths(quick: bool) -> Lengths:
    return QUICK if quick else Lengths()


@dataclass(frozen=True)
class Watched:
    """Of sessions from one moment (s, monotonic) to another."""

    reports: list[dict[str, Any]]  # of each client
    since: float
    until: float
    cpu: float  # cores that the server used
    client_cpu: float  # and the clients


def watched(server: Server, body: dict[str, Any], count: int, sized: Lengths, *, width: int = 320, height: int = 240,
            meanwhile: Callable[[Sequence[Session], float], None] = lambda sessions, until: None) -> Watched:
    """So many sessions of pictures at 30/s, without sound. `meanwhile` may act on them until a moment.

    Raises one of `FAILURES` where they can't be had.
    """
    scenes.clip(width, height)  # encoded before somebody waits for it
    with ExitStack() as stack:
        clients = [stack.enter_context(Client("vision.client")) for _ in range(min(count, CLIENTS))]
        sessions: list[Session] = []
        for number in range(count):
            sessions.append(stack.enter_context(clients[number % len(clients)].session(
                server, body=body, patience=0, width=width, height=height, audio=False, keep_audio=False)))
            sessions[-1].wait_first(FIRST)
        time.sleep(sized.settle)
        before, busy = server.usage(), [client.load() for client in clients]
        meanwhile(sessions, before.at + sized.seconds)
        time.sleep(max(0.0, before.at + sized.seconds - time.monotonic()))
        after, still = server.usage(), [client.load() for client in clients]
        time.sleep(0.4)  # what was sent at the end has to come back
        reports = [session.report(before.at, after.at) for session in sessions]
    used = sum((end[0] - begin[0]) / (end[1] - begin[1]) for begin, end in zip(busy, still, strict=True))
    return Watched(reports, before.at, after.at, (after.cpu - before.cpu) / (after.at - before.at), used)


def together(server: Server, body: dict[str, Any], count: int, sized: Lengths, *, width: int = 320,
             height: int = 240) -> Result:
    """The figures of so many sessions; an "error" where they could not be had."""
    try:
        found = watched(server, body, count, sized, width=width, height=height)
    except FAILURES as error:
        return failed(count, error)
    return seen(found.reports, found.since, found.until) | {"cpu": round(found.cpu, 3),
                                                            "client_cpu": round(found.client_cpu, 3)}


def failed(count: int, error: BaseException) -> Result:
    return {"sessions": count, "error": f"{type(error).__name__}: {error}"[:300]}


def seen(reports: Sequence[dict[str, Any]], since: float, until: float) -> Result:
    """What came back between the two moments, of all sessions and of the worst one."""
    shown = [new_pictures(report["video"]) for report in reports]
    shares = [len(times) / max(1, report["frames_sent"]) for (times, _), report in zip(shown, reports, strict=True)]
    drifts = [drift for times, delays in shown if (drift := _drift(times, delays, since, until)) is not None]
    spread = percentiles(np.concatenate([delays for _, delays in shown]))
    worst = [percentiles(delays) for _, delays in shown]
    return {
        "sessions": len(reports), "held": sum(share >= FULL for share in shares), "share": round(min(shares), 4),
        "per_s": round(min(len(times) for times, _ in shown) / (until - since), 1),
        "p50_ms": spread and spread["p50"], "p95_ms": spread and spread["p95"],
        "worst_p95_ms": max((one["p95"] for one in worst if one), default=None) if all(worst) else None,
        "drift_ms": max(drifts, key=abs, default=None), "unreadable": sum(report["unreadable"] for report in reports),
        "series": series(*shown[0], since, 100)}


def _drift(times: Any, delays: Any, since: float, until: float) -> float | None:
    """By how many ms the delay is longer in the last third than in the first."""
    third = (until - since) / 3
    return difference(median_ms(between(times, delays, until - third, until)),
                      median_ms(between(times, delays, since, since + third)))


def holds(one: Result) -> bool:
    """Whether each session was held at full rate."""
    return "error" not in one and one["held"] == one["sessions"]


def most_held(runs: dict[str, Result]) -> int:
    """Sessions at once, of the runs by number, up to which all were held at full rate."""
    held = 0
    for count in sorted(map(int, runs)):
        if not holds(runs[str(count)]):
            break
        held = count
    return held
