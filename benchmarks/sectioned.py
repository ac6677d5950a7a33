"""A report made of sections, each measured by itself: what `python -m benchmarks.speech` and `.vision` have in common.

A full run writes NAME.md, NAME.json and plots/NAME-*. `--only` measures some sections anew and keeps the figures of
the others, whose commits and dates the report names; `--quick` writes to benchmarks/work/ instead.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import machine, report
from .servers import HERE
from .speech.section import Section


@dataclass(frozen=True)
class Report:
    name: str  # of its files
    title: str
    sections: Sequence[Section]
    doc: str | None  # what `--help` says

    def main(self) -> int:
        chosen = self._arguments()
        folder = HERE / "work" if chosen.quick else HERE
        folder.mkdir(exist_ok=True)
        raw = folder / f"{self.name}.json"
        keeps = raw.exists() and (chosen.only or chosen.again)
        results: dict[str, Any] = json.loads(raw.read_text()) if keeps else {}
        if not chosen.again:
            wanted = set(chosen.only.split(",")) if chosen.only else {section.name for section in self.sections}
            try:
                self._measure(results, wanted, chosen.quick, raw)
            except KeyboardInterrupt:
                print("\nstopped; what was measured is kept")
        results["machine"] = machine.describe([])
        _save(results, raw)
        (folder / f"{self.name}.md").write_text(self.markdown(results, folder))
        print(f"written: {folder / f'{self.name}.md'}")
        return 0

    def _arguments(self) -> argparse.Namespace:
        names = ", ".join(section.name for section in self.sections)
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}", description=self.doc,
                                         formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--only", help=f"comma-separated, of: {names}")
        parser.add_argument("--quick", action="store_true", help="shorter measurements; figures are rougher")
        parser.add_argument("--again", action="store_true", help=f"write {self.name}.md and plots anew from "
                            f"{self.name}.json")
        chosen = parser.parse_args()
        unknown = set((chosen.only or "").split(",")) - {section.name for section in self.sections} - {""}
        if unknown:
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {names}")
        return chosen

    def _measure(self, results: dict[str, Any], wanted: set[str], quick: bool, raw: Path) -> None:
        for section in self.sections:
            if section.name in wanted:
                print(f"{section.title} (about {section.minutes:g} minutes)", flush=True)
                begun = time.monotonic()
                figures = section.run(quick)
                about = machine.describe([])
                results[section.name] = {"commit": about["commit"], "date": about["date"], "figures": figures,
                                         "minutes": round((time.monotonic() - begun) / 60, 1)}
                _save(results, raw)

    def markdown(self, results: dict[str, Any], folder: Path) -> str:
        about = results["machine"]
        measured = [section for section in self.sections if section.name in results]
        lines = [f"# {self.title}, measured", "",
                 f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
                 f"Python {about['python']}. Written by `make bench-{self.name}`; each section names its commit and "
                 "time.", "", "| aim | measured | |", "| --- | --- | --- |"]
        for section in measured:
            for aim in section.aims(results[section.name]["figures"]):
                sign = "not measured" if aim.met is None else "met" if aim.met else "**missed**"
                lines.append(f"| {aim.text} | {aim.measured} | {sign} |")
        for section in self.sections:
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


def _save(results: dict[str, Any], raw: Path) -> None:
    raw.write_text(report.compact(json.dumps(results, indent=1, ensure_ascii=False)) + "\n")


def _plots(section: Section, figures: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    import matplotlib  # not needed to measure, only here

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25})
    (folder / "plots").mkdir(exist_ok=True)
    return section.plots(figures, folder / "plots")
