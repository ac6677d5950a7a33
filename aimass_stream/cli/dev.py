"""`aimass dev my_stage.py`: the server and its page with a stage under development."""

from __future__ import annotations

import json
import threading
import webbrowser
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer


def dev(
    file: Annotated[Path, typer.Argument(help="A Python file with functions under @stage.", exists=True,
                                         dir_okay=False)],
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a stage's file with the page, and load it again whenever it is saved. Options are also AIMASS_<NAME>."""
    from ..dev import create_app
    from ..errors import AimassError
    from ..server import Server
    from .launch import launch, log_to_terminal, settings_of

    log_to_terminal("info")
    settings = settings_of({} if port is None else {"port": port})
    try:
        app, workbench = create_app(settings, file)

        def announce(server: Server) -> None:
            url = page(server, workbench.pipeline)
            typer.echo(f"\n  {workbench.path.name} is at {url}\n  Save it, and it is loaded again.\n")
            if open_page:
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

        server = Server(settings, app, on_started=announce)
    except AimassError as error:
        raise typer.BadParameter(f"{file.name}: {error.detail}") from None
    launch(server)


def page(server: Any, pipeline: list[dict[str, Any]]) -> str:
    """The page's address with this pipeline in it, as the page itself writes links."""
    settings = server.settings
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    address = f"[{host}]" if ":" in host else host
    text = quote(json.dumps(pipeline, separators=(",", ":")), safe=":,")
    return f"{'https' if settings.tls else 'http'}://{address}:{server.bound_port}/#pipeline={text}"
