"""openai-python with batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.batch.place import KEY, asked, double, jsonl

from .running import run, stock

pytestmark = [pytest.mark.anyio, stock]


async def test_batches_with_openai_python(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_bytes(jsonl(*map(double, range(3)), double(0, "wrong", body={"input": "x"})))
    async with asked(tmp_path / "data") as (server, _):
        told = await run("openai_batches.py", server.url, KEY, file)
    sent = told["file"]
    assert (sent["purpose"], sent["bytes"], sent["listed"]) == ("batch", told["deleted"]["size"], True)
    assert told["batch"]["status"] == "completed"
    counts = told["batch"]["counts"]
    assert [counts[key] for key in ("total", "completed", "failed")] == [4, 3, 1]
    assert (told["batch"]["metadata"], told["batch"]["listed"]) == ({"for": "a test"}, True)
    assert [told["answers"][f"line-{number}"] for number in range(3)] == [[0], [2], [4]]
    assert "batch" in told["nobody"]["message"]
    assert (told["wrong"]["param"], told["deleted"]["deleted"]) == ("endpoint", True)
