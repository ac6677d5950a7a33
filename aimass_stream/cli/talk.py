"""`aimass talk`: a conversation in the terminal, by microphone or sound files, and where each turn's time went."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Key, NoVerify, Pipeline, pipeline_of, refuse, run

if TYPE_CHECKING:
    from ..client import Client


def talk(
    file: Annotated[list[Path] | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="Say this sound "
                    "file in place of the microphone; may be given again, each waits for the reply before.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the replies here (.wav, .ogg, .mp4...) in "
                   "place of the loudspeaker.")] = None,
    url: Annotated[str, typer.Option("--url", envvar="AIMASS_URL", help="The server; without one, one is started "
                   "here.")] = "",
    brain: Annotated[str, typer.Option(help="default (what the server has) or offline.")] = "default",
    voice: Annotated[str, typer.Option(help="A voice of the server.")] = "",
    language: Annotated[str, typer.Option(help="That is spoken, such as en.")] = "en",
    instructions: Annotated[str, typer.Option(help="For a language model: who it is and what it should do.")] = "",
    greeting: Annotated[str, typer.Option(help="What it says first.")] = "",
    silence: Annotated[int, typer.Option(help="ms of silence that end your turn.")] = 500,
    pipeline: Pipeline = "[]",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    api_key: Key = None,
    no_verify: NoVerify = False,
) -> None:
    """Talk with the assistant. Ctrl-C ends the conversation and keeps what was written."""
    stages = [{"stage": "assistant", "brain": brain, "voice": voice, "language": language, "greeting": greeting,
               "instructions": instructions, "silence_ms": silence}, *pipeline_of(pipeline)]
    if out is not None:
        _check(out, force)
    if not file or out is None:
        from .sound_device import check

        check(microphone=not file, speaker=out is None)

    async def converse(client: Client) -> int:
        from ..errors import AimassError
        from .conversation import Conversation

        try:
            if voice:
                await _check_voice(client, voice)
            return await Conversation(client, stages, files=file or [], out=out, tell=typer.echo).run()
        except AimassError as error:
            error.field = _given(error.field)
            raise

    if url:
        run(url, api_key, no_verify, converse)
    else:
        _with_server(converse)


def _check(out: Path, force: bool) -> None:
    """Now, since it is opened when there is something to be written."""
    from ..client.files import CONTAINERS

    if out.exists() and not force:
        raise typer.BadParameter(f"{out} is there already; add --force to write over it")
    if out.suffix.lower() not in CONTAINERS:
        raise typer.BadParameter(f"{out}: the name has to end in one of {', '.join(CONTAINERS)}", param_hint="--out")
    if not out.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}", param_hint="--out")


async def _check_voice(client: Client, voice: str) -> None:
    """Raises `InvalidInput`: the server would find out with the first reply only."""
    from ..errors import InvalidInput

    listed = await client.request("GET", "/v1/audio/voices")
    known = [each["id"] for each in listed["voices"] if each["engine"] == listed["engine"]]
    if voice not in known and voice.lower() not in listed["names"]:
        raise InvalidInput(f"there is no voice {voice!r}; there are: {', '.join([*listed['names'], *known])}",
                           field="--voice")


def _given(field: str | None) -> str | None:
    """Where the user wrote what a place in our pipeline names: the assistant comes before the stages of --pipeline."""
    found = re.match(r"pipeline\[(\d+)\](?:\.(\w+))?", field or "")
    if found is None or field is None:
        return field
    if found[1] == "0":
        return f"--{(found[2] or 'pipeline').removesuffix('_ms')}"
    return f"pipeline[{int(found[1]) - 1}]{field[field.index(']') + 1 :]}"


def _with_server(converse: Any) -> None:
    from ..errors import AimassError

    async def main() -> int:
        from ..client import Client

        async with _server() as url, Client(url) as client:
            return int(await converse(client))

    try:
        code = asyncio.run(main())
    except AimassError as error:
        refuse(error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code)


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """A server of our own, on a free port that only this machine reaches; ends with us."""
    from ..server import Server, create_app
    from .launch import log_to_terminal, settings_of

    log_to_terminal("warning")
    # nobody else is served: what makes a server refuse people does not apply
    settings = settings_of({"host": "127.0.0.1", "port": 0, "max_load": 1, "max_loop_lag": 60})
    server = Server(settings, await asyncio.to_thread(create_app, settings))
    server.config.log_level = "warning"
    serving = asyncio.create_task(server._serve(None))  # without uvicorn's signal handlers: Ctrl-C is the talker's
    try:
        while not server.started:
            if serving.done():
                await serving
                raise typer.Exit(1)
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.bound_port}"
    finally:
        server.should_exit = True
        with contextlib.suppress(Exception):
            await serving
