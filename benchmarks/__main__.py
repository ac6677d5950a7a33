"""`python -m benchmarks`: measure ourselves and four peers on this machine, with the same client and clips.

A full run writes results.md, results.json and plots/; a partial or quick one writes the same files under
benchmarks/work/. Ctrl-C keeps what was measured so far.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import drawing, machine, media, plan, report
from .measure import QUICK, Lengths, Result
from .servers import CLIENT_CORE, HERE, OURS, SERVER_CORE, SUBJECTS, VIDEO_ONLY, install, missing


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"comma-separated, of: {', '.join(plan.GROUPS)}")
    parser.add_argument("--peers", help=f"comma-separated, of: {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="shorter measurements; figures are rougher")
    parser.add_argument("--again", action="store_true", help="write results.md and plots anew from results.json")
    chosen = parser.parse_args()
    for given, known in ((chosen.only, plan.GROUPS), (chosen.peers, SUBJECTS)):
        unknown = set(given.split(",")) - set(known) if given else set()
        if unknown:
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return chosen


class Progress:
    """Prints every result as it comes and keeps all of them."""

    def __init__(self, results: dict[str, Any], raw: Path) -> None:
        self.results = results
        self.raw = raw
        self.begun = time.monotonic()

    def note(self, subject: str, group: str, label: str, result: Result) -> None:
        self.results["subjects"].setdefault(subject, {}).setdefault(group, {})[label] = result
        minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
        print(f"{minutes:02}:{seconds:02}  {subject:13} {group:9} {label:14} {report.brief(group, result)}", flush=True)
        save(self.results, self.raw)


def save(results: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(report.compact(json.dumps(results, indent=1, ensure_ascii=False)) + "\n")


def main() -> int:
    chosen = _arguments()
    full = not (chosen.only or chosen.peers or chosen.quick)
    folder = HERE if full or chosen.again else HERE / "work"
    if chosen.again:
        write(json.loads((folder / "results.json").read_text()), folder)
        return 0
    names = chosen.peers.split(",") if chosen.peers else list(SUBJECTS)
    groups = set(chosen.only.split(",")) if chosen.only else set(plan.GROUPS)
    for name in names:
        if name != OURS:
            install(name)
    absent = {name: reason for name in names if (reason := missing(SUBJECTS[name])) is not None}
    for name, reason in absent.items():
        print(f"{name} is left out: {reason}")
    names = [name for name in names if name not in absent]
    for size in ((640, 480), (1280, 720)):
        media.video(*size)
    for fec in (True, False):
        media.audio(fec)
    results: dict[str, Any] = {
        "machine": machine.describe(names), "quick": chosen.quick, "absent": absent, "interrupted": False,
        "cores": {"server": SERVER_CORE, "client": CLIENT_CORE},
        "titles": {name: SUBJECTS[name].title for name in names} | {VIDEO_ONLY.name: VIDEO_ONLY.title},
        "floor": _floor(), "subjects": {},
    }
    progress = Progress(results, folder / "results.json")
    lengths = QUICK if chosen.quick else Lengths()
    try:
        for batch in plan.batches(names, groups, lengths, chosen.quick):
            name = batch.subject.name
            plan.run(batch, results["subjects"].get(name, {}), functools.partial(progress.note, name))
    except KeyboardInterrupt:
        print("\nstopped; what was measured is kept")
        results["interrupted"] = True
    results["minutes"] = round((time.monotonic() - progress.begun) / 60, 1)
    write(results, folder)
    return 0


def write(results: dict[str, Any], folder: Path) -> None:
    save(results, folder / "results.json")
    drawn = drawing.draw(results, folder / "plots")
    (folder / "results.md").write_text(report.markdown(results, drawn))
    print(f"written: {folder / 'results.md'}")


def _floor() -> dict[str, Any]:
    """Measured on the server's core, while nothing else runs."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.floor", str(SERVER_CORE)], cwd=HERE.parent,
                          capture_output=True, text=True, check=True)
    floor: dict[str, Any] = json.loads(done.stdout)
    return floor


if __name__ == "__main__":
    sys.exit(main())
