"""The folder that a container of one model is built from, as it comes: a tar file, unpacked."""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from ..errors import AimassError, InvalidInput
from .connection import Connection

PIECE = 256 << 10  # bytes
BUILT = 300.0  # s that a server may take, which has to build its own package first


async def unpacked(connection: Connection, path: str, folder: Path) -> list[Path]:
    """Into a folder that is empty, or made. Raises `InvalidInput` for another one."""
    await asyncio.to_thread(_look, folder)
    with tempfile.TemporaryFile() as file:
        async with connection.streamed(path, {"Accept-Encoding": "identity"}, seconds=BUILT) as response:
            async for piece in response.aiter_bytes(PIECE):
                await asyncio.to_thread(file.write, piece)
        return await asyncio.to_thread(_unpacked, file, folder)


def _look(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{folder} is not an empty folder")


def _unpacked(file: IO[bytes], folder: Path) -> list[Path]:
    file.seek(0)
    try:
        with tarfile.open(fileobj=file) as tar:
            tar.extractall(folder, filter="data")  # nothing outside of it, no links that lead there
    except (tarfile.TarError, OSError) as error:
        raise AimassError(f"what came can't be unpacked into {folder}: {error}") from error
    return sorted(path for path in folder.rglob("*") if path.is_file())
