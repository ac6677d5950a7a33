"""What `aimass stream` says while it runs."""

from __future__ import annotations

from typing import Any

import pytest

from aimass_stream.cli.relay import TOLD, why
from aimass_stream.events import EVENTS

SAID: list[tuple[str, dict[str, Any], str]] = [
    ("media.refused", {"reason": "no_keyframe", "detail": "a vp8 frame without the key frame it builds on"},
     "The server can't use some of what is sent: a vp8 frame without the key frame it builds on"),
    ("media.dropped", {"frames": 7, "reason": "slow_client"},
     "7 of those sent were left out: they are not taken fast enough"),
    ("latency.missed", {"latency_ms": 60, "p95_ms": 617.4, "why": "every stage works with as little as it can"},
     "60 ms can't be kept (617 ms): every stage works with as little as it can"),
]


@pytest.mark.parametrize(("kind", "data", "line"), SAID, ids=[kind for kind, _, _ in SAID])
def test_events_are_sentences(kind: str, data: dict[str, Any], line: str) -> None:
    assert TOLD[kind](EVENTS[kind](**data).model_dump()) == line


def test_drops_are_told_in_words() -> None:
    assert why("relink") == "the pipeline was changed just then"
    assert why("style:overload") == "style is too slow"
    assert why("style:deadline") == "style was late"
    assert why("pts_jump") == "pts jump"
    assert TOLD.keys() <= EVENTS.keys()
