"""The section on a hub with 10,000 models and 1,000,000 rows of usage: how long lists and searches take over HTTP."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from ..aims import Aim
from ..servers import Server
from ..speech.section import Result, table
from .callers import Load, Request, brief, exact, figures, fine
from .filling import DAY, KEYS, TAGS_KNOWN, TASKS, USERS, WORDS, fill
from .own import folder, ours
from .rest import row

MODELS, ROWS = 10_000, 1_000_000
FEW = (1_000, 100_000)  # models and rows of a quick run
SECONDS, QUICK = 1.5, 0.6
CALLERS = (1, 4)
WITHIN = 50.0  # ms, p95
PAGES = 20  # that are walked through


def run(quick: bool) -> Result:
    data = folder("scale")
    try:
        with ours("scale", data=data):
            pass  # its tables are there now
        begun, now = time.monotonic(), time.time()
        counts = fill(data, *(FEW if quick else (MODELS, ROWS)), now)
        result: Result = {"counts": counts, "filled_s": round(time.monotonic() - begun, 1), "runs": {}}
        with ours("scale", data=data) as server, Load() as load:
            for group, name, paths in questions(server, now):
                result["runs"].setdefault(group, {})[name] = found = _asked(server, load, paths, quick)
                for callers, one in found.items():
                    print(f"  {group}, {name}, {callers} callers: {brief(one)}", flush=True)
        return result
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _asked(server: Server, load: Load, paths: Sequence[str], quick: bool) -> Result:
    request = Request("", b"", {}, "GET", tuple(paths))
    return {str(callers): figures([load.measure(server, request, callers, QUICK if quick else SECONDS)])
            for callers in CALLERS}


def questions(server: Server, now: float) -> list[tuple[str, str, list[str]]]:
    """What is asked: group, name, and paths that are asked in turns."""
    hub, models = "/v1/hub/models", []
    for sort in ("updated", "downloads", "rating", "name"):
        models.append(("list", f"sorted by {sort}", [f"{hub}?sort={sort}"]))
    models += [
        ("list", f"{PAGES} pages, one after the other", walked(server, hub)),
        ("list", "by task", [f"{hub}?task={task}" for task in TASKS]),
        ("search", "a word", [f"{hub}?q={word}" for word in WORDS]),
        ("search", "two words", [f"{hub}?q={one}+{other}" for one, other in zip(WORDS, WORDS[7:], strict=False)]),
        ("search", "parts of words", [f"{hub}?q={word[1:5]}" for word in WORDS]),
        ("search", "what nobody has", [f"{hub}?q=nobody{number}" for number in range(50)]),
        ("search", "a word and a task, by rating", [f"{hub}?q={word}&task={TASKS[1]}&sort=rating" for word in WORDS]),
        ("tag", "by tag", [f"{hub}?tag={tag}" for tag in TAGS_KNOWN]),
        ("tag", "all tags", ["/v1/hub/tags"])]
    for span, days in (("day", 1), ("month", 30), ("year", 364)):
        begin = int(now - days * DAY)
        for by in ("total", "key", "model", "time"):
            models.append(("usage", f"of a {span}, by {by}", [f"/v1/usage?from={begin}&by={by}"]))
        models.append(("usage", f"of a {span}, of each key", [
            f"/v1/usage?from={begin}&by=model&of=key_{number}" for number in range(KEYS)]))
        models.append(("usage", f"of a {span}, of each person by time", [
            f"/v1/usage?from={begin}&by=time&of=usr_{number}" for number in range(USERS)]))
    return models


def walked(server: Server, path: str) -> list[str]:
    """The addresses of the first pages."""
    paths, cursor = [path], ""
    while len(paths) < PAGES:
        cursor = httpx.get(server.base + paths[-1], timeout=60).json()["next"]
        if not cursor:
            break
        paths.append(f"{path}?cursor={cursor}")
    return paths


TITLES = {"list": "lists of models", "search": "search", "tag": "by tag", "usage": "usage by day, month and year"}


def aims(result: Result) -> list[Aim]:
    counts = result["counts"]
    there = f"{counts['hub_models']:,} models, {counts['usage']:,} rows of usage"
    return [_aim(f"{there}: {TITLES[group]}, p95 <= {WITHIN:g} ms", runs, lambda callers: callers == "1")
            for group, runs in result["runs"].items()]


def _aim(text: str, runs: dict[str, Result], which: Callable[[str], bool]) -> Aim:
    """By the slowest question of the group."""
    asked = [(name, one) for name, found in runs.items() for callers, one in found.items() if which(callers)]
    if not asked or not all(fine(one) for _, one in asked):
        return Aim(text, next((one.get("error", "no answer") for _, one in asked if not fine(one)), "–")[:120], None)
    name, worst = max(asked, key=lambda pair: float(pair[1]["p95"]))
    return Aim(text, f"{exact(worst['p95'])} ms ({name})", worst["p95"] <= WITHIN)


def tell(result: Result) -> str:
    rows: list[list[Any]] = [[TITLES[group], name, callers, *row(one)] for group, runs in result["runs"].items()
                             for name, found in runs.items() for callers, one in found.items()]
    counts = ", ".join(f"{count:,} {name}" for name, count in result["counts"].items())
    return (f"A database in SQLite with rows by chance ({counts}), written while no server ran "
            f"({result['filled_s']:g} s); each model has a card of 90 words, three tags of 200 and a version. Then "
            "`aimass serve` is asked over HTTP, with pages of 50 models and 100 rows of usage, by one caller and by "
            "four, who ask different things in turns. The caller is the machine's owner, who sees all of it. Aims are "
            "for one caller and the slowest question of each kind.\n\n"
            + table(["", "asked", "callers", "requests/s", "p50, ms", "p95, ms", "p99, ms", "errors"], rows))
