"""The section on a live session while others upload, convert and ask: its delay beside that of a quiet server."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aimass_stream.inference import installed

from ..aims import Aim
from ..driver import Client, Session
from ..figures import new_pictures
from ..servers import HERE, Server
from ..speech.section import NONE, Result, table
from . import asked, networks
from .busy import RATE, SIZE
from .callers import Load, exact, figures
from .own import FAILURES, Hub, ours

QUIET, BUSY = 8.0, 12.0  # s of each phase
SETTLE = 2.0  # s
ROUNDS = 3
ASKED = 50.0  # requests/s
CONVERTED = 40  # MB
NICE = 10  # of those who upload and ask: they stand for other machines, which would not take this one's processor
IDLE = 19  # the most
MORE = 1.10  # times the quiet p95
FINDERS = ("mediapipe-faces", "opencv-faces")  # of faces; the first that is installed


def sessions() -> dict[str, dict[str, Any]]:
    """What is offered, by name."""
    there = {entry.name for entry in installed().entries()}
    finder = next((name for name in FINDERS if name in there), FINDERS[-1])
    return {"echo": {"pipeline": []}, "detect": {"pipeline": [{"stage": "detect", "model": finder, "overlay": False}]}}


def run(quick: bool) -> Result:
    result: Result = {"sessions": {}}
    with ours("live") as server, Load() as load, Hub(server.base) as hub:
        after_others(load.process.pid)
        hub.put(networks.NO_OP.name, networks.NO_OP.build())
        hub.put("weights", networks.large(CONVERTED), deploy=False)
        for name, body in sessions().items():
            try:
                result["sessions"][name] = _measured(server, load, body, name == "echo", quick)
            except FAILURES as error:
                result["sessions"][name] = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(f"  {name}: {brief(result['sessions'][name])}", flush=True)
    return result


def _measured(server: Server, load: Load, body: dict[str, Any], audio: bool, quick: bool) -> Result:
    """Quiet and busy in turns, of one session."""
    seen: dict[str, list[Any]] = {"quiet": [], "counting": [], "busy": []}
    asking, meanwhile = [], []
    with Client() as client, client.session(server, body=body, audio=audio, keep_audio=audio) as session:
        session.wait_first(30)
        for _ in range(1 if quick else ROUNDS):
            server.settle(10)
            time.sleep(SETTLE)
            since = time.monotonic()
            time.sleep(QUIET / (2 if quick else 1))
            seen["quiet"].append(_report(session, since, time.monotonic(), audio))
            with counting():
                time.sleep(1.0)
                since = time.monotonic()
                time.sleep(QUIET / (2 if quick else 1))
                seen["counting"].append(_report(session, since, time.monotonic(), audio))
            with busy(server) as told:
                time.sleep(1.0)
                since = time.monotonic()
                asking.append(load.measure(server, asked.short(networks.NO_OP.name, networks.NO_OP), 4,
                                           BUSY / (2 if quick else 1), warm=0.2, rate=ASKED))
                until = time.monotonic()
            seen["busy"].append(_report(session, since, until, audio))
            meanwhile.append(told)
    result: Result = {phase: _together(reports) for phase, reports in seen.items()}
    return result | {"predict": figures(asking), "uploaded": sum(one["bytes"] for one in meanwhile),
                     "conversions": sum(one["conversions"] for one in meanwhile),
                     "errors": [error for one in meanwhile for error in one["errors"]]}


def _report(session: Session, since: float, until: float, audio: bool) -> Any:
    time.sleep(0.4)  # what was sent at the end has to come back
    return session.report(since, until, audio) | {"seconds": until - since}


def _together(reports: list[Any]) -> Result:
    """ms, of all phases of one kind; `per_s` is of new pictures."""
    shown = [new_pictures(report["video"]) for report in reports]
    found: Result = {"per_s": round(sum(len(times) for times, _ in shown) / sum(one["seconds"] for one in reports), 1)}
    for name, delays in (("video", [delays for _, delays in shown]),
                         ("audio", [np.array(one["audio"]["delay"]) for one in reports if "audio" in one])):
        values = np.concatenate(delays) * 1000 if delays else np.zeros(0)
        found[name] = {f"p{share}": round(float(np.percentile(values, share)), 2) for share in (50, 95, 99)
                       } if len(values) else None
    return found


@contextmanager
def busy(server: Server) -> Iterator[Result]:
    """Uploads and conversions until the end of this; what came of them is told then."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.platform.busy", server.base, "weights"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parent, start_new_session=True)
    after_others(process.pid)
    told: Result = {"bytes": 0, "conversions": 0, "errors": []}
    try:
        yield told
        told |= json.loads(process.communicate(timeout=60)[0] or b"{}")
    finally:
        process.kill()
        process.wait()


@contextmanager
def counting() -> Iterator[None]:
    """A program that does nothing but count, at the lowest priority there is: what anything beside a session costs
    here."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    after_others(process.pid, IDLE)
    os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def after_others(process: int, niceness: int = NICE) -> None:
    """A process with a session of its own comes after all others: by itself, and where the kernel shares the processor
    out by sessions, as one of these."""
    os.setpriority(os.PRIO_PROCESS, process, niceness)
    with contextlib.suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(niceness))


def brief(one: Result) -> str:
    if "error" in one:
        return f"failed: {one['error']}"
    return (f"p95 quiet {exact((one['quiet']['video'] or {}).get('p95'))}, busy "
            f"{exact((one['busy']['video'] or {}).get('p95'))} ms; {one['uploaded'] / 1e6:.0f} MB uploaded, "
            f"{one['conversions']} conversions, {one['predict']['per_s']:.0f} requests/s, errors: {one['errors']}")


def aims(result: Result) -> list[Aim]:
    found = []
    for name, one in result["sessions"].items():
        for kind in ("video", "audio") if name == "echo" else ("video",):
            quiet, loud = ((one.get(phase) or {}).get(kind) for phase in ("quiet", "busy"))
            text = f"{name}, {kind}: p95 within +{MORE - 1:.0%} while others upload, convert and ask"
            if not quiet or not loud or not enough(one):
                found.append(Aim(text, one.get("error", "they did not upload, convert or ask"), None))
                continue
            found.append(Aim(text, f"{exact(loud['p95'])} against {exact(quiet['p95'])} ms "
                             f"({loud['p95'] / quiet['p95'] - 1:+.0%})", loud["p95"] <= MORE * quiet["p95"]))
    return found


def enough(one: Result) -> bool:
    """Whether the others did what they should: a quiet server would meet any aim."""
    return bool(one["uploaded"] and one["predict"]["per_s"] >= 0.9 * ASKED and not one["predict"]["errors"]
                and not one["errors"])


def tell(result: Result) -> str:
    rows: list[list[Any]] = []
    for name, one in result["sessions"].items():
        for phase in ("quiet", "counting", "busy"):
            if "error" in one:
                rows.append([name, phase, one["error"], *[NONE] * 4])
                continue
            video, audio = one[phase]["video"], one[phase]["audio"]
            rows.append([name, phase, _spread(video), _spread(audio), one[phase]["per_s"],
                         f"{one['uploaded'] / 1e6:.0f} MB, {one['conversions']} conversions" if phase == "busy" else "",
                         f"{one['predict']['per_s']:.0f}/s, p95 {exact(one['predict']['p95'])} ms"
                         if phase == "busy" else ""])
    return ("A session through WebRTC, 640x480 at 30/s with sound (detect: without), on a server that has all cores, "
            f"from sending to decoded at the client. Phases of {QUIET:g} s when nothing else happens and of {BUSY:g} s "
            f"in which a file of {SIZE / 1e6:.0f} MB is uploaded again and again as a link of {RATE * 8 / 1e9:g} "
            f"Gbit/s would bring it, a network of {CONVERTED} MB is converted to 8 bits again and again, and "
            f"{ASKED:g} requests a second of /predict are answered; three times in turns. Those who upload and ask are "
            "processes with lower priority: they stand for other machines, and the client that measures shares the two "
            "cores with everything. Counting: nothing but a program that counts, at the lowest priority that there is "
            "(SCHED_IDLE): what any work beside a session costs on this machine. While sessions are live, uploads "
            "together keep a pace of their own (`AIMASS_UPLOAD_PACE`).\n\n"
            + table(["session", "server", "video p50 / p95 / p99, ms", "sound p50 / p95 / p99, ms", "pictures/s",
                     "meanwhile", "/predict"], rows))


def _spread(values: dict[str, float] | None) -> str:
    return NONE if not values else " / ".join(exact(values[share]) for share in ("p50", "p95", "p99"))
