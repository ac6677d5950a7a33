"""Sandboxed work comes after everything else, also where the kernel shares the processor out by sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass_stream.sandbox import BACKGROUND, Limits, command

pytestmark = pytest.mark.anyio

GROUP = Path("/proc/self/autogroup")


def grouped() -> bool:
    """Whether this process is of a session's group; the file of the root of all groups is empty."""
    try:
        return bool(GROUP.read_text(encoding="ascii").split())
    except OSError:
        return False


@pytest.mark.skipif(not grouped(), reason="this kernel has no groups by sessions, or this process is in none")
@pytest.mark.parametrize("niceness", [BACKGROUND + 2, BACKGROUND - 3])
async def test_niceness_counts_for_the_whole_session_in_the_background_alone(niceness: int) -> None:
    output = await command(["cat", str(GROUP)], limits=Limits(niceness=niceness))
    group, _, told = output.stdout.decode().split()
    with GROUP.open() as file:  # noqa: ASYNC230  of the kernel's own
        mine = int(file.read().split()[-1])  # of the session: its own niceness has no say among sessions
    assert int(told) == (min(19, niceness + mine) if niceness >= BACKGROUND else 0)
    assert group.startswith("/autogroup-")
