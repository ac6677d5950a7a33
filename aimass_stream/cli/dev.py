"""`aimass dev my_stage.py`: the server and its page with a stage under development."""

from __future__ import annotations

import asyncio
import json
import logging
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
    from pydantic import ValidationError

    from ..errors import AimassError
    from ..settings import Settings

    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aioice", "aiortc", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = Settings() if port is None else Settings(port=port)
        _serve(settings, file, open_page)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except AimassError as error:
        raise typer.BadParameter(f"{file.name}: {error.detail}") from None


def _serve(settings: Any, file: Path, open_page: bool) -> None:
    import uvloop

    from ..dev import create_app
    from ..server import Server

    app, workbench = create_app(settings, file)

    class Announcing(Server):
        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup(sockets)
            if self.started:
                await _announce(page(self, workbench.pipeline), workbench.path.name, open_page)

    server = Announcing(settings, app)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())
    if not server.started:
        raise typer.Exit(1)


async def _announce(url: str, name: str, open_page: bool) -> None:
    import webbrowser

    typer.echo(f"\n  {name} is at {url}\n  Save it, and it is loaded again.\n")
    if open_page:
        await asyncio.to_thread(webbrowser.open, url)


def page(server: Any, pipeline: list[dict[str, Any]]) -> str:
    """The page's address with this pipeline in it, as the page itself writes links."""
    settings = server.settings
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    address = f"[{host}]" if ":" in host else host
    text = quote(json.dumps(pipeline, separators=(",", ":")), safe=":,")
    return f"{'https' if settings.tls else 'http'}://{address}:{server.bound_port}/#pipeline={text}"
