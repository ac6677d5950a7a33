"""What the figures say, and how they are written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import drawing, figures, machine, report
from benchmarks.aims import aims


def spread(p50: float) -> dict[str, float]:
    return {"p50": p50, "p95": p50 + 4, "p99": p50 + 9}


def link(frozen: float, **more: Any) -> dict[str, Any]:
    phases = {"base_ms": 9.0, "during_ms": spread(12.0), "after_ms": 9.5, "added_ms": 3.0, "left_ms": 0.5}
    return {"frozen": frozen, "audio_missed": 0.01, "video": phases, "audio": {**phases, "left_ms": None},
            "seconds": 7.0, "series": [[0.0, 9.0], [1.0, 12.0]], "audio_series": [], **more}


def results() -> dict[str, Any]:
    echo = {"video_ms": spread(9.0), "video_p50s_ms": [9.0, 9.1], "audio_ms": spread(4.0), "cpu": 0.12,
            "memory_mib": 10.0, "idle_pss_mib": 80.0, "video_series": [[0.0, 9.0], [0.03, 9.5]]}
    relay = {**echo, "video_ms": spread(46.0), "cpu": 0.2}
    ours = {"echo": {"480p": echo}, "loss": {"5%": link(0.08, concealed_by_server={"fec": 0.05, "plc": 0.004})},
            "handler": {"200": {"error": "TimeoutError: no answer within 40 s"}}}
    return {
        "machine": {**machine.describe([]), "peers": {"aiortc": {"aiortc": "1.16.0"}}}, "quick": False,
        "interrupted": False, "absent": {"pipecat": "its environment is not installed"}, "minutes": 19,
        "cores": {"server": 0, "client": 1}, "titles": {"ours": "AI Mass Stream", "aiortc": "aiortc relay"},
        "floor": {"720p": {"decode": 1.2, "encode": 8.0, "show": 1.3, "total": 10.5}},
        "subjects": {"ours": ours, "aiortc": {"echo": {"480p": relay}}},
    }


def test_the_report_says_what_was_met_and_what_was_not() -> None:
    text = report.markdown(results(), [("echo.svg", "Echo")])
    assert "| echo, video p50 / p95 <= 12 / 18 ms | 9.0 / 13.0 ms | yes |" in text
    assert "| processor <= 0.70 of the relay's in the same run | 0.60 (0.12 of 0.2 core) | yes |" in text
    assert "| 5 % loss: frozen <= 5 % of the time | 8.0 % | **no** |" in text
    assert "| Echo 640x480@30: video p50 / p95 / p99, ms | 9.0 / 13.0 / 18.0 | 46.0 / 50.0 / 55.0 |" in text
    assert "TimeoutError: no answer within 40 s" in text
    assert "pipecat: its environment is not installed" in text
    assert "![Echo](plots/echo.svg)" in text
    assert "5% with FEC: fec 5.0 %, plc 0.4 %" in text
    assert "{server}" not in text


def test_what_fec_brought_back_is_not_made_up() -> None:
    found = {aim.text: aim for aim in aims(results())}
    concealed = found["5 % loss: sound concealed <= 1 % when the sender sends FEC (server's counter)"]
    assert concealed.met
    assert found["drift with a 200 ms handler 0 ± 20 ms"].met is None, "a failed measurement meets nothing"


def test_a_report_of_nothing_is_still_a_report() -> None:
    empty = {**results(), "subjects": {}, "interrupted": True}
    text = report.markdown(empty, [])
    assert "Interrupted" in text
    assert all(aim.met is None for aim in aims(empty))


def test_plots_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with make bench")
    drawn = drawing.draw(results(), tmp_path)
    assert [name for name, _ in drawn] == ["echo.svg", "loss.svg"]
    first = (tmp_path / "echo.svg").read_bytes()
    drawing.draw(results(), tmp_path)
    assert (tmp_path / "echo.svg").read_bytes() == first, "the same figures give the same file"


def test_freezes_are_counted_and_ordinary_gaps_are_not() -> None:
    regular = np.arange(0, 10, 1 / 30)
    assert figures.frozen(regular, 0, 10) == 0
    held = regular[(regular < 4) | (regular > 5)]
    assert figures.frozen(held, 0, 10) == pytest.approx(0.1, abs=0.01)
    assert figures.frozen(np.zeros(0), 0, 10) == pytest.approx(1, abs=0.01)


def test_only_the_first_showing_of_a_picture_counts() -> None:
    video = {"at": [1.0, 1.1, 1.2, 1.3], "delay": [0.1, 0.2, 0.1, 0.3]}  # taken at 0.9, 0.9, 1.1, 1.0
    times, delays = figures.new_pictures(video)
    assert times.tolist() == [1.0, 1.2]
    assert delays.tolist() == [0.1, 0.1]


def test_json_keeps_a_series_on_one_line() -> None:
    assert report.compact('{"a": [\n  [\n   1,\n   2.5\n  ],\n  [\n   3,\n   -4\n  ]\n ]}').count("\n") == 2
