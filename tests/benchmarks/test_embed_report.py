"""What the sections of `make bench-embed` say of their figures, whatever could be measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.speech.words import Word
from benchmarks import machine
from benchmarks.embed import delays, heap, lips, reconnect, room, sizes
from benchmarks.embed.page import spread
from benchmarks.embed.sections import SECTIONS
from benchmarks.sectioned import Report
from benchmarks.speech.corpus import Stream

FAILED: dict[str, Any] = {"error": "ConnectionError: nobody listens"}


def way(middle: float, most: float) -> dict[str, Any]:
    return {"delay": {"p50": middle, "p95": most, "max": 2 * most, "count": 600}, "share": 0.98, "frozen": 90,
            "codec": "VP8", "server": 9.5}


def back(slowest: int, **changed: Any) -> dict[str, Any]:
    return {"count": 4, "back": [400, slowest], "after_ready": [300, slowest], "raw": [40, 60], "gap": [70, 90],
            "stood_in": 4, "events": 900, "sessions": 1, "lost": 0, "doubled": 0} | changed


def apart(most: float, heard: float = 1.0) -> dict[str, Any]:
    return {"minutes": 10.0, "offset": {"p50": 9.0, "p95": most, "max": 50.0, "count": 600}, "median": -3.0,
            "sound": spread([60.0, 70.0]), "picture": spread([70.0]), "heard_share": heard,
            "series": [[float(at), 3.0 + at / 600] for at in range(600)]}


def looks(later: int) -> dict[str, Any]:
    return {"looks": [{"connections": count, "heap": heap, "nodes": 9, "listeners": 4, "browser_mb": 400,
                       "seconds": 0.7} for count, heap in ((20, 2_000_000), (100, later))]}


def talked(**changed: Any) -> dict[str, Any]:
    """Figures of a room; what is changed is so in all of its cases."""
    one = {"seconds": 301, "delay_ms": {"p50": 900.0, "p95": 1500.0, "max": 1900.0, "count": 200},
           "final_ms": None, "growth_s": 0.1, "tail_s": 0.6, "wer": 0.5, "words": 260, "utterances": 12,
           "pictures_s": 29.8, "cores": {"server": 0.3, "decoders": 0.7, "people": 0.4, "janus": 0.05}, "load": 1.9,
           "speakers": 1.2, "overlap": 0.2, "lost": 0, "left": [], "served": 4}
    return {"machine_cores": 2, "cases": {case.name: one | changed for case in room.CASES}}


def results() -> dict[str, Any]:
    return {
        "delay": {"ways": {"shown": way(10, 18), "loopback": way(40, 50), "webrtc, nothing": way(54, 70),
                           "webrtc, mirror": way(55, 91), "websocket, nothing": FAILED,
                           "websocket, mirror": way(60, 99)}},
        "reconnect": {"cuts": {"webrtc": FAILED, "websocket": back(800, lost=1, after_ready=None)},
                      "kills": {"webrtc, as it comes": back(2000), "websocket, every 0.25 s": back(700)}},
        "lips": {"ways": {"webrtc, lips": apart(39), "websocket, lips": apart(39, heard=0.5),
                          "webrtc, lowest": apart(80), "websocket, lowest": FAILED}},
        "heap": {"transports": {"webrtc": looks(2_050_000), "websocket": looks(2_400_000)}, "sessions_left": 0},
        "sizes": {"served": {"session.js": 4000, "socket.js": 3000}, "package": {"session.js": 2500, "socket.js": 2000},
                  "adapters": {"jitsi.js": 3500}, "packed": {"jitsi.js": 1200}},
        "room": talked(),
    }


def met(section: Any, figures: dict[str, Any]) -> list[bool | None]:
    return [aim.met for aim in section.aims(figures)]


def test_aims_are_met_missed_or_not_measured() -> None:
    found = results()
    assert met(delays, found["delay"]) == [False, True]
    assert met(delays, {"ways": {"webrtc, mirror": FAILED}}) == [None, None]
    assert met(reconnect, found["reconnect"]) == [None, None, True, False, False, True, True]
    assert met(lips, found["lips"]) == [True, None], "what is hardly heard is not judged"
    assert met(heap, found["heap"]) == [True, False]
    assert met(sizes, found["sizes"]) == [True, True, True], "adapters as the package has them"
    assert met(sizes, found["sizes"] | {"packed": {}, "package": {}}) == [None, True, False]
    assert met(sizes, found["sizes"] | {"packed": {}, "adapters": {}}) == [True, True, None]


def test_a_room_is_held_only_by_who_serves_all_of_it_for_long() -> None:
    assert met(room, talked()) == [True, True, True], "the nano model has no aim"
    assert met(room, talked(seconds=30)) == [True, True, None]
    for change in ({"growth_s": 3.0}, {"growth_s": None}, {"tail_s": 9.0}, {"lost": 2}, {"served": 3},
                   {"pictures_s": 12.0}):
        assert met(room, talked(**change)) == [True, True, False]
    assert met(room, FAILED) == [None, None, None]
    assert met(room, talked(delay_ms=None)) == [False, False, True]


def test_a_words_delay_is_not_taken_from_another_sentence() -> None:
    """The first sentence's end is misheard, the second one says it again ten seconds later."""
    words = [Word("red", 0.5, 1.0), Word("book", 1.0, 1.5), Word("red", 11.0, 11.5), Word("book", 11.5, 12.0)]
    stream = Stream(np.zeros(1, np.float32), tuple(words), (1.4, 11.9), ("red book", "red book"))

    def caption(at: float, utterance: str, text: str, name: str = "P0") -> tuple[float, str]:
        return 100 + at, json.dumps({"name": name, "utterance": utterance, "text": text})

    texts = [caption(1.2, "a", "red"), caption(1.3, "x", "red book", "P1"), caption(2.0, "a", "red look"),
             caption(11.9, "b", "red"), caption(12.5, "b", "red book")]
    found = room.scored([stream], texts, 100.0)
    assert found["delay_ms"]["max"] == 500
    assert (found["wer"], found["words"], found["tail_s"]) == (0.25, 4, 0.6)
    late = room.scored([stream], [(at + 11, text) for at, text in texts], 100.0)
    assert late["tail_s"] == 11.6
    as_one = [caption(1.2, "a", "red"), caption(11.2, "a", "red book red"), caption(12.5, "a", "red book red book")]
    assert room.scored([stream], as_one, 100.0)["wer"] == 0  # the second sentence is in the first one's utterance


def test_pictures_after_a_cut_are_told_from_those_before() -> None:
    """Times in ms; a processed picture that was still on its way comes before the raw ones."""
    record = [[1030, True], [1060, False], [1100, False], [1400, True], [1433, True], [1460, False]]
    one = reconnect.judged(record, 1000.0, 1250.0)
    assert one == {"back": 400.0, "after_ready": 150.0, "raw": 60.0, "raws": 3, "gap": 300}
    never = reconnect.judged([[1060, False]], 1000.0, 1250.0)
    assert (never["back"], never["after_ready"]) == (None, None)
    at_once = reconnect.judged([[1200, True]], 1000.0)
    assert (at_once["back"], at_once["raw"], at_once["raws"]) == (200.0, None, 0)
    both = reconnect.together([one, at_once])
    assert (both["back"], both["after_ready"], both["stood_in"]) == ([400, 400], [150, 150], 1)


def test_events_that_are_missing_or_told_twice_are_found() -> None:
    assert reconnect.whole({"sessions": [[1, 2, 3], [1, 2]], "missed": 0}) == {"events": 5, "sessions": 2, "lost": 0,
                                                                             "doubled": 0}
    worse = reconnect.whole({"sessions": [[1, 3, 4, 4], [2, 3]], "missed": 1})
    assert (worse["lost"], worse["doubled"]) == (2, 1)


def test_a_beep_is_compared_with_the_pictures_around_it() -> None:
    said = [1000.0 * n for n in range(1, 6)]
    heard = [at + 80 for at in said]
    shown = [[at, 70.0 if at < 3500 else 130.0] for at in range(900, 6000, 33)]
    one = lips.offsets(said, heard, shown, 5 / 60)
    assert [offset for _, offset in one["series"]] == [-10.0, -10.0, -10.0, 50.0, 50.0]
    assert (one["heard_share"], one["offset"]["max"], one["median"]) == (1.0, 50.0, -10.0)
    assert lips.offsets([], heard, shown, 1.0)["offset"] is None


def test_every_section_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn with the extra bench")
    told = {name: {"commit": "abc", "date": "2026-01-01 00:00 UTC", "figures": one, "minutes": 1.5}
            for name, one in results().items()}
    report = Report("embed", "In other people's pages and rooms", SECTIONS, None)
    for change in ({}, {"room": told["room"] | {"figures": FAILED}}):
        text = report.markdown(told | change | {"machine": machine.describe([])}, tmp_path)
        assert text.count("Commit abc") == len(SECTIONS) == len(told)
        assert "None" not in text
        for block in (block for block in text.split("\n\n") if block.startswith("|")):
            assert len({line.count(" | ") for line in block.splitlines()}) == 1, "a row has a cell for each column"
    assert (tmp_path / "plots" / "embed-lips.svg").exists()
