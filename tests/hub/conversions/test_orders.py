"""Conversions as jobs: what they make, what they refuse, and that nothing is left of those that came to nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.errors import Conflict, Forbidden, InvalidInput, NotFound
from aimass_stream.hub.conversions import orders
from aimass_stream.hub.hub import Hub
from aimass_stream.hub.records import Change, Deployment, Version
from tests.support.conversions import converting, layers, over
from tests.support.model_files import linear
from tests.support.model_hub import ADA, BOB, opened, submitted
from tests.support.slow_conversions import endless, quick
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

EXAMPLE = {"x": [[[[0.5] * 8] * 8] * 3]}


async def numbers(hub: Hub) -> list[int]:
    return sorted(version.number for version in await hub.catalogue.versions(ADA, "fish"))


async def test_a_result_is_another_version_that_can_be_deployed(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub, converting(hub, tmp_path) as (conversions, jobs):
        source = await submitted(hub, "fish", {"model.onnx": layers()}, example=EXAMPLE, card={"accuracy": 0.9})
        asked = [await conversions.begin(ADA, "fish", "latest", "int8", {}, key="once") for _ in range(2)]
        assert asked[0].id == asked[1].id
        with pytest.raises(Conflict, match="used for another job"):
            await conversions.begin(ADA, "fish", "1", "half", {}, key="once")
        job = await over(jobs, asked[0])
        assert (job.state, job.row.error) == ("done", None)
        assert job.row.facts["version"] == 2
        made = await hub.catalogue.version(ADA, "fish", 2)
        told = made.facts["conversion"]
        assert (made.state, told["from"], told["kind"], told["inputs"]) == ("ready", 1, "int8", 5)
        assert told["size"]["after"] < told["size"]["before"]
        assert made.manifest["example"] == EXAMPLE
        assert made.manifest["card"] == {}  # its accuracy is still to be measured
        assert [file.path for file in made.files] == ["model.onnx", "model.toml"]
        assert await hub.catalogue.version(ADA, "fish", 1) == source
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 2, canary=1, share=50))
        # a server that was killed after it had made the version does the work again, and makes no second one
        again = tmp_path / "again.tar"
        again.write_bytes(b"another run's archive")
        await conversions._finish(job.row, again)
        assert await numbers(hub) == [1, 2]
        assert b'"version": 2' in again.read_bytes()


async def test_what_is_refused_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub, converting(hub, tmp_path) as (conversions, _):
        await submitted(hub, "fish", {"model.onnx": linear()})
        broken = await submitted(hub, "fish", {"model.onnx": b"\x08\x01"})
        wrong: list[tuple[Any, type[Exception], str]] = [
            (("fish", "1", "gold", {}), InvalidInput, "there is no conversion 'gold'"),
            (("fish", "1", "onnx", {}), InvalidInput, "takes safetensors, and this version is onnx"),
            (("fish", "1", "prune", {"share": 5}), InvalidInput, "share is"),
            (("fish", str(broken.number), "half", {}), Conflict, "is refused"),
            (("fish", "9", "half", {}), NotFound, "no version 9"), (("cod", "1", "half", {}), NotFound, "no model"),
        ]
        for arguments, kind, reason in wrong:
            with pytest.raises(kind, match=reason):
                await conversions.begin(ADA, *arguments)
        with pytest.raises(NotFound):
            await conversions.begin(BOB, "fish", "1", "half", {})
        await hub.catalogue.change(ADA, "fish", Change(visibility="public"))
        with pytest.raises(Forbidden, match="somebody else's"):
            await conversions.begin(BOB, "fish", "1", "half", {})


async def test_a_failure_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path, sandboxed=False) as hub, converting(hub, tmp_path) as (conversions, jobs):
        await submitted(hub, "fish", {"model.onnx": linear()})
        job = await over(jobs, await conversions.begin(ADA, "fish", "1", "half", {}))
        assert job.state == "failed"
        assert "no 32-bit weights" in job.row.error["detail"]
        monkeypatch.setattr(orders, "convert", quick)
        job = await over(jobs, await conversions.begin(ADA, "fish", "1", "half", {}))
        assert "the result was refused: model.onnx is empty" in job.row.error["detail"]
        assert await numbers(hub) == [1]


async def test_cancelled_at_its_work_it_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path, sandboxed=False) as hub, converting(hub, tmp_path) as (conversions, jobs):
        await submitted(hub, "fish", {"model.onnx": linear()})
        monkeypatch.setattr(orders, "convert", endless)
        job = await conversions.begin(ADA, "fish", "1", "half", {})
        async for news in jobs.watch(job, 10):
            if news is not None and news.row.progress == 0.25:
                break
        assert (await jobs.cancel(job)).state == "cancelled"
        assert await numbers(hub) == [1]
        assert not list((tmp_path / "jobs").glob("??/*"))


async def test_cancelled_while_its_result_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path, sandboxed=False) as hub, converting(hub, tmp_path) as (conversions, jobs):
        await submitted(hub, "fish", {"model.onnx": linear()})
        monkeypatch.setattr(orders, "convert", quick)
        asked = asyncio.Event()

        async def never(version: Version, place: Path, archive: str) -> dict[str, Any]:
            asked.set()
            return await asyncio.Future()

        hub.importer._examined = never  # type: ignore[method-assign]
        job = await conversions.begin(ADA, "fish", "1", "half", {})
        await asyncio.wait_for(asked.wait(), 60)
        assert await numbers(hub) == [1, 2]
        assert (await jobs.cancel(job)).state == "cancelled"
        assert await numbers(hub) == [1]


async def test_what_a_killed_server_had_begun_is_done_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                   ) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        async with converting(hub, tmp_path) as (conversions, jobs):
            await submitted(hub, "fish", {"model.onnx": layers()})
            with monkeypatch.context() as patched:
                patched.setattr(orders, "convert", endless)
                job = await conversions.begin(ADA, "fish", "1", "half", {})
                await until(lambda: jobs._runs and jobs._runs[job.id].row.progress == 0.25)
                await jobs.close()
        async with converting(hub, tmp_path) as (_, jobs):
            assert (await over(jobs, job)).state == "done"
            assert await numbers(hub) == [1, 2]
