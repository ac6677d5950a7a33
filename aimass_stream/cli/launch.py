"""What `aimass serve` and `aimass dev` share: settings with clear errors, quiet logs, a port that is free."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..server import Server
    from ..settings import Settings


def log_to_terminal(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aioice", "aiortc", "alembic.runtime.plugins", "httpx", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def settings_of(given: dict[str, Any]) -> Settings:
    """Settings from these options and the environment; ends the command with a sentence when one is wrong."""
    from pydantic import ValidationError

    from ..settings import Settings

    known = {f"AIMASS_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(name for name in os.environ if name.startswith("AIMASS_") and name not in known):
        typer.echo(f"{name} is no setting and is ignored; `aimass settings` lists them.", err=True)
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        shown = f"--{name.replace('_', '-')}" if name in given else f"AIMASS_{name.upper()}"
        raise typer.BadParameter(f"{shown}: {first['msg']}") from None


def launch(server: Server) -> None:
    """Serve until stopped."""
    import uvloop

    _check_address(server.settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_check_store(server.settings))
        runner.run(server.serve())
    if not server.started:
        raise typer.Exit(1)


async def _check_store(settings: Settings) -> None:
    """Look whether the database and the files can be used: uvicorn would print a traceback."""
    from ..errors import AimassError
    from ..store import open_blobs
    from ..store.database import open_database

    try:
        await (await open_database(settings)).close()
        if settings.blobs:
            await open_blobs(settings)
    except AimassError as error:
        raise typer.BadParameter(f"AIMASS_{(error.field or 'database').upper()}: {error.detail}") from None


def _check_address(settings: Settings) -> None:
    """Look whether we may listen there: uvicorn would only log the error number."""
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise typer.BadParameter(f"--host: there is no address of the name {host}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise typer.BadParameter(f"--port: {port} is in use; take another one, or 0 for any that is free "
                                     '(make run ARGS="--port 0")') from None
        raise typer.BadParameter(f"{host}:{port} can't be listened on: {error.strerror}") from None
