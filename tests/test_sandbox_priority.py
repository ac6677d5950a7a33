"""Sandboxed work comes after everything else, also where the kernel shares the processor out by sessions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aimass_stream.sandbox import BACKGROUND, Limits, command

pytestmark = pytest.mark.anyio

GROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not GROUP.exists(), reason="this kernel has no groups by sessions")
@pytest.mark.parametrize("niceness", [BACKGROUND + 2, BACKGROUND - 3])
async def test_niceness_counts_for_the_whole_session_in_the_background_alone(niceness: int) -> None:
    output = await command(["cat", str(GROUP)], limits=Limits(niceness=niceness))
    group, _, told = output.stdout.decode().split()
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(told) == (min(19, niceness + mine) if niceness >= BACKGROUND else 0)
    assert group.startswith("/autogroup-")
