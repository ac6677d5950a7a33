"""Fetching weights from a hub that is real, slow, wrong, or silent."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from aimass_stream.errors import Conflict, InvalidInput, NotFound, Unavailable
from aimass_stream.inference.loader import FolderStore, check_file
from aimass_stream.weights import Hub, WeightFile, Weights, catalogue, get, pull, remove, state
from tests.support.hub import TestHub, hub_with, weights

pytestmark = pytest.mark.anyio

MODEL = np.random.default_rng(5).bytes(400_000)
CONFIG = b'{"a": 1}'
FILES = {"model.bin": MODEL, "config.json": CONFIG, "deep/voice.onnx": MODEL[:90_000]}
BOTH = weights(WeightFile("model.bin", "model.bin"), WeightFile("config.json", "config.json"))
QUICK = httpx.Timeout(2, read=0.5)


def _files(folder: Path) -> dict[str, int]:
    """Sizes by name."""
    return {file.name: file.stat().st_size for file in folder.glob("**/*") if file.is_file()}


def _hub(hub: TestHub) -> Hub:
    return Hub(hub.url, timeout=QUICK, pause=0.01)


async def test_a_pulled_model_is_a_folder_that_engines_can_load(tmp_path: Path) -> None:
    news: list[tuple[int, int | None]] = []
    with hub_with(FILES) as hub:
        folder = await pull(BOTH, tmp_path, _hub(hub), lambda done, total: news.append((done, total)))
    assert folder == tmp_path / "some-weights"
    assert (folder / "model.bin").read_bytes() == MODEL
    entry = FolderStore([tmp_path]).get("some-weights")
    assert [file.sha256 for file in entry.files] == [hashlib.sha256(body).hexdigest() for body in (MODEL, CONFIG)]
    for file in entry.files:
        check_file(folder, file)
    assert (entry.licence, entry.sources, entry.card["general"]) == (
        "MIT", ("somebody/some-weights at 0123456789abcdef0123456789abcdef01234567",), True)
    assert entry.description == 'They are "weights".'
    total = len(MODEL) + len(CONFIG)
    assert news[-1] == (total, total)
    assert [done for done, _ in news] == sorted(done for done, _ in news)
    assert {of for _, of in news} == {total}
    (folder / "config.json").write_bytes(b'{"a": 2}')
    with pytest.raises(InvalidInput, match="SHA-256 differs"):
        check_file(folder, entry.files[1])


async def test_a_broken_download_goes_on_where_it_ended(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.break_off["model.bin"] = 128 * 1024
        folder = await pull(BOTH, tmp_path, _hub(hub))
        ranges = [wanted for path, wanted in hub.asked if path.endswith("model.bin")]
    assert ranges == ["", f"bytes={128 * 1024}-"]
    assert (folder / "model.bin").read_bytes() == MODEL


async def test_a_pull_that_was_stopped_is_taken_up_by_the_next(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.piece_pause = 0.05
        arrived = asyncio.Event()

        def told(done: int, total: int | None) -> None:
            if done >= 128 * 1024:
                arrived.set()

        slow = Hub(hub.url, timeout=QUICK)
        pulling = asyncio.create_task(pull(BOTH, tmp_path, slow, told))
        async with asyncio.timeout(30):
            await arrived.wait()
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling
        assert state(BOTH, tmp_path) == "partial"
        assert FolderStore([tmp_path]).entries() == []
        hub.piece_pause = 0
        folder = await pull(BOTH, tmp_path, slow)
        assert hub.asked[-2][1].startswith("bytes=")
    assert (folder / "model.bin").read_bytes() == MODEL
    assert state(BOTH, tmp_path) == "ready"


async def test_a_hub_without_ranges_begins_anew(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.break_off["model.bin"] = 128 * 1024
        hub.ignores_ranges = True
        folder = await pull(BOTH, tmp_path, _hub(hub))
    assert (folder / "model.bin").read_bytes() == MODEL


@pytest.mark.parametrize(("name", "body", "known"), [
    ("model.bin", MODEL[:-1] + b"?", {}),  # against the hub's own SHA-256
    ("config.json", b'{"a": 2}', {}),  # against git's hash
    ("config.json", CONFIG, {"sha256": "0" * 64}),  # the catalogue knows another one
    ("config.json", CONFIG, {"begins": "00000000"}),  # or how another one begins
])
async def test_something_else_than_was_meant_is_thrown_away(tmp_path: Path, name: str, body: bytes,
                                                            known: dict[str, Any]) -> None:
    wanted = weights(WeightFile(name, name, **known))
    with hub_with(FILES) as hub:
        hub.gives[name] = body
        with pytest.raises(Unavailable, match=f"{name} is not the file that was meant"):
            await pull(wanted, tmp_path, _hub(hub))
        assert state(wanted, tmp_path) == "partial"
        assert name not in _files(tmp_path)
        if not known:
            del hub.gives[name]
            await pull(wanted, tmp_path, _hub(hub))
            assert state(wanted, tmp_path) == "ready"


async def test_more_than_was_announced_is_not_written(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.gives["model.bin"] = MODEL * 2
        with pytest.raises(Unavailable, match="more than the 400000 bytes"):
            await pull(BOTH, tmp_path, _hub(hub))
    assert sum(_files(tmp_path).values()) <= len(MODEL)


@pytest.mark.parametrize(("wanted", "error", "said"), [
    (weights(WeightFile("other.bin", "other.bin")), NotFound, "has no file other.bin"),
    (weights(WeightFile("a", "a"), repository="no/such"), Unavailable, "answered 404"),
])
async def test_what_the_hub_lacks_is_named(tmp_path: Path, wanted: Weights, error: type, said: str) -> None:
    with hub_with(FILES) as hub, pytest.raises(error, match=said):
        await pull(wanted, tmp_path, _hub(hub))


async def test_files_behind_plain_addresses_and_in_folders(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        plain = weights(WeightFile("m.pt", "model.bin"), name="plain", repository="", revision="",
                        base=f"{hub.url}/plain/")
        folder = await pull(plain, tmp_path, Hub("", timeout=QUICK))
        assert (folder / "m.pt").read_bytes() == MODEL
        entry = FolderStore([tmp_path]).get("plain")
        assert entry.files[0].sha256 == hashlib.sha256(MODEL).hexdigest()
        deep = weights(WeightFile("voice.onnx", "deep/voice.onnx"), name="deep")
        assert (await pull(deep, tmp_path, _hub(hub)) / "voice.onnx").read_bytes() == MODEL[:90_000]
        with pytest.raises(Unavailable, match="no hub is set"):
            await pull(BOTH, tmp_path, Hub(""))


async def test_a_hub_that_hangs_or_is_not_there_is_given_up(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.silent.set()
        with pytest.raises(Unavailable, match=r"can't be reached \(ReadTimeout"):
            await pull(BOTH, tmp_path, _hub(hub))
    with pytest.raises(Unavailable, match="can't be reached"):
        await pull(BOTH, tmp_path, Hub(hub.url, timeout=QUICK))


async def test_two_do_not_fetch_the_same_and_none_fetches_it_twice(tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.piece_pause = 0.02
        first = asyncio.create_task(pull(BOTH, tmp_path, _hub(hub)))
        async with asyncio.timeout(30):
            while not hub.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        with pytest.raises(Conflict, match="is being fetched already"):
            await pull(BOTH, tmp_path, _hub(hub))
        await first
        asked = len(hub.asked)
        await pull(BOTH, tmp_path, _hub(hub))
        assert len(hub.asked) == asked
    remove(BOTH, tmp_path)
    assert state(BOTH, tmp_path) == "absent"


def test_the_catalogue_is_whole() -> None:
    for name, each in catalogue().items():
        assert get(name) is each
        assert each.purpose in ("hearing", "voice", "training")
        where = "training" if each.purpose == "training" else "engines"
        assert each.engine.startswith(f"aimass_stream.{where}.")
        assert (len(each.revision) == 40) == bool(each.repository)
        assert bool(each.base) != bool(each.repository)
        assert len({file.path for file in each.files}) == len(each.files)
        assert all(file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32 for file in each.files)
        assert all("/" not in file.path for file in each.files)
    assert {each.purpose for each in catalogue().values() if each.default} == {"hearing", "voice"}
    with pytest.raises(NotFound, match=r"there are: .*\bwhisper-base\.en"):
        get("nothing")
