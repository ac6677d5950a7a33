"""Jobs through the client and the command line: followed to their end, fetched, cancelled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from aimass_stream import errors, sandbox
from aimass_stream.client import Client
from aimass_stream.client.records import Job
from aimass_stream.jobs import Work
from tests.support import laborious
from tests.support.command import here
from tests.support.options import settings
from tests.support.server import serve

pytestmark = pytest.mark.anyio

LIMITS = sandbox.Limits(seconds=60)


async def test_jobs_are_followed_fetched_and_cancelled(tmp_path: Path) -> None:
    async with serve(settings(data_dir=tmp_path / "data")) as server, Client(server.url) as client:
        board, env = server.state.jobs, {"AIMASS_URL": server.url}
        board.register("writes", lambda payload: Work(laborious.writes, (payload["text"],), LIMITS))
        board.register("refuses", lambda payload: Work(laborious.refuses, (), LIMITS))
        board.register("waits", lambda payload: Work(laborious.waits, (), LIMITS))
        writes = (await board.begin("writes", {"text": "what came of it"}, owner="")).id
        seen: list[Job] = []
        done = await client.jobs.wait(writes, seen.append)
        assert (done.state, done.over, done.progress, seen[-1]) == ("done", True, 1, done)
        assert done.result is not None
        path = await client.jobs.result(writes, tmp_path)
        assert (path.name, path.read_text()) == (done.result.name, "what came of it")
        refused = (await board.begin("refuses", {}, owner="")).id
        with pytest.raises(errors.InvalidInput, match="no good"):
            await client.jobs.wait(refused)
        waits = (await board.begin("waits", {}, owner="")).id
        async for job in client.jobs.watch(waits):
            if job.state == "running":
                break
        with pytest.raises(errors.Conflict):
            await client.jobs.result(waits, tmp_path)
        assert (await client.jobs.cancel(waits)).state == "cancelled"
        assert [job.id for job in await client.jobs.find(state="failed")] == [refused]

        def commands() -> None:
            listed = here("jobs", "list", **env)
            assert {writes, refused, waits} <= set(listed.out.split())
            assert json.loads(here("jobs", "watch", writes, "--json", **env).out)["state"] == "done"
            failed = here("jobs", "watch", refused, **env)
            assert failed.code == 1
            assert "no good" in failed.out
            out = tmp_path / "fetched.txt"
            assert str(out) in here("jobs", "result", writes, "--out", str(out), COLUMNS="500", **env).out
            assert out.read_text() == "what came of it"
            assert here("jobs", "cancel", writes, **env).code == 1
            assert "forgotten" in here("jobs", "delete", writes, **env).out

        await asyncio.to_thread(commands)
