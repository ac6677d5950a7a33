"""Sandboxed work comes after everything else, also where the kernel shares the processor out by sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass_stream.sandbox import Limits, command

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no groups by sessions")
async def test_niceness_counts_for_the_whole_session() -> None:
    output = await command(["cat", "/proc/self/autogroup"], limits=Limits(niceness=7))
    assert output.stdout.split()[-1] == b"7"
    mine = Path("/proc/self/autogroup").read_text()
    assert mine.split()[0] != output.stdout.split()[0].decode(), "and not for ours"
