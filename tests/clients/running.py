"""Client programs in the environment of their own, against a server of ours on a real socket."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
PROGRAMS = Path(__file__).parent / "programs"

stock = pytest.mark.skipif(not PYTHON.exists(), reason=".venv-clients is not here: `make test` installs it")


async def run(program: str, *arguments: str | Path, seconds: float = 150) -> dict[str, dict[str, Any]]:
    """What the program told, by name. It fails with what it wrote to stderr."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = await asyncio.create_subprocess_exec(PYTHON, PROGRAMS / program, *arguments, stdout=out,
                                                       stderr=errors)
        end = "failed"
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            end = f"was not done after {seconds:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        told, complaints = _all(out), _all(errors)
    assert process.returncode == 0, f"{program} {end}:\n{told}\n{complaints[-4000:]}"
    facts = [json.loads(line) for line in told.splitlines()]
    return {fact["name"]: fact for fact in facts}


def _all(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
