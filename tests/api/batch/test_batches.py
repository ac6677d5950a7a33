"""/v1/files and /v1/batches: a file of requests as a job, its answers as a file."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from aimass_stream.api.batch import batches, inside, lines
from aimass_stream.api.oip.bodies import Desk
from aimass_stream.errors import InvalidInput, Unauthorized
from aimass_stream.ports import Caller
from tests.api.batch.place import asked, double, jsonl
from tests.support.accounts import person
from tests.support.fifo import unread, writer
from tests.support.models import Doubler
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

ADA = Caller("ada", "127.0.0.1", "key_1", "user_1")


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    async with asked(tmp_path_factory.mktemp("batches")) as (_, http):
        yield http


async def begun(http: httpx.AsyncClient, content: bytes, endpoint: str = "/predict", **more: Any) -> dict[str, Any]:
    sent = await http.post("/v1/files", files={"file": ("in.jsonl", content)}, data={"purpose": "batch"})
    assert sent.status_code == 200, sent.text
    answer = await http.post("/v1/batches", json={
        "input_file_id": sent.json()["id"], "endpoint": endpoint, "completion_window": "24h"} | more)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def over(http: httpx.AsyncClient, batch: dict[str, Any]) -> dict[str, Any]:
    """The batch, followed by the events of its job until it has ended."""
    async with asyncio.timeout(60), http.stream("GET", f"/v1/jobs/{batch['job']}/events") as events:
        async for _ in events.aiter_lines():
            pass
    found: dict[str, Any] = (await http.get(f"/v1/batches/{batch['id']}")).json()
    return found


async def answers(http: httpx.AsyncClient, batch: dict[str, Any]) -> dict[str, Any]:
    content = await http.get(f"/v1/files/{batch['output_file_id']}/content")
    assert content.status_code == 200, content.text
    return {line["custom_id"]: line["response"] for line in map(json.loads, content.text.splitlines())}


async def test_a_file_of_requests_is_answered_as_a_file(shared: httpx.AsyncClient) -> None:
    http = shared
    content = jsonl(*map(double, range(40)), double(1, "wrong", body={"input": "text"}),
                    double(2, "nobody", url="/predict/nobody"))
    batch = await begun(http, content + b"\n", metadata={"for": "tests"})
    assert (batch["object"], batch["metadata"]) == ("batch", {"for": "tests"})
    done = await over(http, batch)
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 42, "completed": 40, "failed": 2})
    told = await answers(http, done)
    assert {name: each["body"].get("output") for name, each in told.items() if each["status_code"] == 200} == {
        f"line-{number}": [2 * number] for number in range(40)}
    assert (told["wrong"]["status_code"], told["nobody"]["status_code"]) == (422, 404)
    output = (await http.get(f"/v1/files/{done['output_file_id']}")).json()
    assert (output["purpose"], output["filename"]) == ("batch_output", "in-answers.jsonl")
    assert (await http.get(f"/v1/jobs/{batch['job']}")).json()["facts"]["completed"] == 40
    files = [each["id"] for each in (await http.get("/v1/files")).json()["data"]]
    assert batch["input_file_id"] in files
    assert done["output_file_id"] not in files
    listed = [each["id"] for each in (await http.get("/v1/batches")).json()["data"]]
    after = [each["id"] for each in (await http.get(f"/v1/batches?after={batch['id']}")).json()["data"]]
    assert after == listed[listed.index(batch["id"]) + 1 :]
    assert (await http.delete(f"/v1/files/{done['output_file_id']}")).status_code == 409
    assert (await http.delete(f"/v1/files/{batch['input_file_id']}")).json()["deleted"] is True
    assert (await http.get(f"/v1/files/{batch['input_file_id']}")).status_code == 404


async def test_a_server_that_stops_goes_on_where_it_was_and_a_batch_can_be_ended(tmp_path: Path) -> None:
    content = jsonl(*map(double, range(60)))
    async with asked(tmp_path, Doubler(each=0.02, max_batch=1)) as (_, http):
        batch = await begun(http, content, "/predict/doubler")
        async with asyncio.timeout(60):
            async with http.stream("GET", f"/v1/jobs/{batch['job']}/events") as events:
                async for line in events.aiter_lines():
                    if line.startswith("data:") and json.loads(line[5:])["facts"].get("completed"):
                        break
    model = Doubler()
    async with asked(tmp_path, model) as (_, http):
        done = await over(http, batch)
        assert done["request_counts"] == {"total": 60, "completed": 60, "failed": 0}
        assert len(await answers(http, done)) == 60
        slow = await begun(http, jsonl(*(double(number, body={"input": [number]}, url="/predict/doubler")
                                         for number in range(3000))))
        cancelled = await http.post(f"/v1/batches/{slow['id']}/cancel")
        assert cancelled.json()["status"] in ("cancelled", "cancelling", "in_progress"), cancelled.text
        assert (await over(http, slow))["status"] == "cancelled"
        assert (await http.post(f"/v1/batches/{slow['id']}/cancel")).status_code == 409


async def test_a_line_that_is_answered_is_not_asked_again_by_who_comes_after_a_kill(tmp_path: Path) -> None:
    source, partial, target = tmp_path / "in", tmp_path / "some" / "job_1.jsonl", tmp_path / "out"
    source.write_bytes(jsonl(*map(double, range(50))))
    asked_for: list[str] = []
    batch = lines.Batch("job_1", source, partial, ADA, "/predict")

    async def ask(path: str, body: bytes, caller: Caller) -> inside.Answer:
        asked_for.append(json.loads(body)["input"][0])
        assert caller == ADA
        return inside.Answer(200, {}, body)

    work = lines.run(batch, target, ask, Desk(), lambda caller: caller)
    async for told in work:
        if told.facts["completed"] >= 20:
            break
    await work.aclose()
    kept = partial.read_bytes()
    whole = kept.count(b"\n")
    assert 20 <= whole < 50
    partial.write_bytes(kept + b'{"id":"batch_req_49","custom')  # the kill came in the middle of a line
    already = {json.loads(line)["response"]["body"]["input"][0] for line in kept.splitlines()}
    asked_for.clear()
    last = [told async for told in lines.run(batch, target, ask, Desk(), lambda caller: caller)][-1]
    assert (last.share, last.facts) == (1, {"total": 50, "completed": 50, "failed": 0})
    assert sorted([*already, *asked_for]) == list(range(50))
    assert len({json.loads(line)["id"] for line in target.read_bytes().splitlines()}) == 50


async def test_a_batch_that_is_ended_while_its_file_is_opened_leaves_none_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in")  # which opens when somebody writes
    batch = lines.Batch("job_1", tmp_path / "in", tmp_path / "some.jsonl", ADA, "/predict")

    async def ask(path: str, body: bytes, caller: Caller) -> inside.Answer:
        raise AssertionError(path)

    work = lines.run(batch, tmp_path / "out", ask, Desk(), lambda caller: caller)
    working = asyncio.create_task(anext(work))
    number = await writer(tmp_path / "in")
    working.cancel()
    await asyncio.wait([working])
    await until(lambda: unread(number))
    os.close(number)


async def test_a_batch_leaves_its_owner_a_quarter_of_their_requests(tmp_path: Path) -> None:
    async with asked(tmp_path, limit_requests=8) as (server, _):
        accounts = server.state.accounts
        ada, ask = await person(accounts, "ada"), batches.asking(cast(FastAPI, server.server.config.app), accounts)
        told = [await ask("/predict/doubler", b'{"input": [1]}', ada) for _ in range(9)]
        assert [each.status for each in told] == [200] * 6 + [429] * 3
        assert all(int(each.headers["retry-after"]) > 0 and b"requests" in each.body for each in told[6:])
        for _ in range(2):  # by hand: to look at it, or to end it
            await accounts.parts.allowance.request(ada)


async def test_over_a_limit_a_line_waits_and_a_revoked_key_ends_it(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(jsonl(double(1)))
    batch = lines.Batch("job_1", source, tmp_path / "part.jsonl", ADA, "/predict")
    come = [inside.Answer(429, {"retry-after": "1"}, b"{}"), inside.Answer(200, {}, b"{}")]

    async def ask(path: str, body: bytes, caller: Caller) -> inside.Answer:
        return come.pop(0)

    [*_, last] = [told async for told in lines.run(batch, tmp_path / "out", ask, Desk(), lambda caller: caller)]
    assert (last.facts["failed"], come) == (0, [])

    def confirm(caller: Caller) -> Caller:
        raise Unauthorized("revoked")

    (tmp_path / "part.jsonl").unlink()
    with pytest.raises(Unauthorized):
        async for _ in lines.run(batch, tmp_path / "out", ask, Desk(), confirm):
            pass


@pytest.mark.parametrize(("content", "says"), [
    (b"{\n", "line 1: this is not JSON"), (b"\n\n", "no line"), (jsonl({"url": "/predict/m", "body": {}}), "custom_id"),
    (jsonl(double(1), double(1)), "line 2: there is another"), (jsonl(double(1, url="/v1/keys")), "line 1"),
    (jsonl(double(1, url="/v2/models/doubler/infer")), "is for /predict"), (jsonl(double(1, method="GET")), "GET"),
    (jsonl(double(1), {"custom_id": "x"}), "line 2"), (b"5\n", "object")])
async def test_files_with_lines_that_are_none(content: bytes, says: str, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(content)
    batch = lines.Batch("job_1", source, tmp_path / "part.jsonl", ADA, "/predict")

    async def ask(path: str, body: bytes, caller: Caller) -> inside.Answer:
        raise AssertionError("no line is asked before all are read")

    with pytest.raises(InvalidInput, match=says):
        async for _ in lines.run(batch, tmp_path / "out", ask, Desk(), lambda caller: caller):
            pass


async def test_what_is_refused(shared: httpx.AsyncClient) -> None:
    http = shared
    file = {"file": ("../../in.jsonl", jsonl(double(1)))}
    for data, files, field in (({"purpose": "fine-tune"}, file, "purpose"), ({"purpose": "batch"}, None, "file"),
                               ({"purpose": "batch"}, {"file": ("a", b"")}, "file"),
                               ({"purpose": "batch", "more": "1"}, file, "more")):
        answer = await http.post("/v1/files", data=data, files=files or {"other": ("a", b"x")})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == (field if files else "other")
    sent = (await http.post("/v1/files", data={"purpose": "batch"}, files=file)).json()
    assert "/" not in sent["filename"]
    for change, status in (({"endpoint": "/v1/keys"}, 400), ({"input_file_id": "file-none"}, 404),
                           ({"completion_window": "1h"}, 400), ({"more": 1}, 400)):
        body = {"input_file_id": sent["id"], "endpoint": "/predict", "completion_window": "24h"} | change
        answer = await http.post("/v1/batches", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]
    for path in ("/v1/batches/batch_none", "/v1/batches/none", "/v1/files/file-none", f"/v1/batches/{sent['id']}"):
        assert (await http.get(path)).status_code == 404
    bad = await begun(http, b'{"custom_id": "a"}\n')
    failed = await over(http, bad)
    assert (failed["status"], failed["errors"]["data"][0]["line"]) == ("failed", 1)
    assert failed["output_file_id"] is None
