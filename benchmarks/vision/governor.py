"""The section on promised latency: a painted session while other processes want the processor, with and without."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..aims import Aim
from ..driver import Client, Session
from ..servers import OURS, SUBJECTS, Server, serving
from ..speech.section import NONE, Plot, Result, ms, table
from . import live
from .painting import NO_STYLE, chosen

WIDTH, HEIGHT = 640, 480
BOUND = 80  # ms
BURNERS = 2
SETTLE = 2.0  # s
PHASES = {"quiet": 6.0, "burning": 18.0, "after": 12.0}  # s
LAST = 6.0  # s of a phase that are told: the governor needs some to find its way
BURN = "while True: pass"


def run(quick: bool) -> Result:
    style = chosen()
    result: Result = {"style": style, "runs": {}}
    if not style:
        return result
    painted = {"pipeline": [{"stage": "style", "name": style}]}
    with serving(SUBJECTS[OURS], environment=live.ENVIRONMENT, core=None) as server:
        for name, body in (("nothing promised", painted), (f"{BOUND} ms promised", painted | {"latency_ms": BOUND})):
            try:
                result["runs"][name] = _measured(server, body, 0.5 if quick else 1.0)
            except live.FAILURES as error:
                result["runs"][name] = live.failed(1, error)
            print(f"  {name}: {brief(result['runs'][name])}", flush=True)
            server.settle()
    return result


def _measured(server: Server, body: dict[str, Any], share: float) -> Result:
    found: Result = {"phases": {}, "seconds": []}
    with Client("vision.client") as client, client.session(
            server, body=body, patience=0, width=WIDTH, height=HEIGHT, audio=False, keep_audio=False) as session:
        session.wait_first(live.FIRST)
        time.sleep(SETTLE)
        begun = time.monotonic()
        for name, seconds in PHASES.items():
            with burning(BURNERS if name == "burning" else 0):
                _watch(session, found["seconds"], name, begun, seconds * share)
            until = time.monotonic()
            since = until - LAST * share
            time.sleep(0.3)  # what was sent at the end has to come back
            seen = live.seen([session.report(since, until)], since, until)
            delays = [second["p95_ms"] for second in found["seconds"][-max(1, round(LAST * share)):]]
            found["phases"][name] = {"per_s": seen["per_s"], "client_p50_ms": seen["p50_ms"],
                                     "client_p95_ms": seen["p95_ms"], "p95_ms": max(delays),
                                     "rungs": found["seconds"][-1]["rungs"]}
    return found


def _watch(session: Session, seconds: list[Result], phase: str, begun: float, length: float) -> None:
    """Once a second what the server says of itself."""
    end = time.monotonic() + length
    while time.monotonic() < end:
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))
        stats = _stats(session)
        total = stats["hops"].get("video-0", {}).get("total", {})
        latency = stats.get("latency") or {"stages": [], "p95_ms": None}
        seconds.append({"at": round(time.monotonic() - begun, 2), "phase": phase,
                        "p95_ms": latency["p95_ms"] or total.get("p95", 0.0), "p50_ms": total.get("p50", 0.0),
                        "rungs": [f"{stage['stage']}: {stage['name']}" for stage in latency["stages"]]})


def _stats(session: Session) -> dict[str, Any]:
    with urllib.request.urlopen(f"{session.server.base}/v1/sessions/{session.session_id}/stats", timeout=10) as answer:
        stats: dict[str, Any] = json.load(answer)
    return stats


@contextmanager
def burning(count: int) -> Iterator[None]:
    """Processes that take all the time they can get."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


def brief(one: Result) -> str:
    if "error" in one:
        return f"failed: {one['error']}"
    return ", ".join(f"{name} {phase['p95_ms']:.0f} ms at {phase['per_s']}/s {' '.join(phase['rungs'])}".strip()
                     for name, phase in one["phases"].items())


def promised(result: Result) -> Result | None:
    """The run with a bound, if it was measured."""
    one: Result = result["runs"].get(f"{BOUND} ms promised", {})
    return one if "phases" in one else None


def aims(result: Result) -> list[Aim]:
    one = promised(result)
    p95 = one["phases"]["burning"]["p95_ms"] if one else None
    return [Aim(f"styled {WIDTH}x{HEIGHT} beside {BURNERS} busy processes: the promised {BOUND} ms are kept",
                f"p95 {p95:.0f} ms in the server" if p95 is not None else (NONE if result["style"] else NO_STYLE),
                p95 <= BOUND if p95 is not None else None)]


def tell(result: Result) -> str:
    if not result["style"]:
        return f"{NO_STYLE}: not measured."
    rows = []
    for name, one in result["runs"].items():
        if "error" in one:
            rows.append([name, one["error"], *[NONE] * 4])
            continue
        rows += [[name, phase, f"{seen['p95_ms']:.0f}", f"{ms(seen['client_p50_ms'])} / {ms(seen['client_p95_ms'])}",
                  seen["per_s"], ", ".join(seen["rungs"]) or "all of it"] for phase, seen in one["phases"].items()]
    return (f"One session of {WIDTH}x{HEIGHT} at 30/s, VP8, painted as {result['style']}. From its "
            f"{PHASES['quiet']:g}th second on {BURNERS} other processes take all the time they can get, for "
            f"{PHASES['burning']:g} s. What is promised is the time in the server; the client's also has its own "
            "encoding and decoding, which the burners hold up, too. Each phase is told by its last "
            f"{LAST:g} s.\n\n"
            + table(["session", "phase", "in the server p95, ms", "at the client p50 / p95, ms", "pictures/s",
                     "works with"], rows))


def plots(result: Result, folder: Path) -> list[Plot]:
    if not any("seconds" in one for one in result["runs"].values()):
        return []
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 3.0))
    for (name, one), colour in zip(result["runs"].items(), ("#30638e", "#d1495b"), strict=False):
        if "seconds" in one:
            axes.plot([second["at"] for second in one["seconds"]], [second["p95_ms"] for second in one["seconds"]],
                      color=colour, label=name)
    begin = PHASES["quiet"]
    axes.axvspan(begin, begin + PHASES["burning"], color="#00000012", lw=0)
    axes.axhline(BOUND, color="#d1495b", linestyle="--", linewidth=1)
    axes.set(xlabel="s", ylabel="p95 in the server, ms", ylim=(0, None))
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "vision-governor.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("vision-governor.svg", f"Delay in the server while {BURNERS} other processes are busy (grey), with and "
             "without a promise")]
