"""Jobs of a server: how far one is, what came of it, ending it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

from ..errors import AimassError, Unavailable
from ..uncut import opened
from . import problems
from .connection import Connection, part
from .following import events
from .recorded import write
from .records import Job, read


class Jobs:
    """`Client.jobs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, *, kind: str | None = None, state: str | None = None, everybody: bool = False,
                   most: int = 1000) -> list[Job]:
        """One's own, the newest first; `everybody`: all, for admins."""
        rows = await self._connection.pages("/v1/jobs", "jobs", most, kind=kind, state=state,
                                            everybody=everybody or None)
        return [read(Job, row) for row in rows]

    async def show(self, job_id: str) -> Job:
        return read(Job, await self._connection.request("GET", _of(job_id)))

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """The job each time that something is new, until it is over; a line that breaks is taken up again."""
        following = events(self._connection, lambda: f"{_of(job_id)}/events", f"the job {job_id}")
        async with aclosing(following):
            async for told in following:
                job = read(Job, told)
                yield job
                if job.over:
                    return

    async def wait(self, job_id: str, told: Callable[[Job], None] | None = None) -> Job:
        """The job when it is done. Raises what went wrong, and `Unavailable` for one that was cancelled."""
        async for job in self.watch(job_id):
            if told is not None:
                told(job)
            if job.state == "failed":
                problem = job.error or {}
                raise problems.error_from(int(problem.get("status", AimassError.status)), problem)
            if job.state == "cancelled":
                raise Unavailable(f"the job {job_id} was cancelled")
        return job

    async def result(self, job_id: str, target: Path | str, told: Callable[[int, int], None] | None = None) -> Path:
        """What came of it, into a file, or under its own name into a folder. `Conflict` while there is nothing."""
        target, job = Path(target), await self.show(job_id)
        if target.is_dir() and job.result is not None:
            target = target / Path(job.result.name.replace("\\", "/")).name
        async with self._connection.streamed(f"{_of(job_id)}/result") as response:
            total, done = int(response.headers.get("content-length", 0)), 0
            beside = target.with_name(f".{target.name}.part")
            try:
                file = await opened(lambda: beside.open("wb"))
                try:
                    async for piece in response.aiter_bytes(1 << 18):
                        await asyncio.to_thread(file.write, piece)
                        done += len(piece)
                        if told is not None:
                            told(done, total)
                finally:
                    file.close()
                beside.replace(target)
            except OSError as error:
                raise AimassError(f"{target} can't be written: {error.strerror}") from error
        return target

    async def preview(self, job_id: str, target: Path | str) -> Path:
        """The last picture of what is being made, a JPEG. `NotFound` while there is none."""
        return await write(Path(target), (await self._connection.checked("GET", f"{_of(job_id)}/preview")).content)

    async def cancel(self, job_id: str) -> Job:
        """`Conflict` where it is over already."""
        return read(Job, await self._connection.request("POST", f"{_of(job_id)}/cancel"))

    async def delete(self, job_id: str) -> None:
        """End it, if it is not over, and forget it with its result."""
        await self._connection.request("DELETE", _of(job_id))


def _of(job_id: str) -> str:
    return f"/v1/jobs/{part(job_id)}"
