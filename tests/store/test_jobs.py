"""Jobs: leased, retried, cancelled, and not lost when a worker is killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.errors import Conflict, InvalidInput, NotFound, TooLarge
from aimass_stream.store.blobs import Blobs
from aimass_stream.store.database import Database
from aimass_stream.store.jobs import Jobs, Wish
from tests.support.clocks import Clock

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def table(place: Path | str) -> AsyncIterator[tuple[Jobs, Clock]]:
    clock = Clock()
    async with Database(place) as database:
        yield Jobs(database, clock=clock), clock


async def test_a_job_from_beginning_to_end(place: Path | str) -> None:
    async with table(place) as (jobs, _):
        added = await jobs.add(Wish("convert", {"model": "m"}))
        assert (added.state, added.attempts, added.payload) == ("queued", 0, {"model": "m"})
        job = await jobs.lease("w1", ["convert"], 30)
        assert job is not None
        assert (job.id, job.state, job.worker, job.attempts) == (added.id, "running", "w1", 1)
        assert await jobs.lease("w2", ["convert"], 30) is None
        half = await jobs.progress(job, 0.5, "half of it")
        assert (half.progress, half.message) == (0.5, "half of it")
        done = await jobs.complete(job, {"size": 7})
        assert (done.state, done.result, done.progress, done.lease) == ("done", {"size": 7}, 1.0, None)
        assert (await jobs.get(job.id)).result == {"size": 7}
        with pytest.raises(Conflict):
            await jobs.complete(job, {"size": 8})
        with pytest.raises(Conflict, match="done"):
            await jobs.cancel(job.id)
        assert (await jobs.get(job.id)).lease is None  # the token is for the worker only


async def test_kinds_order_and_delay(place: Path | str) -> None:
    async with table(place) as (jobs, clock):
        later, clock.now = await jobs.add(Wish("a", {}, delay=11)), clock.now + 1
        first, clock.now = await jobs.add(Wish("a", {})), clock.now + 1
        second = await jobs.add(Wish("b", {}))
        assert await jobs.lease("w", ["c"], 5) is None
        assert await jobs.lease("w", [], 5) is None
        leased = [await jobs.lease("w", ["a", "b"], 50) for _ in range(3)]
        assert [job and job.id for job in leased] == [first.id, second.id, None]
        clock.now += 10
        last = await jobs.lease("w", ["a"], 50)
        assert last is not None
        assert last.id == later.id
        assert [job.id for job in await jobs.find(kind="a", state="running")] == [first.id, later.id]
        assert [job.id for job in await jobs.find(limit=1)] == [second.id]


async def test_an_idempotency_key_makes_one_job(place: Path | str) -> None:
    async with table(place) as (jobs, _):
        made = await asyncio.gather(*(jobs.add(Wish("a", {"n": 1}, key="k")) for _ in range(5)))
        assert len({job.id for job in made}) == 1
        with pytest.raises(Conflict, match="another job"):
            await jobs.add(Wish("a", {"n": 2}, key="k"))
        assert len(await jobs.find()) == 1


async def test_a_failure_is_tried_again_later_and_later(place: Path | str) -> None:
    async with table(place) as (jobs, clock):
        await jobs.add(Wish("a", {}, max_attempts=3))
        waits = []
        for attempt in range(3):
            job = await jobs.lease("w", ["a"], 30)
            assert job is not None
            assert job.attempts == attempt + 1
            failed = await jobs.fail(job, f"attempt {attempt}")
            waits.append(failed.due - clock.now)
            assert await jobs.lease("w", ["a"], 30) is None
            clock.now = max(clock.now, failed.due)
        assert waits[:2] == [2, 4]
        assert (failed.state, failed.error) == ("failed", "attempt 2")
        assert await jobs.lease("w", ["a"], 30) is None
        await jobs.add(Wish("a", {}))
        job = await jobs.lease("w", ["a"], 30)
        assert job is not None
        assert (await jobs.fail(job, "it can't work", retry=False)).state == "failed"


async def test_an_expired_lease_goes_to_another_worker_and_the_late_one_changes_nothing(place: Path | str) -> None:
    async with table(place) as (jobs, clock):
        await jobs.add(Wish("a", {}))
        late = await jobs.lease("w", ["a"], 30)
        assert late is not None
        clock.now += 20
        await jobs.heartbeat(late, 30)
        clock.now += 20
        assert await jobs.lease("w", ["a"], 30) is None  # the heartbeat counts
        clock.now += 20
        taken = await jobs.lease("w", ["a"], 30)  # of the same name: names prove nothing
        assert taken is not None
        assert (taken.id, taken.attempts) == (late.id, 2)
        for change in (jobs.heartbeat(late, 30), jobs.progress(late, 1), jobs.complete(late), jobs.fail(late, "x"),
                       jobs.stop(late), jobs.complete(await jobs.get(taken.id))):
            with pytest.raises(Conflict):
                await change
        assert (await jobs.complete(taken, 1)).state == "done"


async def test_a_job_that_kills_its_workers_is_given_up(place: Path | str) -> None:
    async with table(place) as (jobs, clock):
        added = await jobs.add(Wish("a", {}, max_attempts=2))
        for _ in range(2):
            assert await jobs.lease("w", ["a"], 30) is not None
            clock.now += 31
        assert await jobs.lease("w", ["a"], 30) is None
        job = await jobs.get(added.id)
        assert (job.state, job.attempts) == ("failed", 2)
        assert "no attempts are left" in job.error["detail"]
        assert job.expires == clock.now + 3600


async def test_cancelling(place: Path | str) -> None:
    async with table(place) as (jobs, clock):
        waiting = await jobs.add(Wish("a", {}))
        assert (await jobs.cancel(waiting.id)).state == "cancelled"
        assert await jobs.lease("w", ["a"], 30) is None

        async def running() -> Any:
            await jobs.add(Wish("a", {}))
            job = await jobs.lease("w", ["a"], 30)
            assert job is not None
            assert (await jobs.cancel(job.id)).state == "running"
            return job

        job = await running()
        assert (await jobs.heartbeat(job, 30)).cancelling
        assert (await jobs.stop(job)).state == "cancelled"
        assert (await jobs.fail(await running(), "stopped half-way")).state == "cancelled"
        lost = await running()
        clock.now += 31
        assert await jobs.lease("w", ["a"], 30) is None
        assert (await jobs.get(lost.id)).state == "cancelled"


async def test_what_cannot_be_kept_is_refused(place: Path | str) -> None:
    async with table(place) as (jobs, _):
        with pytest.raises(TooLarge):
            await jobs.add(Wish("a", {"text": "x" * 600_000}))
        with pytest.raises(InvalidInput):
            await jobs.add(Wish("a", {"bytes": b"x"}))
        for call in (jobs.get("nothing"), jobs.cancel("'; DROP TABLE jobs; --")):
            with pytest.raises(NotFound):
                await call
        hostile = {"<script>": "'; DROP TABLE jobs; --\x00"}
        assert (await jobs.get((await jobs.add(Wish("a", hostile))).id)).payload == hostile
        assert len(await jobs.find()) == 1


async def test_many_workers_never_get_the_same_job(place: Path | str) -> None:
    async with table(place) as (jobs, _), Database(place) as second:
        elsewhere = Jobs(second, clock=Clock())
        added = [await jobs.add(Wish("a", {"n": n})) for n in range(12)]

        async def work(table: Jobs, name: str) -> list[str]:
            mine = []
            while (job := await table.lease(name, ["a"], 60)) is not None:
                await table.complete(job)
                mine.append(job.id)
            return mine

        shares = await asyncio.gather(*(work(each, f"w{n}") for n, each in enumerate([jobs, elsewhere] * 2)))
        assert sorted(job for share in shares for job in share) == sorted(job.id for job in added)


WORKER = """
import asyncio, os, sys
from pathlib import Path
from aimass_stream.store.blobs import Blobs
from aimass_stream.store.database import Database
from aimass_stream.store.jobs import Jobs, Wish

async def main():
    blobs = Blobs(Path(sys.argv[2]))
    async with Database(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])) as database:
        jobs = Jobs(database, blobs)
        while True:
            blob = await blobs.put(os.urandom(200_000))
            job = await jobs.add(Wish("fresh", {"blob": blob.sha256}, blobs=[blob.sha256]))
            print("added", job.id, flush=True)
            leased = await jobs.lease("victim", ["work"], 0.2)
            if leased is not None:
                print("leased", leased.id, flush=True)
                done = await jobs.complete(leased, {"by": "victim"}, blob=blob)
                print("done", done.id, flush=True)

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_was_acknowledged(place: Path | str, tmp_path: Path) -> None:
    moments = random.Random(5)
    blobs = Blobs(tmp_path / "blobs")
    async with Database(place) as database:
        jobs = Jobs(database, blobs)
        work = [await jobs.add(Wish("work", {"n": n}, max_attempts=20)) for n in range(40)]
        said: list[str] = []
        for moment in range(3):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, str(place),
                                                           str(blobs.folder), stdout=subprocess.PIPE)
            assert process.stdout is not None
            for _ in range(8 + 5 * moment):  # killed at another point of its work each time
                said.append((await process.stdout.readline()).decode())
                assert said[-1], "the process ended by itself"
            await asyncio.sleep(moments.uniform(0, 0.02))
            os.kill(process.pid, signal.SIGKILL)
            rest = (await process.stdout.read()).decode()
            said += rest[: rest.rfind("\n") + 1].splitlines()  # half a line acknowledges nothing
            await process.wait()
        for line in said:
            what, _, job_id = line.strip().partition(" ")
            told = await jobs.get(job_id)
            assert (what, told.state) in {("added", "queued"), ("done", "done"), ("leased", "done"),
                                          ("leased", "running")}
            for content in filter(None, (told.blob, told.payload.get("blob"))):
                assert await blobs.verify(str(content))
        async with asyncio.timeout(30):
            while len(await jobs.find(kind="work", state="done")) < len(work):
                job = await jobs.lease("survivor", ["work"], 5)
                if job is None:  # the victim's last lease has yet to run out
                    await asyncio.sleep(0.02)
                else:
                    await jobs.complete(job, {"by": "survivor"})
        # what is there beyond that was never named, and is swept away; nothing that is named is
        await jobs.sweep()
    for file in (tmp_path / "blobs").glob("??/*"):
        assert await blobs.verify(file.name)
    if isinstance(place, Path):
        connection = sqlite3.connect(place)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
