"""What the hub's client costs the loop."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import asyncio, sys, threading

import aimass_stream.server
from aimass_stream.errors import Unavailable
from aimass_stream.weights import Hub, WeightFile, Weights

imported = []

def note(event, given):
    if event == "import" and threading.current_thread() is threading.main_thread():
        imported.append(given[0])

async def ask():
    wanted = Weights("x", "x", "voice", "x", "MIT", "x", ("en",), (WeightFile("x", "x"),), "somebody/x")
    sys.addaudithook(note)
    try:
        await Hub("http://127.0.0.1:9").files(wanted)
    except Unavailable as error:
        print(error.detail)

asyncio.run(ask())
print([name for name in imported if name.startswith("anyio")])
"""


def test_the_first_request_imports_no_backend_on_the_loop() -> None:
    told = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=60, check=True).stdout
    reason, imported = told.splitlines()
    assert "can't be reached" in reason
    assert imported == "[]"
