"""Triton's own client over HTTP, unmodified, against the Open Inference Protocol here."""

from __future__ import annotations

import pytest

from tests.support.options import settings
from tests.support.server import serve

from .running import run, stock

pytestmark = [pytest.mark.anyio, stock]

KEY = "a-key-of-ours"


async def test_tritonclient() -> None:
    async with serve(settings(api_key=KEY)) as server:
        told = await run("triton_http.py", server.url.removeprefix("http://"), KEY)
    assert told["health"] | {"at": 0} == {"at": 0, "name": "health", "live": True, "ready": True, "model": True,
                                         "nothing": False}
    assert (told["metadata"]["server"], told["metadata"]["inputs"][0]["shape"]) == ("aimass-stream", [-1, 42])
    for way in ("binary", "json"):
        assert (told[way]["id"], told[way]["shape"], told[way]["raw"]) == ("7", [3, 10], way == "binary")
        assert told[way]["sums"] == pytest.approx([1, 1, 1], abs=1e-3)
    assert told["same"]["ways"] < 1e-5
    assert all(told["same"]["beside"])
    assert told["refused"]["nothing"][0] == "404"
    assert [each[0] for each in (told["refused"]["shape"], told["refused"]["kind"])] == ["400", "400"]
    assert "points" in told["refused"]["shape"][1]
    assert (told["statistics"]["count"], told["statistics"]["rows"]) == (10, 30)
    assert [told["repository"][each] for each in ("state", "away", "back")] == ["READY", False, True]
