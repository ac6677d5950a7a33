"""What was acknowledged before a kill and is not there after it is found out; and what came about without an answer is
not held against the server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.platform import kills
from benchmarks.platform.ledger import Ledger
from benchmarks.platform.writers import Writers, broken
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio


def test_a_write_that_was_acknowledged_has_to_be_there() -> None:
    ledger = Ledger()
    ledger.begin("alias", "fish", 1)
    ledger.done("alias", "fish", 1)
    assert ledger.seen("alias", "fish", 1)
    assert not ledger.seen("alias", "fish", None)
    assert ledger.lost == ["alias fish: nothing is there, and 1 was acknowledged"]
    assert ledger.acknowledged == {"alias": 1}


def test_a_write_without_an_answer_may_have_happened_or_not() -> None:
    for found in (1, 2):
        ledger = Ledger()
        ledger.done("alias", "fish", 1)
        ledger.begin("alias", "fish", 2)
        ledger.killed()
        assert ledger.seen("alias", "fish", found)
        assert ledger.cut_off == {"alias": 1}
        assert not ledger.seen("alias", "fish", 3 - found), "what was found once is what is there"
    assert len(ledger.lost) == 1


def test_what_nobody_wrote_is_an_orphan() -> None:
    ledger = Ledger()
    assert not ledger.seen("version", "fish@3", "abc")
    assert (ledger.lost, len(ledger.orphans)) == ([], 1)


@pytest.mark.parametrize(("found", "fine"), [(None, False), (99, False), (100, True), (150, True), (200, True),
                                             (201, False)])
def test_an_upload_has_what_was_acknowledged_and_at_most_what_was_sent(found: int | None, fine: bool) -> None:
    ledger = Ledger()
    ledger.done("upload", "upl_1", 100)
    ledger.begin("upload", "upl_1", 200)
    assert ledger.seen("upload", "upl_1", found) == fine


def test_blobs_that_are_not_what_their_names_say(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "ab12").write_bytes(b"other")
    assert broken(tmp_path) == ["ab12"]


def test_the_figures_of_all_servers_are_added_up_and_judged() -> None:
    one = {"kills": 25, "early": 3, "acknowledged": {"key": 7}, "cut_off": {"key": 1}, "checked": 90, "lost": [],
           "orphans": [], "strange": [], "jobs": {"done": 4}, "worn": 0, "repeats": 2, "left": 0, "starts": [2.0]}
    result = kills.joined([one, {**one, "acknowledged": {"job": 1}, "starts": [4.0]}]) | {"seconds": 60}
    assert result["acknowledged"] == {"job": 1, "key": 7}
    assert [aim.met for aim in kills.aims(result)] == [True, True, True, True]
    assert "8 done" in kills.tell(result)
    assert kills.aims(result)[0].measured == "0 of 8"
    bad = kills.joined([one, {**one, "lost": ["alias m1"], "left": 1}]) | {"seconds": 60}
    assert [aim.met for aim in kills.aims(bad)] == [False, True, True, False]
    assert "- alias m1" in kills.tell(bad)
    none = kills.joined([{**one, "kills": 0, "checked": 0}]) | {"seconds": 60}
    assert {aim.met for aim in kills.aims(none)} == {None}


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=folder)) as running:
        yield running


async def test_writers_and_the_look_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against real servers: nothing is lost by a stop; a key and a blob that are taken away are missed."""
    monkeypatch.setattr("benchmarks.platform.writers.MODELS", 1)
    ledger = Ledger()
    writers = Writers(7, ledger)
    async with started(tmp_path) as running:
        await writers.write(running.url, lambda: ledger.acknowledged["version"] > 0 and ledger.acknowledged["key"] > 2)
        kept = dict(ledger.acknowledged)
    assert kept["model"] == 1
    assert kept["upload"] > 2
    assert kept["alias"] >= 1
    assert (ledger.lost, ledger.orphans, writers.strange) == ([], [], [])
    async with started(tmp_path) as running:
        await writers.check(running.url, tmp_path)
        assert (ledger.lost, ledger.orphans) == ([], [])
        assert ledger.checked > 5
        served = next(iter(ledger.of("version")))
        key = next(iter(ledger.of("key")))
        ledger.values["key", key].known = "revoked"
        for path in (tmp_path / "hub-files").glob("??"):
            await asyncio.to_thread(shutil.rmtree, path)
        await writers.check(running.url, tmp_path)
    assert any(served in told for told in ledger.lost)
    assert any(key in told for told in ledger.lost)
