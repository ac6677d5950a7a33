"""The section on what our REST costs: a no-op model, beside a bare starlette that answers the same."""

from __future__ import annotations

import sys
from typing import Any

from ..aims import Aim
from ..servers import OURS, Server, Subject
from ..speech.section import NONE, Result, table
from .asked import WAYS
from .callers import FULL, Load, brief, exact, figures, fine, ratio, times
from .networks import NO_OP
from .own import FAILURES, Hub, ours, running

CALLERS = (1, 32)
SECONDS, QUICK, ROUNDS = 4.0, 1.0, 2
P50, P99 = 1.0, 3.0  # ms, at one caller
WITHIN = 1.5  # times the bare server's, at 32
PROGRAM = [sys.executable, "-m", "benchmarks.platform.bare"]
BARE = Subject("bare", "starlette + uvicorn", lambda port, *_: [*PROGRAM, str(port)], "", lambda _: {})
TITLES = {OURS: "AI Mass Stream", BARE.name: "bare starlette + uvicorn"}


def run(quick: bool) -> Result:
    with ours("rest") as own, running(BARE) as bare, Load() as load:
        with Hub(own.base) as hub:
            hub.put(NO_OP.name, NO_OP.build())
        return {"runs": measured({OURS: own, BARE.name: bare}, load, quick)}


def measured(servers: dict[str, Server], load: Load, quick: bool) -> Result:
    """By way, callers and server. The servers take turns, so that what else happens on the machine happens to both."""
    runs: Result = {}
    for way, request in WAYS.items():
        for callers in CALLERS:
            parts: dict[str, list[Result]] = {name: [] for name in servers}
            for _ in range(1 if quick else ROUNDS):
                for name, server in servers.items():
                    parts[name].append(load.measure(server, request(NO_OP.name, NO_OP), callers,
                                                    QUICK if quick else SECONDS))
            runs.setdefault(way, {})[str(callers)] = found = {name: _figures(each) for name, each in parts.items()}
            for name, one in found.items():
                print(f"  {way}, {callers} callers, {TITLES[name]}: {brief(one)}", flush=True)
    return runs


def _figures(parts: list[Result]) -> Result:
    try:
        return figures(parts)
    except FAILURES as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def aims(result: Result) -> list[Aim]:
    found = []
    for way, by_callers in result["runs"].items():
        alone, crowd = by_callers["1"][OURS], by_callers["32"]
        found.append(Aim(f"no-op by {way}, 1 caller: p50 / p99 <= {P50:g} / {P99:g} ms",
                         f"{exact(alone.get('p50'))} / {exact(alone.get('p99'))} ms",
                         alone["p50"] <= P50 and alone["p99"] <= P99 if fine(alone) else None))
        shares = [ratio(crowd[OURS].get(share), crowd[BARE.name].get(share)) for share in ("p50", "p99")]
        found.append(Aim(f"no-op by {way}, 32 callers: p50 / p99 within {WITHIN}x of bare starlette + uvicorn",
                         " / ".join(map(times, shares)), _within(crowd, shares)))
    return found


def _within(crowd: dict[str, Result], shares: list[float | None]) -> bool | None:
    if not all(map(fine, crowd.values())):
        return None
    return all(share is not None and share <= WITHIN for share in shares)


def tell(result: Result) -> str:
    rows: list[list[Any]] = []
    for way, by_callers in result["runs"].items():
        for callers, by_server in by_callers.items():
            for name, one in by_server.items():
                rows.append([way, callers, TITLES[name], *row(one)])
    loads = [one.get("load_cpu", 0) for by_callers in result["runs"].values() for both in by_callers.values()
             for one in both.values()]
    return (f"An ONNX file with nothing but Identity on {NO_OP.row[0]} numbers, uploaded to the hub and deployed; one "
            "row a request. The other server is starlette and uvicorn (uvloop, httptools) in the versions that ours "
            "runs on, with one route that reads the same JSON, or the same bytes, and answers the same; ours also "
            "finds the caller, the model and its version, checks the tensors, has onnxruntime run them and "
            "counts what was used. Callers are connections that stay open and ask again once they are answered, in a "
            "process of its own on raw sockets with uvloop; latency is from writing a request to the last byte of its "
            "answer. Server and callers share the machine's two cores. Both servers run all the time and are asked in "
            "turns. "
            f"The load itself took at most {max(loads, default=0):.0%} of a core"
            + (", so that figures at 32 callers are bounded by it, too" if max(loads, default=0) > FULL else "")
            + ".\n\n" + table(HEAD, rows))


HEAD = ["asked by", "callers", "server", "requests/s", "p50, ms", "p95, ms", "p99, ms", "errors"]


def row(one: Result) -> list[Any]:
    """The last five cells of a line."""
    if "per_s" not in one:
        return [one.get("error", NONE), *[NONE] * 4]
    return [f"{one['per_s']:.0f}", *(exact(one[share]) for share in ("p50", "p95", "p99")), one["errors"]]
