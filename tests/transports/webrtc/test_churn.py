"""Peers come and go; nothing of them is left: no thread, no descriptor, no growing memory."""

from __future__ import annotations

import pytest

from tests.support.churn import ENVIRONMENT, Footprint, churn
from tests.support.server import served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150),
              pytest.mark.slow_loop(200, "the loop is that of a hundred stock aiortc clients")]

WARM_UP = 100  # cycles, in which pools fill and modules are imported
CYCLES = 200
POOLS = 8  # threads that the loop's and the web framework's own pools start when they please
GROWTH = 8_000_000  # bytes: 40 kB a cycle would be seen


async def test_two_hundred_sessions_leave_nothing() -> None:
    with served(env=ENVIRONMENT) as (url, process):
        await churn(url, WARM_UP)
        before = await Footprint.settled(process.pid)
        await churn(url, CYCLES)
        after = await Footprint.settled(process.pid, before, GROWTH)
    assert after.threads <= before.threads + POOLS
    assert after.descriptors <= before.descriptors
    assert after.memory - before.memory < GROWTH, f"{before} became {after}"
