"""Jobs: their turn, what they tell, how they end, and how long they are kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from aimass_stream import sandbox
from aimass_stream.errors import Busy, Conflict, NotFound, SandboxError, Unavailable
from aimass_stream.jobs import Job, Jobs, Preview, Progress, Work, report
from aimass_stream.jobs.report import heard
from tests.support import laborious, waiting
from tests.support.options import settings

pytestmark = pytest.mark.anyio

LIMITS = sandbox.Limits(seconds=30, file_bytes=1 << 20)


@asynccontextmanager
async def board(folder: Path, **options: Any) -> AsyncIterator[Jobs]:
    jobs = Jobs(settings(data_dir=folder, **options))
    try:
        yield jobs
    finally:
        await jobs.close()


def begin(jobs: Jobs, function: Callable[..., Iterator[bytes]], *arguments: Any, owner: str = "me",
          files: tuple[int, ...] = ()) -> Job:
    return jobs.add("test", Work(function, arguments, LIMITS, files), owner=owner, name="it.txt",
                    media_type="text/plain")


async def over(jobs: Jobs, job: Job) -> Job:
    async for _ in jobs.watch(job, 30):
        pass
    return job


async def until(jobs: Jobs, job: Job, true: Callable[[Job], object]) -> None:
    async for _ in jobs.watch(job, 30):
        if true(job):
            return
    raise AssertionError(f"it ended before: {job.error}")


async def test_a_job_tells_how_far_it_is_and_leaves_its_result(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = begin(jobs, laborious.writes, "words")
        states = [job.state async for _ in jobs.watch(job, 30)]
        assert states[0] == "queued"
        assert states[-1] == "done"
        assert (job.progress, job.facts, job.previews, job.size) == (1.0, {"length": 5}, 1, 5)
        assert job.preview.startswith(b"\xff\xd8")
        assert await asyncio.to_thread(job.result().read_bytes) == b"words"
        assert jobs.get(job.id, "me") is job
        with pytest.raises(NotFound):
            jobs.get(job.id, "somebody else")
        assert jobs.find("me") == [job]
        assert jobs.find("somebody else") == []
        assert not os.listdir(tmp_path)  # the file has no name
        await jobs.end(job)
        with pytest.raises(NotFound):
            jobs.get(job.id, "me")


async def test_files_travel_and_are_closed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"given")
    number = os.open(tmp_path / "source", os.O_RDONLY)
    async with board(tmp_path) as jobs:
        job = await over(jobs, begin(jobs, laborious.copies, number, files=(number,)))
        assert await asyncio.to_thread(job.result().read_bytes) == b"given"
    await asyncio.get_running_loop().shutdown_default_executor()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


async def test_children_are_niced(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = await over(jobs, begin(jobs, laborious.tells_niceness))
        assert int(await asyncio.to_thread(job.result().read_bytes)) >= LIMITS.niceness


@pytest.mark.parametrize(("function", "arguments", "told"), [
    (laborious.crashes, (), "ended by SIGSEGV"), (laborious.refuses, (), "is no good"),
    (laborious.fails, (), "ZeroDivisionError: one by none"),
    (laborious.grows, (), "File too large"), (laborious.reaches_out, (), "PermissionError"),
    (laborious.says, (b"{}",), "can't be read"), (laborious.says, (b'{"share": 0.5, "message": "", "facts": {}}',),
                                                  "came to nothing")],
    ids=["crash", "refusal", "error", "too large", "network", "nonsense", "nothing"])
async def test_why_a_job_failed(function: Callable[..., Iterator[bytes]], arguments: tuple[Any, ...], told: str,
                                tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = await over(jobs, begin(jobs, function, *arguments))
        assert job.state == "failed"
        assert job.error is not None
        assert told in job.error.detail
        with pytest.raises(Conflict, match="failed"):
            job.result()


async def test_turns_limits_and_cancelling(tmp_path: Path) -> None:
    async with board(tmp_path, max_jobs=3) as jobs:
        first, second, third = (begin(jobs, laborious.waits) for _ in range(3))
        await until(jobs, first, lambda job: job.progress)
        assert [job.state for job in (first, second, third)] == ["running", "queued", "queued"]
        assert [jobs.waiting(job) for job in (first, second, third)] == [0, 0, 1]
        with pytest.raises(Conflict, match="running"):
            first.result()
        number = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(Busy, match="3 jobs run or wait"):
            begin(jobs, laborious.waits, files=(number,))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
        await jobs.end(second)  # which never began
        assert second.state == "cancelled"
        child = psutil.Process().children(recursive=True)
        assert child
        watching = asyncio.create_task(over(jobs, first))
        await jobs.end(first)
        assert (await watching).state == "cancelled"
        assert not any(process.is_running() for process in child)
        await until(jobs, third, lambda job: job.state == "running")


async def test_the_server_stops(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        running, queued = begin(jobs, laborious.waits), begin(jobs, laborious.waits)
        await until(jobs, running, lambda job: job.progress)
        children = psutil.Process().children(recursive=True)
        await jobs.close()
        for job in (running, queued):
            assert job.state == "failed"
            assert job.error is not None
            assert job.error.detail == "the server stopped"
        assert not any(process.is_running() for process in children)
        with pytest.raises(Unavailable):
            begin(jobs, laborious.waits)


async def test_results_expire_and_make_room(tmp_path: Path) -> None:
    async with board(tmp_path, job_keep_bytes=12) as jobs:
        first, second = await over(jobs, begin(jobs, laborious.writes, "8 bytes.")), begin(jobs, laborious.writes, "8")
        assert (await over(jobs, second)).size == 1
        assert jobs.find("me") == [second, first]
        third = await over(jobs, begin(jobs, laborious.writes, "8 bytes."))
        assert jobs.find("me") == [third, second]
    async with board(tmp_path, job_keep_seconds=0.05) as jobs:
        await over(jobs, begin(jobs, laborious.writes, "gone"))
        await waiting.until(lambda: not jobs.find("me"))


def test_reports_survive_the_way_and_lies_do_not() -> None:
    told = heard(report(Progress(0.5, "a" * 500, {"seconds": 2})))
    assert told == Progress(0.5, "a" * 200, {"seconds": 2})
    assert heard(report(Preview(b"\xff\xd8 jpeg"))) == Preview(b"\xff\xd8 jpeg")
    assert heard(b'{"share": 7, "message": 3, "facts": {}}') == Progress(1.0, "3", {})
    for lie in (b"", b"[]", b"7", b"nothing", b'{"share": "x", "message": "", "facts": {}}', b"[" * 100_000,
                b'{"share": NaN, "message": "", "facts": {}}', b'{"share": 1, "message": "", "facts": 7}',
                report(Progress(0.5, "", {str(number): 0 for number in range(99)})), report(Progress(0, "a" * 20_000))):
        with pytest.raises(SandboxError):
            heard(lie)
