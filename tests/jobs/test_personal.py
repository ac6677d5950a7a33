"""A person's jobs are theirs to have and to erase."""

from pathlib import Path

import pytest

from aimass_stream.jobs.personal import JobsOfPeople
from tests.jobs.test_board import begin, board, over
from tests.support import laborious

pytestmark = pytest.mark.anyio


async def test_a_persons_jobs_are_told_and_erased(tmp_path: Path) -> None:
    async with board(tmp_path) as jobs:
        personal = JobsOfPeople(jobs)
        job = await over(jobs, await begin(jobs, laborious.writes, "hers", owner="usr_ada"))
        other = await begin(jobs, laborious.writes, "another's", owner="usr_eve")
        (told,) = await personal.export("usr_ada")
        assert (told["id"], told["kind"], told["state"]) == (job.id, "test", "done")
        await personal.erase("usr_ada")
        assert await personal.export("usr_ada") == []
        assert [each.id for each in await jobs.find()] == [other.id]
