"""`python -m benchmarks.profiler`: where an echo session's processor time goes. Writes benchmarks/profile.txt.

py-spy looks at every thread of the server from outside, 200 times a second, whether it runs or not; what is
known to be waiting is left out. How much each thread really ran comes from the kernel. The event loop's native
part (uvloop, system calls) is what the kernel says of its thread less what was seen in Python.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .driver import Client
from .servers import BIN, HERE, OURS, SUBJECTS, serving

RATE = 200  # looks a second
WAITS = ("Workers._work ", "_worker (concurrent", "Condition.wait ", "Event.wait ")  # innermost frames of idle threads
LOOP = "Runner.run (asyncio"  # innermost frame while uvloop itself runs or waits
PARTS = (
    ("codecs (libvpx, libopus)", "aimass_stream/codecs"), ("metrics", "prometheus_client"),
    ("metrics", "aimass_stream/metrics"), ("SRTP, DTLS, UDP", "pylibsrtp"), ("SRTP, DTLS, UDP", "OpenSSL"),
    ("SRTP, DTLS, UDP", "aioice"), ("SRTP, DTLS, UDP", "Ice.send_now"), ("aiortc", "aiortc"),
    ("our transport", "aimass_stream/transports"), ("our pipeline", "aimass_stream"),
)
NATIVE = "uvloop and system calls"

Stacks = list[tuple[list[str], float]]  # frames, outermost first; ms a second


@dataclass(frozen=True)
class Profile:
    stacks: Stacks
    loop: float  # ms a second that the event loop's thread ran
    others: float  # ms a second that all other threads ran


def _ran(pid: int) -> tuple[float, float]:
    """Seconds that the main thread and all others ran so far."""
    main = others = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
        if int(task.name) == pid:
            main = seconds
        else:
            others += seconds
    return main, others


def record(seconds: float) -> Profile:
    raw = HERE / "work" / "profile.raw"
    with serving(SUBJECTS[OURS]) as server, Client() as client, client.session(server) as session:
        session.wait_first()
        time.sleep(3)
        pid = server.process.pid
        before, begun = _ran(pid), time.monotonic()
        time.sleep(seconds / 2)  # py-spy, on the other core, slows nothing here down
        after, took = _ran(pid), time.monotonic() - begun
        subprocess.run([str(BIN / "py-spy"), "record", "--pid", str(pid), "--rate", str(RATE), "--idle",
                        "--duration", f"{seconds:g}", "--format", "raw", "--threads", "--nonblocking",
                        "--output", str(raw)], check=True, capture_output=True)
    lines = [line.rpartition(" ") for line in raw.read_text().splitlines()]
    seen = [(stack.split(";"), int(count)) for stack, _, count in lines]
    looks = sum(count for stack, count in seen if "MainThread" in stack[0])
    stacks = [([_short(frame) for frame in stack], 1000 * count / looks) for stack, count in seen]
    return Profile(stacks, 1000 * (after[0] - before[0]) / took, 1000 * (after[1] - before[1]) / took)


def _short(frame: str) -> str:
    """Without the folders of the machine it ran on."""
    name, _, place = frame.partition(" (")
    for marker in ("site-packages/", "lib/python3.11/", "lib/python3.12/", "lib/python3.13/"):
        if marker in place:
            place = place.split(marker)[-1]
    return f"{name} ({Path(place).name if place.startswith('/') else place}" if place else name


def _part(frame: str) -> str:
    return next((name for name, marker in PARTS if marker in frame), "the rest of Python")


def table(profile: Profile) -> str:
    own: defaultdict[str, float] = defaultdict(float)
    under: defaultdict[str, float] = defaultdict(float)
    parts: defaultdict[str, float] = defaultdict(float)
    in_loop = 0.0
    for stack, ms in profile.stacks:
        last = stack[-1]
        if last.startswith((*WAITS, LOOP)) or len(stack) < 2:
            continue
        in_loop += ms if "MainThread" in stack[0] else 0.0
        own[last] += ms
        parts[_part(last)] += ms
        for frame in {frame for frame in stack[1:] if "aimass_stream/" in frame and "/cli/" not in frame}:
            under[frame] += ms
    own[NATIVE] = parts[NATIVE] = max(0.0, profile.loop - in_loop)
    told = machine.describe([])
    lines = [f"An echo session, 640x480@30 VP8 and Opus: {(profile.loop + profile.others) / 1000:.3f} core,",
             f"of which the event loop's thread {profile.loop / 1000:.3f} and the session's threads "
             f"{profile.others / 1000:.3f}.",
             f"{told['cpu']}, Python {told['python']}, commit {told['commit']}, {told['date']}.",
             "Figures are ms a second (10 ms a second: 0.01 core); native code counts for the line that called it.", ""]
    for title, counted, most in (("by part", parts, 12), ("in itself", own, 35), ("with all it calls", under, 40)):
        ordered = sorted(counted.items(), key=lambda item: -item[1])[:most]
        lines += [title, *(f"{ms:8.2f}  {name}" for name, ms in ordered), ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiler")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--output", type=Path, default=HERE / "profile.txt")
    chosen = parser.parse_args()
    chosen.output.write_text(table(record(chosen.seconds)))
    print(f"written: {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
