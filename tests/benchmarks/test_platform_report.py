"""What the sections of `make bench-platform` say of their figures, whatever could be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine
from benchmarks.platform import batching, live, peers, rest, scale
from benchmarks.platform.sections import SECTIONS
from benchmarks.sectioned import Report

FAILED: dict[str, Any] = {"error": "ConnectionError: nobody listens"}
REFUSED: dict[str, Any] = {"per_s": 0.0, "errors": 3, "error": "HTTP/1.1 500", "load_cpu": 0.1, "p50": None,
                           "p95": None, "p99": None}


def figures(p50: float, per_s: float = 1000.0) -> dict[str, Any]:
    return {"per_s": per_s, "errors": 0, "load_cpu": 0.3, "p50": p50, "p95": 2 * p50, "p99": 3 * p50}


def kills() -> dict[str, Any]:
    return {"kills": 50, "early": 6, "acknowledged": {"key": 9}, "cut_off": {}, "jobs": {"done": 3}, "checked": 80,
            "worn": 0, "repeats": 1, "left": 0, "lost": [], "orphans": [], "strange": [], "start_s": 4.2,
            "seconds": 300}


def spread(p95: float) -> dict[str, float]:
    return {"p50": p95 / 2, "p95": p95, "p99": 2 * p95}


def beside(p95: float) -> dict[str, Any]:
    return {"quiet": {"per_s": 30.0, "video": spread(6.0), "audio": spread(3.0)},
            "counting": {"per_s": 30.0, "video": spread(6.5), "audio": spread(3.0)},
            "busy": {"per_s": 30.0, "video": spread(p95), "audio": spread(3.1)}, "predict": figures(1.0, 50.0),
            "uploaded": 500_000_000, "conversions": 2, "errors": []}


def results() -> dict[str, Any]:
    return {
        "rest": {"runs": {"/predict": {"1": {"ours": figures(0.5), "bare": figures(0.2)},
                                       "32": {"ours": figures(4.0), "bare": figures(3.0)}},
                          "/v2, JSON": {"1": {"ours": figures(1.5), "bare": figures(0.2)},
                                        "32": {"ours": figures(9.0), "bare": figures(3.0)}}}},
        "batching": {"networks": {"mlp": {"batches": figures(5.0, 3000), "switched off": figures(20.0, 600)},
                                  "text": FAILED,
                                  "convolutional": {"batches": figures(5.0, 980), "switched off": figures(5, 1000)}}},
        "peers": {"runs": {"no-op": {"ours": {count: figures(1.0) for count in ("1", "16", "32")},
                                     "litserve": {"1": figures(4.0, 200), "16": figures(9.0, 800), "32": REFUSED}}},
                  "titles": {"ours": "AI Mass Stream", "litserve": "LitServe"}, "cpu": {},
                  "absent": {"mlflow": "mlflow's environment could not be made"},
                  "versions": {"litserve": {"litserve": "0.2"}}},
        "live": {"sessions": {"echo": beside(6.5), "detect": FAILED}}, "kills": kills(),
        "scale": {"counts": {"hub_models": 10_000, "usage": 1_000_000}, "filled_s": 12.0, "runs": {
            "list": {"sorted by name": {"1": figures(3.0), "4": figures(30.0)}},
            "search": {"a word": {"1": figures(30.0), "4": figures(90.0)},
                       "two words": {"1": figures(3.0), "4": REFUSED}},
        }}}


def test_aims_are_met_missed_or_not_measured() -> None:
    found = results()
    assert [aim.met for aim in rest.aims(found["rest"])] == [True, True, False, False]
    assert [aim.met for aim in batching.aims(found["batching"])] == [True, True, None, None, True]
    assert [aim.met for aim in peers.aims(found["peers"])] == [None, None], "an error is no answer to be ahead of"
    found["peers"]["runs"]["no-op"]["litserve"]["32"] = figures(20.0, 800)
    assert [aim.met for aim in peers.aims(found["peers"])] == [None, True]
    assert [aim.met for aim in live.aims(found["live"])] == [True, True, None]
    assert [(aim.met, aim.measured) for aim in scale.aims(found["scale"])] == [
        (True, "6.00 ms (sorted by name)"), (False, "60.0 ms (a word)")]


def test_a_live_session_is_not_judged_by_others_who_did_nothing() -> None:
    one = beside(6.0)
    for change in ({"uploaded": 0}, {"predict": figures(1.0, 20.0)}, {"errors": ["HTTPError: no"]}):
        assert {aim.met for aim in live.aims({"sessions": {"echo": one | change}})} == {None}
    assert [aim.met for aim in live.aims({"sessions": {"echo": beside(6.7)}})] == [False, True]


def test_every_section_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn with the extra bench")
    told = {name: {"commit": "abc", "date": "2026-01-01 00:00 UTC", "figures": one, "minutes": 1.5}
            for name, one in results().items()}
    report = Report("platform", "The platform", SECTIONS, None)
    text = report.markdown(told | {"machine": machine.describe([])}, tmp_path)
    assert text.count("Commit abc") == len(SECTIONS) == len(told)
    assert "None" not in text
    for block in (block for block in text.split("\n\n") if block.startswith("|")):
        assert len({line.count(" | ") for line in block.splitlines()}) == 1, "a row has a cell for each column"
