"""`aimass serve`: start the server."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated, Any

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Secret that every caller must send.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow a public address without an API key.")] = False,
    tls: Annotated[str | None, typer.Option(help="'CERT,KEY' (PEM files), or 'self' to make one.")] = None,
    drain_seconds: Annotated[float | None, typer.Option(help="How long SIGTERM waits for sessions.")] = None,
    max_sessions: Annotated[int | None, typer.Option(help="Sessions at once.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where certificates and the database live.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Start the server. Every option can also be set as AIMASS_<NAME>; more are listed by `aimass settings`."""
    given: dict[str, Any] = {
        "host": host, "port": port, "api_key": api_key, "tls": tls, "drain_seconds": drain_seconds,
        "max_sessions": max_sessions, "data_dir": data_dir, "insecure": insecure or None,
    }
    run({name: value for name, value in given.items() if value is not None}, log_level)


def run(given: dict[str, Any], log_level: str, **app: Any) -> None:
    """Serve with these settings until stopped; ends the process with a sentence when they are wrong."""
    from pydantic import ValidationError

    from ..errors import AimassError
    from ..settings import Settings

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aioice", "aiortc", "httpx", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = Settings(**given)
        _serve(settings, **app)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except AimassError as error:
        raise typer.BadParameter(error.detail) from None


def _serve(settings: Any, **options: Any) -> None:
    import uvloop

    from .. import memory
    from ..server import Server, create_app

    server = Server(settings, create_app(settings, **options), on_started=_announce)
    memory.settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())
    if not server.started:
        raise typer.Exit(1)


def _announce(server: Any) -> None:
    """Print where to go; on a public address also a QR code, because phones have no patience for typing."""
    from .. import tls

    settings = server.settings
    scheme = "https" if settings.tls else "http"
    if not settings.public:
        typer.echo(f"\n  AI Mass Stream is at {scheme}://{settings.host}:{server.bound_port}/\n")
        return
    everywhere = settings.host in ("0.0.0.0", "::")
    hosts = (tls.addresses() or ["127.0.0.1"]) if everywhere else [settings.host]
    urls = [f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.bound_port}/" for host in hosts]
    typer.echo("\n  AI Mass Stream is at " + "  ".join(urls))
    if not settings.tls:
        typer.echo("  Browsers give no camera to plain http from another machine: start with --tls self.")
    _qr(urls[0])


def _qr(url: str) -> None:
    import sys

    import qrcode

    code = qrcode.QRCode(border=2)
    code.add_data(url)
    code.print_ascii(out=sys.stdout, invert=True)
