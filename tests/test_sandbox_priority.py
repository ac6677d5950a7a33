"""Sandboxed work comes after everything else, also where the kernel shares the processor out by sessions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aimass_stream.sandbox import Limits, command

pytestmark = pytest.mark.anyio

GROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not GROUP.exists(), reason="this kernel has no groups by sessions")
async def test_niceness_counts_for_the_whole_session() -> None:
    output = await command(["cat", str(GROUP)], limits=Limits(niceness=7))
    group, _, niceness = output.stdout.decode().split()
    assert int(niceness) == min(19, 7 + os.getpriority(os.PRIO_PROCESS, 0))
    assert group.startswith("/autogroup-")
