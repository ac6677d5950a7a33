"""`python -m benchmarks.profiler`: where an echo session's processor time goes. Writes benchmarks/profile.txt.

py-spy samples all threads of the server process from outside, 250 times a second, and counts only moments
in which a thread runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from . import machine
from .driver import Client
from .servers import BIN, HERE, OURS, SUBJECTS, serving

RATE = 250  # samples/s


def record(seconds: float) -> tuple[list[tuple[list[str], int]], float]:
    """Stacks (outermost first) with their counts, and the core share the server used."""
    raw = HERE / "work" / "profile.raw"
    with serving(SUBJECTS[OURS]) as server, Client() as client, client.session(server) as session:
        session.wait_first()
        time.sleep(2)
        before = server.usage()
        subprocess.run([str(BIN / "py-spy"), "record", "--pid", str(server.process.pid), "--rate", str(RATE),
                        "--duration", f"{seconds:g}", "--format", "raw", "--threads", "--function",
                        "--output", str(raw)], check=True, capture_output=True)
        after = server.usage()
    stacks = []
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        stacks.append((stack.split(";"), int(count)))
    return stacks, (after.cpu - before.cpu) / (after.at - before.at)


def _short(frame: str) -> str:
    """Without the folders of the machine it ran on."""
    name, _, place = frame.partition(" (")
    for marker in ("site-packages/", "lib/python"):
        if marker in place:
            place = place.split(marker)[-1]
    return f"{name} ({Path(place).name if place.startswith('/') else place}" if place else name


WAITS = ("Workers._work ", "_worker (concurrent", "Condition.wait ")  # woken, but not running yet
PARTS = (
    ("codecs (libvpx, libopus)", "aimass_stream/codecs"), ("metrics", "prometheus_client"),
    ("metrics", "aimass_stream/metrics"), ("SRTP, DTLS, UDP", "pylibsrtp"), ("SRTP, DTLS, UDP", "OpenSSL"),
    ("SRTP, DTLS, UDP", "aioice"), ("aiortc", "aiortc"), ("our transport", "aimass_stream/transports"),
    ("our pipeline", "aimass_stream"), ("the event loop and what the kernel does for it", "asyncio/runners"),
)


def _part(frame: str) -> str:
    return next((name for name, marker in PARTS if marker in frame), "the rest of Python")


def table(stacks: list[tuple[list[str], int]], core: float) -> str:
    own: Counter[str] = Counter()
    under: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    stacks = [(stack, count) for stack, count in stacks if not stack[-1].startswith(WAITS)]
    total = sum(count for _, count in stacks)
    for stack, count in stacks:
        frames = [_short(frame) for frame in stack]
        threads["the event loop's" if "MainThread" in frames[0] else "the session's own"] += count
        own[frames[-1]] += count
        parts[_part(stack[-1])] += count
        for frame in {frame for frame in frames[1:] if "aimass_stream" in frame or "aiortc" in frame}:
            under[frame] += count
    told = machine.describe([])
    lines = [f"An echo session, 640x480@30 VP8 and Opus: {core:.3f} core in all while py-spy looked on.",
             f"{told['cpu']}, Python {told['python']}, commit {told['commit']}, {told['date']}; {total} samples.",
             "Shares are of the time in which any thread ran; native code counts for the function that called it.", ""]
    for title, counted, most in (("by thread", threads, 9), ("by part", parts, 12), ("in itself", own, 30),
                                 ("with all it calls", under, 40)):
        lines += [title, *(f"{100 * count / total:6.1f} %  {name}" for name, count in counted.most_common(most)), ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiler")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--output", type=Path, default=HERE / "profile.txt")
    chosen = parser.parse_args()
    chosen.output.write_text(table(*record(chosen.seconds)))
    print(f"written: {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
