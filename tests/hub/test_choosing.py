"""``model=auto``: the one that is taken for a task, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass_stream.errors import NotFound
from aimass_stream.hub.choosing import Candidate, candidate, choose
from aimass_stream.hub.records import Deployment
from aimass_stream.inference import Entry
from tests.support.model_files import linear
from tests.support.model_hub import ADA, BOB, opened, submitted

pytestmark = pytest.mark.anyio

GOOD = Candidate("good", "good@1", "detection", 0.9, "ap50", 80.0)
FAIR = Candidate("fair", "fair@3", "detection", 0.8, "ap50", 20.0)
FAST = Candidate("fast", "fast@1", "detection", 0.4, "ap50", 2.0)
NEW = Candidate("new", "new@1", "detection", None, "", None)
OTHER = Candidate("other", "other@1", "classification", 1.0, "accuracy", 0.1)
ALL = [GOOD, FAIR, FAST, NEW, OTHER]


@pytest.mark.parametrize(("latency", "quality", "name"), [
    (None, "best", "good"), (None, "fast", "fast"), (None, "balanced", "fair"), (50.0, "best", "fair"),
    (10.0, "best", "fast"), (80.0, "balanced", "fair")])
def test_the_best_that_is_in_time(latency: float | None, quality: str, name: str) -> None:
    chosen = choose(ALL, "detection", latency, quality)  # type: ignore[arg-type]
    assert (chosen.name, chosen.others) == (name, 3)
    assert "ap50" in chosen.reason


def test_what_nobody_measured_is_taken_where_there_is_nothing_else() -> None:
    assert choose([NEW], "detection").name == "new"
    with pytest.raises(NotFound, match="nobody has measured one yet"):
        choose([NEW], "detection", 10)


def test_reasons_for_none() -> None:
    with pytest.raises(NotFound, match="no model here does 'cooking'"):
        choose(ALL, "cooking")
    with pytest.raises(NotFound, match="keeps 1 ms: the fastest takes 2 ms"):
        choose(ALL, "detection", 1)


@pytest.mark.parametrize(("card", "quality", "ms"), [
    ({"accuracy": 0.9}, 0.9, None), ({"wer": 0.25}, 0.75, None), ({"accuracy": 7}, None, None), ({}, None, None),
    ({"milliseconds": {"320x240": 12, "640x480": 40}}, None, 12),
    ({"encode_ms": {"2 s": 6.9}, "title": "x"}, None, 6.9)])
def test_what_a_card_says(card: dict[str, object], quality: float | None, ms: float | None) -> None:
    entry = Entry(folder=Path(), name="m", version="1", title="", task="t", licence="", sources=(), engine="", files=(),
                  inputs=(), outputs=(), card=card)
    found = candidate("m", entry, {}, None)
    assert (found.quality, found.ms) == (quality, ms)
    assert candidate("m", entry, {"trial": {"ms": 3.0}}, None).ms == 3


async def test_what_is_deployed_is_among_them(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        for name, accuracy in (("plain", 0.6), ("better", 0.8)):
            version = await submitted(hub, name, {"m.onnx": linear()}, task="regression", card={"accuracy": accuracy})
            assert version.state == "ready", version.reason
            await hub.deployments.deploy(ADA, name, Deployment("production", 1))
        chosen = hub.auto(ADA, "regression", quality="best")
        assert (chosen.served, chosen.others) == ("better@1", 1)
        assert "accuracy 0.8" in chosen.reason
        with pytest.raises(NotFound):
            hub.auto(BOB, "regression")  # they are private


async def test_export_and_erasure(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await submitted(hub, "mine", {"m.onnx": linear()})
        await submitted(hub, "used", {"m.onnx": linear()})
        await hub.deployments.deploy(ADA, "used", Deployment("production", 1))
        told = await hub.export("usr_ada")
        assert [model["name"] for model in told["models"]] == ["mine", "used"]
        assert len(told["uploads"]) == 2
        await hub.erase("usr_ada")
        told = await hub.export("usr_ada")
        assert (told["models"], told["uploads"]) == ([], [])
        assert hub.deployments.models["used"].owner == ""  # somebody may use it: it is the server's now
