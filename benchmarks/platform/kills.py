"""The section on servers that are killed: kill -9 at random moments while clients write, and what is there after each.

Two servers, each with a folder, clients and a seed of its own, are killed again and again beside each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from ..aims import Aim
from ..servers import HERE, free_port
from ..speech.section import Result, table
from .ledger import Ledger
from .own import ENVIRONMENT, FAILURES, folder
from .writers import Writers

KILLS, QUICK = 50, 4
LANES = 2
SEED = 20
MEAN, LONGEST = 2.0, 8.0  # s that clients write before a kill: exponential, and cut off there
EARLY = 0.15  # share of the kills that come while the server starts
START = 6.0  # s, that such a kill comes after at most
READY = 120.0  # s


def run(quick: bool) -> Result:
    count = QUICK if quick else KILLS
    begun = time.monotonic()
    with ThreadPoolExecutor(LANES) as pool:
        lanes = [pool.submit(lane, SEED + number, count // LANES) for number in range(LANES)]
        found = [one.result() for one in lanes]
    return joined(found) | {"seconds": round(time.monotonic() - begun)}


def lane(seed: int, kills: int) -> Result:
    """One server's kills, in a thread with a loop of its own."""
    place, ledger = folder(f"kills-{seed}"), Ledger()
    writers, killing = Writers(seed, ledger), Killing(seed, place, ledger)
    error = ""
    try:
        with killing.served() as base:
            asyncio.run(writers.prepare(base))
        for number in range(kills):
            killing.once(writers)
            print(f"  server {seed}: kill {number + 1} of {kills}; {sum(ledger.acknowledged.values())} writes "
                  f"acknowledged, {len(ledger.lost)} lost, {len(ledger.orphans)} orphans", flush=True)
        with killing.served() as base:
            asyncio.run(writers.check(base, place))
            asyncio.run(writers.finish(base))
    except FAILURES as raised:
        error = f"{type(raised).__name__}: {raised}"[:300]
    if not (error or ledger.lost or ledger.orphans or writers.strange):
        shutil.rmtree(place, ignore_errors=True)  # else it can be looked at
    return {"kills": killing.kills, "early": killing.early, "acknowledged": dict(ledger.acknowledged),
            "cut_off": dict(ledger.cut_off), "checked": ledger.checked, "lost": ledger.lost, "orphans": ledger.orphans,
            "strange": writers.strange + ([error] if error else []), "jobs": dict(writers.ended),
            "worn": writers.lost_workers, "repeats": writers.repeats, "left": len(ledger.of("job")),
            "starts": killing.starts}


class Killing:
    """A server's folder, and the processes that are started on it one after the other."""

    def __init__(self, seed: int, place: Path, ledger: Ledger) -> None:
        self.random, self.place, self.ledger = random.Random(seed), place, ledger
        self.kills = self.early = 0
        self.starts: list[float] = []  # s until a server answered
        self._log = HERE / "work" / f"kills-{seed}.log"

    def once(self, writers: Writers) -> None:
        """Start, look at what is there, write, and kill it somewhere on the way."""
        if self.random.random() < EARLY:
            with self._process() as (process, _):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.random.uniform(0, START))
                self._kill(process)
            self.early += 1
            return
        with self._process() as (process, base):
            self._ready(process, base)
            asyncio.run(writers.check(base, self.place))
            moment = min(self.random.expovariate(1 / MEAN), LONGEST)
            killer = threading.Timer(moment, self._kill, (process,))
            killer.start()
            try:
                asyncio.run(writers.write(base, lambda: process.poll() is not None))
            finally:
                killer.join()
        self.ledger.killed()

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """A server that ends in peace."""
        with self._process() as (process, base):
            self._ready(process, base)
            yield base
            process.terminate()
            process.wait(30)

    @contextlib.contextmanager
    def _process(self) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        port = free_port()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "aimass_stream", "serve", "--port", str(port), "--data-dir", str(self.place)],
                stdout=log, stderr=log, preexec_fn=_mortal, start_new_session=True, cwd=HERE.parent,
                env=os.environ | ENVIRONMENT)
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()

    def _ready(self, process: subprocess.Popen[bytes], base: str) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < READY:
            if process.poll() is not None:
                raise ConnectionError(f"a server did not start again: {self._log.read_bytes()[-400:]!r}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{base}/healthz", timeout=5).status_code == 200:
                    self.starts.append(time.monotonic() - begun)
                    return
            time.sleep(0.05)
        raise TimeoutError("a server did not answer after its start")

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills += 1


def _mortal() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it doesn't outlive us


def joined(lanes: list[Result]) -> Result:
    """The servers' figures as one."""
    result: Result = {}
    for name in ("kills", "early", "checked", "worn", "repeats", "left"):
        result[name] = sum(one[name] for one in lanes)
    for name in ("acknowledged", "cut_off", "jobs"):
        keys = sorted({key for one in lanes for key in one[name]})
        result[name] = {key: sum(one[name].get(key, 0) for one in lanes) for key in keys}
    for name in ("lost", "orphans", "strange"):
        result[name] = [told for one in lanes for told in one[name]]
    starts = [seconds for one in lanes for seconds in one["starts"]]
    result["start_s"] = round(float(np.median(starts)), 1) if starts else None
    return result


def aims(result: Result) -> list[Aim]:
    kills, enough = result["kills"], result["kills"] > 0 and result["checked"] > 0
    writes, ended = sum(result["acknowledged"].values()), sum(result["jobs"].values())
    return [
        Aim(f"kill -9, {kills} times: no acknowledged write lost", f"{len(result['lost'])} of {writes}",
            not result["lost"] if enough else None),
        Aim(f"kill -9, {kills} times: no orphan blob served, no half-written one", f"{len(result['orphans'])}",
            not result["orphans"] if enough else None),
        Aim(f"kill -9, {kills} times: it starts again, and answers nothing unexpected", f"{len(result['strange'])}",
            not result["strange"] if enough else None),
        Aim(f"kill -9, {kills} times: jobs resume and end", f"{ended} ended, {result['repeats']} of them begun again; "
            f"{result['left']} did not end", result["left"] == 0 if enough and ended else None)]


KINDS = {"model": "models", "title": "titles", "upload": "parts of uploads", "version": "versions made or deleted",
         "alias": "deployments", "key": "keys made or revoked", "job": "jobs"}


def tell(result: Result) -> str:
    rows: list[list[Any]] = [[title, result["acknowledged"].get(kind, 0), result["cut_off"].get(kind, 0)]
                             for kind, title in KINDS.items()]
    faults = [*result["lost"], *result["orphans"], *result["strange"]]
    told = "".join(f"\n- {each}" for each in faults[:20])
    return (f"`aimass serve` with a folder of its own, {LANES} of them beside each other, is killed again and again "
            "while clients upload files in parts, make, deploy and delete versions, change titles, make and revoke "
            f"keys and begin conversions, all at once. {result['early']} of {result['kills']} kills came during a "
            f"start, the others after up to {LONGEST:g} s of writing (exponential, mean {MEAN:g} s, seeded). After "
            "each start everything that was acknowledged is compared with what is there "
            f"({result['checked']} comparisons): an upload has at least what was acknowledged and goes on from there "
            "to the same SHA-256; a version has its file, byte by byte, or is gone; the deployed version is the one "
            "that answers; a revoked key opens nothing, a good one does; blobs on disk are what their names say. A "
            "write without an answer may have happened or not. Jobs are begun again, three times at most, as "
            f"documented: {result['worn']} ended because three servers in a row were killed under them. It took "
            f"{result['start_s']} s until a server answered again (median, while the other one was at work), and all "
            f"of it {result['seconds']} s.\n\n"
            + table(["", "acknowledged", "cut off by a kill"], rows)
            + f"\n\nJobs: {', '.join(f'{count} {state}' for state, count in result['jobs'].items()) or 'none'}."
            + (f"\n\n{len(faults)} faults:\n{told}" if faults else ""))
