"""GStreamer's webrtcbin as a peer that shares no code with us: examples/gstreamer_peer.py by the system's Python."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "examples" / "gstreamer_peer.py"
NEEDED = """
import gi
for name in ("Gst", "GstSdp", "GstWebRTC"):
    gi.require_version(name, "1.0")
from gi.repository import Gst
Gst.init(None)
elements = ("webrtcbin", "nicesrc", "vp8enc", "vp8dec", "opusenc", "rtpvp8pay", "srtpenc", "dtlsenc", "pngenc")
missing = [name for name in elements if Gst.ElementFactory.find(name) is None]
raise SystemExit(", ".join(missing))
"""


@functools.cache
def missing() -> str:
    """What GStreamer lacks here, empty for nothing."""
    try:
        asked = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return str(error)
    return asked.stderr.strip().rpartition("\n")[2] if asked.returncode else ""


def needed() -> None:
    """Skip the test where GStreamer is not whole."""
    if missing():
        pytest.skip(f"GStreamer's webrtcbin is not here ({missing()}): "
                    "apt install python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-bad "
                    "gstreamer1.0-plugins-good gstreamer1.0-nice")


class Gst:
    """The running program, and what it said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def said(self, start: str) -> str:
        """What comes behind `start` in the first line that begins so; waits for it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while True:
                for line in self.lines:
                    if line.startswith(start):
                        return line.removeprefix(start).strip()
                read = await self.process.stdout.readline()
                assert read, f"it ended without {start!r}: {self.lines} {await self.complaints()}"
                self.lines.append(read.decode().strip())

    async def complaints(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(60):
            return await self.process.wait()

    async def interrupt(self) -> int:
        """Ctrl-C, and its exit code."""
        self.process.terminate()
        return await self.ended()


@asynccontextmanager
async def gstreamer(command: str, folder: Path) -> AsyncIterator[Gst]:
    """A line of the shell that runs the program, in a folder; loopback is the only address it uses."""
    line = f"exec {command} --address 127.0.0.1".replace("examples/gstreamer_peer.py", str(PROGRAM))
    process = await asyncio.create_subprocess_shell(line, cwd=folder, stdout=asyncio.subprocess.PIPE,
                                                    stderr=asyncio.subprocess.PIPE)
    try:
        yield Gst(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
