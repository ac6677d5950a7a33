"""Files of requests through the client and the command line: sent, followed to their end, saved, ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimass_stream import errors
from aimass_stream.client import Client, SyncClient
from aimass_stream.client.records import Job
from tests.api.batch.place import KEY, asked, double, jsonl
from tests.support.command import here
from tests.support.server import Running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with asked(tmp_path / "data") as (server, _):
        yield server


def written(folder: Path, name: str, *lines: dict[str, object]) -> Path:
    path = folder / name
    path.write_bytes(jsonl(*lines))
    return path


def outputs(path: Path) -> dict[str, object]:
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return {each["custom_id"]: each["response"]["body"].get("output") for each in told}


async def test_a_file_is_sent_followed_and_its_answers_saved(server: Running, tmp_path: Path) -> None:
    requests = written(tmp_path, "asks.jsonl", *(double(float(number)) for number in range(5)),
                       double(0.0, "wrong", body={"input": "four"}))
    async with Client(server.url, KEY) as client:
        sent = await client.batches.send(requests)
        assert (sent.filename, sent.bytes) == ("asks.jsonl", requests.stat().st_size)
        batch, again = [await client.batches.begin(sent.id, "/predict/doubler", metadata={"who": "ada"}, key="once")
                        for _ in range(2)]
        assert again.id == batch.id
        seen: list[Job] = []
        done = await client.batches.wait(batch.id, seen.append)
        assert (done.status, done.metadata, seen[-1].progress) == ("completed", {"who": "ada"}, 1)
        assert done.request_counts == {"total": 6, "completed": 5, "failed": 1}
        told = outputs(await client.batches.answers(batch.id, tmp_path / "told.jsonl"))
        assert told == {f"line-{float(number)}": [2.0 * number] for number in range(5)} | {"wrong": None}
        assert [each.id for each in await client.batches.find()] == [batch.id]
        assert [each.id for each in await client.batches.files()] == [sent.id]
        assert (await client.batches.content(sent.id, tmp_path / "same")).read_bytes() == requests.read_bytes()
        with pytest.raises(errors.Conflict):
            await client.batches.cancel(batch.id)
        await client.batches.delete(sent.id)
        with pytest.raises(errors.NotFound):
            await client.batches.file(sent.id)
        wrong = await client.batches.send(written(tmp_path, "wrong.jsonl", double(1.0, url="/v1/keys")))
        failing = await client.batches.begin(wrong.id)
        with pytest.raises(errors.InvalidInput):
            await client.batches.wait(failing.id)
        with pytest.raises(errors.Unavailable, match="failed"):
            await client.batches.answers(failing.id, tmp_path / "none")
        with pytest.raises(errors.AimassError, match="nowhere"):
            await client.batches.send(tmp_path / "nowhere")

    def blocking() -> str:
        with SyncClient(server.url, KEY) as client:
            return client.batches.show(batch.id).status

    assert await asyncio.to_thread(blocking) == "completed"


async def test_the_command_sends_follows_saves_and_ends(server: Running, tmp_path: Path) -> None:
    requests = written(tmp_path, "asks.jsonl", double(1.0, "a"), double(2.0, "b"))
    wrong = written(tmp_path, "wrong.jsonl", double(1.0), {"custom_id": "x"})
    env = {"AIMASS_URL": server.url, "AIMASS_API_KEY": KEY, "COLUMNS": "500"}

    def commands() -> None:
        sent = here("batch", "send", str(requests), "--json", **env)
        assert sent.code == 0, sent.err
        batch = json.loads(sent.out)
        assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 2)
        assert outputs(tmp_path / "asks-answers.jsonl") == {"a": [2.0], "b": [4.0]}
        again = tmp_path / "again.jsonl"
        assert str(again) in here("batch", "answers", batch["id"], "--out", str(again), **env).out
        assert outputs(again) == {"a": [2.0], "b": [4.0]}
        assert "2 of 2" in here("batch", "list", **env).out
        begun = json.loads(here("batch", "send", str(requests), "--no-wait", "--endpoint", "/predict/doubler", "--json",
                                **env).out)
        followed = here("batch", "watch", begun["id"], "--out", str(again), **env)
        assert (followed.code, "completed" in followed.out) == (0, True), followed.err
        assert "completed" in here("batch", "show", begun["id"], **env).out
        ended = here("batch", "cancel", begun["id"], **env)
        assert (ended.code, "done" in ended.err or "completed" in ended.err) == (1, True), ended.err
        files = json.loads(here("batch", "files", "--json", **env).out)
        assert [each["filename"] for each in files] == ["asks.jsonl", "asks.jsonl"]
        assert here("batch", "files", "--delete", files[0]["id"], **env).code == 0
        refused = here("batch", "send", str(wrong), **env)
        assert refused.code == 1, refused.out
        assert "2" in refused.err
        assert "wrong-answers.jsonl" not in {each.name for each in tmp_path.iterdir()}
        elsewhere = here("batch", "send", str(requests), "--endpoint", "/v1/keys", **env)
        assert (elsewhere.code, "endpoint" in elsewhere.err) == (1, True)
        assert here("batch", "send", str(tmp_path / "nowhere"), **env).code == 2

    await asyncio.to_thread(commands)
