"""Jobs: their turn, what they tell, how they end, how they outlive a server, and how long they are kept."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from aimass_stream import sandbox
from aimass_stream.errors import Busy, Conflict, NotFound, SandboxError, SandboxKilled, Unavailable
from aimass_stream.jobs import Job, Jobs, Preview, Progress, Work, report
from aimass_stream.jobs import board as board_module
from aimass_stream.jobs.report import heard
from aimass_stream.store.blobs import Blobs
from aimass_stream.store.database import Database
from aimass_stream.store.jobs import Jobs as Table
from aimass_stream.store.jobs import Wish
from tests.support import laborious, postgres, waiting
from tests.support.options import settings

pytestmark = pytest.mark.anyio

LIMITS = sandbox.Limits(seconds=90, file_bytes=1 << 20)
FUNCTIONS = {function.__name__: function for function in (
    laborious.writes, laborious.waits, laborious.crashes, laborious.refuses, laborious.fails, laborious.grows,
    laborious.reaches_out, laborious.says, laborious.tells_niceness)}


@pytest.fixture
def others() -> set[psutil.Process]:
    """Processes of other tests."""
    return set(psutil.Process().children(recursive=True))


def make(payload: dict[str, Any]) -> Work:
    arguments = [each.encode() if payload["function"] == "says" else each for each in payload["arguments"]]
    return Work(FUNCTIONS[payload["function"]], tuple(arguments), LIMITS)


@asynccontextmanager
async def board(folder: Path, *, tell: Any = None, place: str = "", clock: Callable[[], float] = time.time,
                kind: type[Table] = Table, **options: Any) -> AsyncIterator[Jobs]:
    async with Database(place or folder / "jobs.db") as database:
        blobs = await asyncio.to_thread(Blobs, folder / "jobs")
        given = settings(data_dir=folder, **options)
        jobs = Jobs(given, kind(database, blobs, keep=given.job_keep_seconds, clock=clock), blobs, tell)
        jobs.register("test", make)
        try:
            await jobs.start()
            yield jobs
        finally:
            await jobs.close()


async def begin(jobs: Jobs, function: Callable[..., Iterator[bytes]], *arguments: Any, owner: str = "me",
                **more: Any) -> Job:
    return await jobs.begin("test", {"function": function.__name__, "arguments": list(arguments)}, owner=owner,
                            name="it.txt", media_type="text/plain", **more)


async def over(jobs: Jobs, job: Job) -> Job:
    async for news in jobs.watch(job, 30):
        job = news or job
    return job


async def until(jobs: Jobs, job: Job, true: Callable[[Job], object]) -> Job:
    async for news in jobs.watch(job, 30):
        if news is not None and true(news):
            return news
    raise AssertionError(f"it ended before: {await jobs.get(job.id, mine)}")


async def content(jobs: Jobs, job: Job) -> bytes:
    return await asyncio.to_thread(jobs.blobs.path(jobs.result(job)).read_bytes)


def mine(owner: str) -> bool:
    return owner == "me"


def blobs_of(folder: Path) -> list[str]:
    return [path.name for path in (folder / "jobs").rglob("*") if path.is_file()]


async def test_a_job_tells_how_far_it_is_and_leaves_its_result(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = await begin(jobs, laborious.writes, "words")
        told = [news async for news in jobs.watch(job, 30) if news is not None]
        assert told[0].state in ("queued", "running")
        assert told[-1].state == "done"
        job = told[-1]
        assert (job.row.progress, job.row.facts, job.previews, job.row.size) == (1.0, {"length": 5}, 1, 5)
        assert job.preview.startswith(b"\xff\xd8")
        assert await content(jobs, job) == b"words"
        assert await jobs.get(job.id, mine) == job
        with pytest.raises(NotFound):
            await jobs.get(job.id, lambda owner: owner == "somebody else")
        assert await jobs.find({"me"}) == await jobs.find() == [job]
        assert await jobs.find({"somebody else"}) == []
        assert blobs_of(tmp_path) == [job.row.blob]
        await jobs.end(job)
        assert blobs_of(tmp_path) == []
        with pytest.raises(NotFound):
            await jobs.get(job.id, mine)


async def test_blobs_and_files_travel_and_are_closed_or_removed(tmp_path: Path) -> None:
    numbers: list[int] = []

    async with board(tmp_path) as jobs:
        async def copies(payload: dict[str, Any]) -> Work:
            numbers.append(await jobs.blobs.open(payload["source"]))
            return Work(laborious.copies, (numbers[-1],), LIMITS, files=(numbers[-1],))

        async def finish(job: Any, path: Path) -> None:
            assert await asyncio.to_thread(path.read_bytes) == b"given"
            finished.append(job.id)

        finished: list[str] = []
        jobs.register("copy", copies, finish=finish)
        blob = await jobs.blobs.put(b"given")
        first, second = [await jobs.begin("copy", {"source": blob.sha256}, owner="me", blobs=[blob.sha256])
                         for _ in range(2)]
        assert await content(jobs, await over(jobs, first)) == b"given"
        await over(jobs, second)
        assert finished == [first.id, second.id]
        await jobs.end(first)
        assert blobs_of(tmp_path) == [blob.sha256]  # the second one's, given and made
        await jobs.end(second)
        assert blobs_of(tmp_path) == []
        with pytest.raises(NotFound):
            await jobs.begin("copy", {"source": blob.sha256}, owner="me", blobs=[blob.sha256])
        assert await jobs.find() == []
    await asyncio.get_running_loop().shutdown_default_executor()
    for number in numbers:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


async def test_children_are_niced(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = await over(jobs, await begin(jobs, laborious.tells_niceness))
        assert int(await content(jobs, job)) >= LIMITS.niceness


@pytest.mark.parametrize(("function", "arguments", "told"), [
    (laborious.crashes, (), "ended by SIGSEGV"), (laborious.refuses, (), "is no good"),
    (laborious.fails, (), "ZeroDivisionError: one by none"),
    (laborious.grows, (), "File too large"), (laborious.reaches_out, (), "PermissionError"),
    (laborious.says, ("{}",), "can't be read"), (laborious.says, ('{"share": 0.5, "message": "", "facts": {}}',),
                                                 "came to nothing")],
    ids=["crash", "refusal", "error", "too large", "network", "nonsense", "nothing"])
async def test_why_a_job_failed(function: Callable[..., Iterator[bytes]], arguments: tuple[Any, ...], told: str,
                                tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = await over(jobs, await begin(jobs, function, *arguments))
        assert (job.state, job.row.attempts) == ("failed", 1)
        assert told in job.row.error["detail"]
        with pytest.raises(Conflict, match="failed"):
            jobs.result(job)
        assert blobs_of(tmp_path) == []


async def test_turns_limits_and_cancelling(tmp_path: Path, others: set[psutil.Process]) -> None:
    async with board(tmp_path, max_jobs=3) as jobs:
        first, second, third = [await begin(jobs, laborious.waits) for _ in range(3)]
        await until(jobs, first, lambda job: job.row.progress)
        assert [job.state for job in await jobs.find()] == ["queued", "queued", "running"]
        assert [job.row.waiting for job in await jobs.find()] == [1, 0, 0]
        with pytest.raises(Conflict, match="running"):
            jobs.result(await jobs.get(first.id, mine))
        with pytest.raises(Busy, match="3 jobs run or wait"):
            await begin(jobs, laborious.waits)
        with pytest.raises(Busy, match="3 jobs run or wait"):
            await jobs.admit("me")
        assert (await jobs.cancel(second)).state == "cancelled"  # which never began
        with pytest.raises(Conflict, match="cancelled"):
            await jobs.cancel(second)
        child = set(psutil.Process().children(recursive=True)) - others
        assert child
        watching = asyncio.create_task(over(jobs, first))
        await jobs.end(first)
        assert (await watching).state == "cancelled"
        assert not any(process.is_running() for process in child)
        running = await until(jobs, third, lambda job: job.state == "running")
        await jobs.cancel(running)
        await until(jobs, third, lambda job: job.state == "cancelled")


async def test_one_that_is_ended_as_it_begins_is_ended(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        job = await begin(jobs, laborious.waits)
        while job.id not in jobs._runs:  # noqa: ASYNC110  its task is made, and has not had its turn
            await asyncio.sleep(0)
        assert (await jobs.cancel(job)).state == "cancelled"


async def test_the_same_wish_is_one_job(tmp_path: Path) -> None:
    async with board(tmp_path, max_jobs=1) as jobs:
        made = await asyncio.gather(*(begin(jobs, laborious.waits, idempotency_key="k") for _ in range(4)))
        assert len({job.id for job in made}) == 1
        await jobs.admit("me", "k")
        with pytest.raises(Conflict, match="another job"):
            await begin(jobs, laborious.writes, "other", idempotency_key="k")
        with pytest.raises(Busy):
            await begin(jobs, laborious.waits, idempotency_key="k", owner="you")  # whose key it is not


async def test_a_server_stops_and_the_next_one_goes_on(tmp_path: Path, others: set[psutil.Process]) -> None:
    async with board(tmp_path) as jobs:
        running, queued = await begin(jobs, laborious.waits), await begin(jobs, laborious.writes, "later")
        await until(jobs, running, lambda job: job.row.progress)
        children = set(psutil.Process().children(recursive=True)) - others
        watching = asyncio.create_task(over(jobs, running))
        await jobs.close()
        assert (await watching).state == "queued"
        assert not any(process.is_running() for process in children)
        with pytest.raises(Unavailable):
            await begin(jobs, laborious.waits)
    async with board(tmp_path) as jobs:
        again = await until(jobs, running, lambda job: job.row.progress)
        assert again.row.attempts == 1  # to be stopped is not its fault
        await jobs.end(again)
        assert await content(jobs, await over(jobs, queued)) == b"later"


@pytest.fixture
def shared() -> str:
    return postgres.emptied()


async def test_two_servers_with_one_database(tmp_path: Path, shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "LOOK", 0.1)
    monkeypatch.setattr(board_module, "NEWS", 0.1)
    async with board(tmp_path, place=shared) as one, board(tmp_path, place=shared) as other:
        first, second = await begin(one, laborious.waits), await begin(one, laborious.waits)
        both = [await until(jobs, job, lambda job: job.row.progress or job.state == "running")
                for jobs in (one, other) for job in (first, second)]
        assert {job.row.state for job in both} == {"running"}  # each has one of them, both see both
        theirs = [job for job in (first, second) if job.id not in one._runs]
        assert len(theirs) == 1
        assert (await one.cancel(theirs[0])).row.cancelling
        monkeypatch.setattr(board_module, "LEASE", 0.4)
        [mine] = [job for job in (first, second) if job.id in one._runs]
        watching = asyncio.create_task(until(other, mine, lambda job: job.id in other._runs))
        await other.end(theirs[0])
        await one.close()
        assert (await watching).row.attempts == 1
        await other.end(mine)


async def test_what_a_killed_process_had_begun_is_begun_again(tmp_path: Path) -> None:
    async with Database(tmp_path / "jobs.db") as database:
        table = Table(database)
        lost = await table.add(Wish("test", {"function": "writes", "arguments": ["again"]}, owner="me"))
        far = await table.add(Wish("test", {"function": "writes", "arguments": ["far"]}, owner="me"))
        number = await asyncio.create_subprocess_exec("true")
        await number.wait()
        here = board_module._home()
        assert await table.lease(f"{here}:{number.pid}:0.00", ["test"], 3600) is not None
        assert await table.lease("another machine:1:0.00", ["test"], 3600) is not None
    async with board(tmp_path) as jobs:
        job = await over(jobs, await jobs.get(lost.id, mine))
        assert (job.state, job.row.attempts) == ("done", 2)
        assert await content(jobs, job) == b"again"
        other = await jobs.get(far.id, mine)
        assert (other.state, other.row.attempts) == ("running", 1)  # that one may live
        await jobs.end(other)


async def test_a_job_that_ran_into_something_passing_is_tried_again(tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aimass_stream.store.jobs.BACKOFF", 0.01)
    async with board(tmp_path) as jobs:
        attempts: list[Exception] = []

        def trips(payload: dict[str, Any]) -> Work:
            if attempts:
                raise attempts.pop()
            return Work(laborious.writes, ("done",), LIMITS)

        jobs.register("trips", trips)
        attempts = [SandboxKilled("ended by SIGKILL", signal=9), OSError(28, "No space left on device")]
        job = await over(jobs, await jobs.begin("trips", {}, owner="me"))
        assert (job.state, job.row.attempts) == ("done", 3)
        attempts = [Unavailable(f"attempt {number}") for number in (3, 2, 1)]
        job = await over(jobs, await jobs.begin("trips", {}, owner="me"))
        assert (job.state, job.row.attempts, job.row.error["detail"]) == ("failed", 3, "attempt 3")


async def test_a_lost_lease_ends_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          others: set[psutil.Process]) -> None:
    monkeypatch.setattr(board_module, "LEASE", 0.4)
    async with board(tmp_path) as jobs, Database(tmp_path / "jobs.db") as elsewhere:
        first = await begin(jobs, laborious.waits)
        await until(jobs, first, lambda job: job.row.progress)
        children = set(psutil.Process().children(recursive=True)) - others
        await Table(elsewhere).delete([first.id])  # as another server does
        await waiting.until(lambda: not any(process.is_running() for process in children))
        second = await begin(jobs, laborious.waits)
        await until(jobs, second, lambda job: job.row.progress)
        asked = await Table(elsewhere).cancel(second.id)
        assert (asked.state, asked.cancelling) == ("running", True)
        assert (await over(jobs, second)).state == "cancelled"


class Unwritable(Table):
    """The first two times that something is to be written down at the end of a job, the database is away."""

    left = 2

    async def complete(self, job: Any, result: Any = None, **more: Any) -> Any:
        self._try()
        return await super().complete(job, result, **more)

    async def fail(self, job: Any, error: Any, *, retry: bool = True) -> Any:
        self._try()
        return await super().fail(job, error, retry=retry)

    def _try(self) -> None:
        if self.left:
            self.left -= 1
            raise OSError("the database went away")


async def test_what_can_not_be_written_down_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "LEASE", 0.3)
    async with board(tmp_path, kind=Unwritable) as jobs:
        job = await over(jobs, await begin(jobs, laborious.writes, "in the end"))
        assert (job.state, job.row.attempts) == ("done", 2)
        assert await content(jobs, job) == b"in the end"


async def test_a_clock_that_jumps_begins_nothing_twice(tmp_path: Path) -> None:
    ahead = [0.0]
    async with board(tmp_path, clock=lambda: time.time() + ahead[0], running_jobs=2) as jobs:
        running = await begin(jobs, laborious.waits)
        await until(jobs, running, lambda job: job.row.progress)
        for jump in (7200, 0, -7200):
            ahead[0] = jump
            other = await over(jobs, await begin(jobs, laborious.writes, "beside it"))
            assert (other.state, other.row.attempts) == ("done", 1)
            seen = await jobs.get(running.id, mine)
            assert (seen.state, seen.row.attempts) == ("running", 1)


async def test_a_webhook_is_told_once_and_again_after_a_kill(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    def tell(job: Job, done: Callable[[], None]) -> None:
        told.append((job.id, job.state))
        if len(told) > 1:
            done()

    async with board(tmp_path, tell=tell) as jobs:
        job = await over(jobs, await begin(jobs, laborious.writes, "x", webhook="https://example.org/"))
        await over(jobs, await begin(jobs, laborious.writes, "nobody is told"))
    assert told == [(job.id, "done")]
    for _ in range(2):
        async with board(tmp_path, tell=tell):
            assert told == [(job.id, "done")] * 2


async def test_results_expire_and_make_room(tmp_path: Path) -> None:
    async with board(tmp_path, job_keep_bytes=12) as jobs:
        first = await over(jobs, await begin(jobs, laborious.writes, "8 bytes."))
        second = await over(jobs, await begin(jobs, laborious.writes, "8"))
        assert second.row.size == 1
        assert [job.id for job in await jobs.find()] == [second.id, first.id]
        third = await over(jobs, await begin(jobs, laborious.writes, "8 bytes!"))
        assert [job.id for job in await jobs.find()] == [third.id, second.id]
        assert len(blobs_of(tmp_path)) == 2
        await jobs.end(third)
        await jobs.end(second)
    async with board(tmp_path, job_keep_seconds=0.05) as jobs:
        job = await over(jobs, await begin(jobs, laborious.writes, "gone"))
        async with asyncio.timeout(60):
            while await jobs.find():
                pass
        assert blobs_of(tmp_path) == []
        with pytest.raises(NotFound):
            await jobs.get(job.id, mine)


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
