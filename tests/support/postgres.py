"""A PostgreSQL of the tests' own, where the programs are installed (Debian: postgresql)."""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

OPTIONS = ("fsync=off", "shared_buffers=8MB", "max_connections=40", "listen_addresses=127.0.0.1")


@functools.cache
def server() -> str:
    """The URL of its database, which all tests share one after another. Skips the test where there can't be one."""
    if importlib.util.find_spec("asyncpg") is None:
        pytest.skip("asyncpg is not installed")
    programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if programs is None and (there := shutil.which("initdb")) is not None:
        programs = Path(there).parent
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="aimass-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    run = functools.partial(subprocess.run, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL,
                            env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    run([programs / "initdb", "-D", data, "-U", "aimass", "-A", "trust", "-E", "UTF8", "--no-sync"])
    given = " ".join(f"-c {option}" for option in (*OPTIONS, f"port={port}", f"unix_socket_directories={folder}"))
    run([programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", given, "start"])

    def end() -> None:
        run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return f"postgresql://aimass@127.0.0.1:{port}/postgres"


def _user() -> str | None:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


def emptied() -> str:
    """The URL, with nothing in the database."""
    url = server()
    importlib.import_module("sqlalchemy.dialects.postgresql.asyncpg")  # takes long: before a loop runs
    asyncio.run(_empty(url))
    return url


async def _empty(url: str) -> None:
    import asyncpg  # type: ignore[import-untyped]

    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()
