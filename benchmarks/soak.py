"""`python -m benchmarks.soak`: what is left of a server after thousands of sessions, and after a long overload.

A real server process; real WebRTC and websocket clients that connect, get a picture back and leave: most
end their session, some only drop the connection, and with every change of client processes two are killed
with their session running. After every round, when no session is left, memory, threads and file descriptors are
read from outside. Then more work than a core can do, for minutes. Writes benchmarks/soak.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import connect

from aimass_stream import clips, wire

from . import machine, media, report
from .driver import Client
from .figures import new_pictures, percentiles
from .servers import HERE, OURS, SUBJECTS, Server, Usage, serving

ROUND = 100  # cycles between two readings
CHANGE = 250  # cycles of one client process
WARM = 0.25  # share of the cycles that is warming up
ENVIRONMENT = {"AIMASS_RESUME_SECONDS": "1", "AIMASS_PEER_SILENCE": "3", "AIMASS_MAX_LOAD": "1",
               "AIMASS_MAX_LOOP_LAG": "10", "AIMASS_MAX_SESSIONS": "64"}
GROWTH = 0.05  # share that memory may grow from the first third to the last, after warming up
DRIFT = 20.0  # ms a slow stage's delay may drift in the overload


@dataclass(frozen=True)
class Reading:
    cycles: int
    usage: Usage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=2000, help="connections of each transport")
    parser.add_argument("--overload", type=float, default=600, help="seconds of overload; 0: none")
    chosen = parser.parse_args()
    parts, good = [_head()], True
    begun = time.monotonic()
    try:
        with serving(SUBJECTS[OURS], environment=ENVIRONMENT, core=None) as server:
            for name, cycles in (("WebRTC", _webrtc), ("websocket", _websocket)):
                text, flat = _cycles(server, name, cycles, chosen.cycles)
                parts.append(text)
                good &= flat
        if chosen.overload:
            with serving(SUBJECTS[OURS], environment=ENVIRONMENT) as server:
                text, held = _overload(server, chosen.overload)
                parts.append(text)
                good &= held
    except KeyboardInterrupt:
        parts.append("**Interrupted.**")
    parts.append(f"{(time.monotonic() - begun) / 60:.0f} minutes in all.")
    path = HERE / "soak.md" if chosen.cycles >= 2000 and chosen.overload >= 300 else HERE / "work" / "soak.md"
    path.write_text("\n\n".join(parts) + "\n")
    print(f"written: {path}")
    return 0 if good else 1


def _head() -> str:
    told = machine.describe([])
    return (f"# Soak\n\n{told['cpu']}, {told['cores']} cores; {told['system']}; Python {told['python']}; "
            f"commit {told['commit']}; {told['date']}.")


# cycles ----------------------------------------------------------------------------------------------


def _cycles(server: Server, name: str, run: Callable[[Server, int, int], None], count: int) -> tuple[str, bool]:
    """Rounds of cycles on two threads, a reading after each."""
    readings = [Reading(0, _quiet(server))]
    with ThreadPoolExecutor(2) as threads:
        for done in range(0, count, ROUND):
            for one in [threads.submit(run, server, done + half * ROUND // 2, ROUND // 2) for half in (0, 1)]:
                one.result()
            readings.append(Reading(done + ROUND, _quiet(server)))
            last = readings[-1].usage
            print(f"{name} {done + ROUND:5}: {last.rss / 2**20:.1f} MiB, {last.threads} threads, {last.files} files",
                  flush=True)
    return _told(name, readings)


def _quiet(server: Server, seconds: float = 60) -> Usage:
    """Memory, threads and files once no session is left and nothing runs."""
    end = time.monotonic() + seconds
    while json.loads(server.get("/v1/sessions"))["sessions"]:
        if time.monotonic() > end:
            raise TimeoutError("sessions were left over")
        time.sleep(0.1)
    time.sleep(2.5)  # the server gives memory back a moment after a session's end
    server.settle(3)
    return server.usage()


class _Clients:
    """A client process for each thread, changed now and then, one of the changes with a kill."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[Client, int]] = {}

    @contextmanager
    def client(self, server: Server, place: int, cycle: int) -> Iterator[Client]:
        found = self._of.get(place)
        if found is not None and cycle - found[1] >= CHANGE:
            with found[0].session(server, keep_audio=False) as last:
                last.wait_first()
                last.says_goodbye = False
                found[0].process.kill()
            found[0].__exit__()
            found = None
        if found is None:
            found = self._of[place] = (Client(), cycle)
        yield found[0]

    def close(self) -> None:
        for client, _ in self._of.values():
            client.__exit__()
        self._of.clear()


_clients = _Clients()


def _webrtc(server: Server, first: int, count: int) -> None:
    with _clients.client(server, first % ROUND, first) as client:
        for cycle in range(first, first + count):
            with client.session(server, keep_audio=False) as session:
                session.wait_first()
                session.says_goodbye = cycle % 4 != 0


def _websocket(server: Server, first: int, count: int) -> None:
    hello = wire.Hello(formats_in=wire.Formats(audio=wire.AudioFormat(rate=48_000), video=wire.VideoFormat()))
    picture, sound = _jpeg(), clips.tone(0.02).tobytes()
    for cycle in range(first, first + count):
        with connect(f"{server.base.replace('http', 'ws')}/v1/stream", compression=None, max_size=2**21) as socket:
            socket.send(hello.encode())
            session = json.loads(socket.recv(10))["session_id"]
            for number in range(3):
                socket.send(wire.Media(wire.Codec.PCM_S16LE, wire.AUDIO_TRACK, number * 960, sound).encode())
                socket.send(wire.Media(wire.Codec.JPEG, wire.VIDEO_TRACK, number * 3000, picture, True).encode())
            back = set[int]()
            while len(back) < 2:
                message = socket.recv(10)
                if isinstance(message, bytes):
                    back.add(wire.Media.decode(message).track)
            if cycle % 4:
                socket.send(wire.dump({"type": "session.close", "id": session[:8]}))


def _jpeg() -> bytes:
    import cv2

    done, data = cv2.imencode(".jpg", clips.draw(1, 320, 240))
    assert done
    return bytes(data)


def _told(name: str, readings: list[Reading]) -> tuple[str, bool]:
    warm = [reading for reading in readings if reading.cycles >= readings[-1].cycles * WARM]
    cycles = np.array([reading.cycles for reading in warm], float)
    memory = np.array([reading.usage.rss for reading in warm], float)
    slope = float(np.polyfit(cycles, memory, 1)[0]) / 1024 if len(warm) > 1 else 0.0
    threads, files = [r.usage.threads for r in warm], [r.usage.files for r in warm]
    # against all that came before, the first reading too: a pool's idle thread may end and another one start
    early = len(readings) - (len(warm) + 1) // 2
    grew = [max(values[early:]) > max(values[:early] or values)
            for values in ([r.usage.threads for r in readings], [r.usage.files for r in readings])]
    third = max(1, len(warm) // 3)
    growth = float(np.median(memory[-third:]) / np.median(memory[:third])) - 1
    flat = growth <= GROWTH and not any(grew)
    lines = [f"## {readings[-1].cycles} {name} connections", "",
             f"After warming up ({warm[0].cycles} cycles): memory {growth:+.1%} from the first third to the last "
             f"(at most {GROWTH:.0%}; {slope:+.2f} KiB a cycle), "
             f"threads {_span(threads)}, file descriptors {_span(files)}, {'' if any(grew) else 'not '}more in the "
             f"second half than in the first. {'Flat.' if flat else '**Not flat.**'}", "",
             "| cycles | RSS MiB | PSS MiB | threads | files |", "|---|---|---|---|---|"]
    step = max(1, len(readings) // 10)
    for reading in [*readings[:-1:step], readings[-1]]:
        usage = reading.usage
        lines.append(f"| {reading.cycles} | {usage.rss / 2**20:.1f} | {usage.pss / 2**20:.1f} | {usage.threads} | "
                     f"{usage.files} |")
    return "\n".join(lines), flat


def _span(values: Collection[int]) -> str:
    return f"{min(values)}" if len(set(values)) == 1 else f"{min(values)} to {max(values)}"


# overload --------------------------------------------------------------------------------------------


def _overload(server: Server, seconds: float, busy: int = 6, every: float = 30.0) -> tuple[str, bool]:
    """A session with a 200 ms stage, an echo session, and `busy` ones that want more than the core has."""
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(Client()) for _ in range(2)]
        heavy = {"pipeline": [{"stage": "cartoon"}]}
        slow = stack.enter_context(clients[0].session(server, handler_ms=200))
        echo = stack.enter_context(clients[0].session(server))
        for place in range(busy):
            stack.enter_context(clients[place % 2].session(server, body=heavy, keep_audio=False)).wait_first(30)
        time.sleep(5)
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            before = server.usage()
            time.sleep(min(every, seconds))
            after = server.usage()
            row: dict[str, Any] = {"s": round(after.at - begun), "rss": after.rss, "threads": after.threads,
                                   "files": after.files, "cpu": (after.cpu - before.cpu) / (after.at - before.at)}
            for name, session in (("slow", slow), ("echo", echo)):
                got = session.report(before.at, after.at, audio=True)
                row[name] = percentiles(new_pictures(got["video"])[1])
                row[f"{name}_audio"] = percentiles(np.array(got.get("audio", {}).get("delay", [])))
            rows.append(row)
            print(f"overload {row['s']:4} s: core {row['cpu']:.2f}, slow {report.spread(row['slow'])}, echo "
                  f"{report.spread(row['echo'])}, {row['rss'] / 2**20:.1f} MiB", flush=True)
    return _told_overload(rows, busy)


def _told_overload(rows: list[dict[str, Any]], busy: int) -> tuple[str, bool]:
    medians = [row["slow"]["p50"] if row["slow"] else float("inf") for row in rows]
    third = max(1, len(medians) // 3)
    drift = float(np.median(medians[-third:]) - np.median(medians[:third]))
    warm = rows[len(rows) // 4 :]
    growth = (warm[-1]["rss"] - warm[0]["rss"]) / 2**20
    threads, files = {row["threads"] for row in warm}, {row["files"] for row in warm}
    held = abs(drift) <= DRIFT and growth < 20
    lines = [f"## Overload for {rows[-1]['s'] / 60:.0f} minutes", "",
             f"One core; a session with a 200 ms stage, an echo session, and {busy} with `cartoon`, which want more",
             f"than the core has. The slow session's p50 drifts {drift:+.1f} ms (last third less first third, at most",
             f"±{DRIFT:g}), memory {growth:+.1f} MiB after the first quarter, threads {_span(threads)}, file",
             f"descriptors {_span(files)}. {'Held.' if held else '**Not held.**'}", "",
             "| s | core | slow session p50 / p95 / p99 ms | its sound | echo session | its sound | RSS MiB |",
             "|---|---|---|---|---|---|---|"]
    for row in rows[:: max(1, len(rows) // 10)]:
        told = " | ".join(report.spread(row[name]) for name in ("slow", "slow_audio", "echo", "echo_audio"))
        lines.append(f"| {row['s']} | {row['cpu']:.2f} | {told} | {row['rss'] / 2**20:.1f} |")
    return "\n".join(lines), held


if __name__ == "__main__":
    for fec in (True, False):
        media.audio(fec)
    media.video(640, 480)
    Path(HERE / "work").mkdir(exist_ok=True)
    try:
        code = main()
    finally:
        _clients.close()
    sys.exit(code)
