"""`python -m benchmarks.speech`: measure hearing, speaking and conversing on this machine, beside other servers.

A full run writes speech.md, speech.json and plots/speech-*.svg. `--only` measures some sections anew and keeps the
figures of the others, whose commits and dates the report names; `--quick` writes to benchmarks/work/ instead.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from .. import machine, report
from ..servers import HERE
from .sections import SECTIONS


def _arguments() -> argparse.Namespace:
    names = ", ".join(section.name for section in SECTIONS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"comma-separated, of: {names}")
    parser.add_argument("--quick", action="store_true", help="shorter measurements; figures are rougher")
    parser.add_argument("--again", action="store_true", help="write speech.md and plots anew from speech.json")
    chosen = parser.parse_args()
    unknown = set((chosen.only or "").split(",")) - {section.name for section in SECTIONS} - {""}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {names}")
    return chosen


def main() -> int:
    chosen = _arguments()
    folder = HERE / "work" if chosen.quick else HERE
    folder.mkdir(exist_ok=True)
    raw = folder / "speech.json"
    results: dict[str, Any] = json.loads(raw.read_text()) if raw.exists() and (chosen.only or chosen.again) else {}
    wanted = set(chosen.only.split(",")) if chosen.only else {section.name for section in SECTIONS}
    try:
        for section in SECTIONS if not chosen.again else ():
            if section.name in wanted:
                print(f"{section.title} (about {section.minutes:g} minutes)", flush=True)
                begun = time.monotonic()
                figures = section.run(chosen.quick)
                about = machine.describe([])
                results[section.name] = {"commit": about["commit"], "date": about["date"], "figures": figures,
                                         "minutes": round((time.monotonic() - begun) / 60, 1)}
                raw.write_text(report.compact(json.dumps(results, indent=1, ensure_ascii=False)) + "\n")
    except KeyboardInterrupt:
        print("\nstopped; what was measured is kept")
    results["machine"] = machine.describe([])
    raw.write_text(report.compact(json.dumps(results, indent=1, ensure_ascii=False)) + "\n")
    (folder / "speech.md").write_text(markdown(results, folder))
    print(f"written: {folder / 'speech.md'}")
    return 0


def markdown(results: dict[str, Any], folder: Path) -> str:
    about = results["machine"]
    measured = [section for section in SECTIONS if section.name in results]
    lines = ["# Speech, measured", "",
             f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
             f"Python {about['python']}. Written by `make bench-speech`; each section names its commit and time.", "",
             "| aim | measured | |", "| --- | --- | --- |"]
    for section in measured:
        for aim in section.aims(results[section.name]["figures"]):
            sign = "not measured" if aim.met is None else "met" if aim.met else "**missed**"
            lines.append(f"| {aim.text} | {aim.measured} | {sign} |")
    for section in SECTIONS:
        lines += ["", f"## {section.title}", ""]
        if section.name not in results:
            lines.append("Not measured.")
            continue
        one = results[section.name]
        lines += [section.tell(one["figures"]), ""]
        for name, caption in _plots(section, one["figures"], folder):
            lines += [f"![{caption}](plots/{name})", "", f"*{caption}*", ""]
        lines.append(f"Commit {one['commit']}, {one['date']}, {one['minutes']:g} minutes.")
    return "\n".join(lines) + "\n"


def _plots(section: Any, figures: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    import matplotlib  # not needed to measure, only here

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25})
    (folder / "plots").mkdir(exist_ok=True)
    drawn: list[tuple[str, str]] = section.plots(figures, folder / "plots")
    return drawn


if __name__ == "__main__":
    sys.exit(main())
