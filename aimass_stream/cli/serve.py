"""`aimass serve`: start the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Secret that every caller must send.")] = None,
    accounts: Annotated[bool, typer.Option("--accounts", help="Everybody signs in or shows a key of theirs.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow a public address without an API key.")] = False,
    tls: Annotated[str | None, typer.Option(help="'CERT,KEY' (PEM files), or 'self' to make one.")] = None,
    drain_seconds: Annotated[float | None, typer.Option(help="How long SIGTERM waits for sessions.")] = None,
    max_sessions: Annotated[int | None, typer.Option(help="Sessions at once.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Certificates, database, fetched models.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Start the server. Every option can also be set as AIMASS_<NAME>; more are listed by `aimass settings`."""
    given: dict[str, Any] = {
        "host": host, "port": port, "api_key": api_key, "tls": tls, "drain_seconds": drain_seconds,
        "max_sessions": max_sessions, "data_dir": data_dir, "insecure": insecure or None,
        "accounts": accounts or None,
    }
    run({name: value for name, value in given.items() if value is not None}, log_level)


def run(given: dict[str, Any], log_level: str) -> None:
    """Serve with these settings until stopped; ends the process with a sentence when they are wrong."""
    from .. import memory
    from ..errors import AimassError
    from ..server import Server, create_app
    from .launch import launch, log_to_terminal, settings_of

    log_to_terminal(log_level)
    settings = settings_of(given)
    try:
        server = Server(settings, create_app(settings), on_started=_announce)
    except AimassError as error:
        option = f"--{error.field.replace('_', '-')}: " if error.field else ""
        raise typer.BadParameter(f"{option}{error.detail}") from None
    memory.settle()
    launch(server)


def _announce(server: Any) -> None:
    """Print where to go; on a public address also a QR code, because phones have no patience for typing."""
    from .. import tls

    settings = server.settings
    scheme = "https" if settings.tls else "http"
    if not settings.public:
        typer.echo(f"\n  AI Mass Stream is at {scheme}://{settings.host}:{server.bound_port}/\n")
        _invite(server, f"{scheme}://{settings.host}:{server.bound_port}")
        return
    everywhere = settings.host in ("0.0.0.0", "::")
    hosts = (tls.addresses() or ["127.0.0.1"]) if everywhere else [settings.host]
    hosts = [*hosts, "127.0.0.1"] if everywhere and "127.0.0.1" not in hosts else hosts
    urls = [f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.bound_port}/" for host in hosts]
    typer.echo("\n  AI Mass Stream is at " + "  ".join(urls))
    if not settings.tls:
        typer.echo("  Browsers give no camera to plain http from another machine: start with --tls self.")
    _invite(server, urls[0].rstrip("/"))
    _qr(urls[0])


def _invite(server: Any, url: str) -> None:
    """The first admin has to come from somewhere; whoever reads the terminal runs the server."""
    if server.first_admin is not None:
        typer.echo(f"  Nobody runs it yet. Become its admin, once, at {url}{server.first_admin}\n")


def _qr(url: str) -> None:
    import sys

    import qrcode

    code = qrcode.QRCode(border=2)
    code.add_data(url)
    code.print_ascii(out=sys.stdout, invert=True)
