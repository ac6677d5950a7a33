"""A person's jobs, for who wants to have or erase what is theirs."""

from __future__ import annotations

from typing import Any

from .board import Jobs


class JobsOfPeople:
    """Implements `ports.Personal`."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def export(self, user: str) -> Any:
        rows = [job.row for job in await self._jobs.find({user})]
        return [{"id": row.id, "kind": row.kind, "state": row.state, "name": row.name, "created": row.created,
                 "ended": row.ended, "expires": row.expires} for row in rows]

    async def erase(self, user: str) -> None:
        while jobs := await self._jobs.find({user}):
            for job in jobs:
                await self._jobs.end(job)
