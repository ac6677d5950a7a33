"""What every command that talks to a server shares."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from . import logins
from .tables import plain

if TYPE_CHECKING:
    from ..client import Client
    from ..errors import AimassError

T = TypeVar("T")

URL = "http://127.0.0.1:8000"
LOOPBACK = ("127.", "localhost", "[::1]")


def _server(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """What was said, else where `aimass login` was last."""
    source = context.get_parameter_source(param.name or "")
    return server_of(value if source is not None and source.name != "DEFAULT" else logins.server() or value)


def server_of(said: str) -> str:
    """Its address, of what people say of it."""
    if "://" not in said:  # no key goes over a network in the clear unless that is asked for
        said = f"http{'' if said.startswith(LOOPBACK) else 's'}://{said}"
    return said.rstrip("/")


Url: TypeAlias = Annotated[str, typer.Option("--server", "--url", envvar="AIMASS_URL", callback=_server,
                                             help="The server; without it, where `aimass login` was last.")]
Key: TypeAlias = Annotated[str | None, typer.Option("--key", "--api-key", envvar="AIMASS_API_KEY",
                                                    help="A key for it; without it, that of `aimass login`.")]
NoVerify: TypeAlias = Annotated[bool, typer.Option("--no-verify", help="Accept any TLS certificate.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Transport: TypeAlias = Annotated[str, typer.Option(help="ws or webrtc.", autocompletion=lambda: ["ws", "webrtc"])]
Pipeline: TypeAlias = Annotated[str, typer.Option(
    "--pipeline", "-p", help="""JSON such as '[{"stage": "mirror"}]', or @FILE with it.""")]


def pipeline_of(text: str) -> list[dict[str, Any]]:
    """The pipeline of a command line, checked for shape; its parameters are the server's to check."""
    from ..errors import InvalidPipeline
    from ..spec import PipelineSpec
    from .given import json_of

    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text = path.read_text()
        except OSError as error:
            raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--pipeline") from None
    with suppress(ValueError):  # what is no JSON at all is told of below
        json_of(text, "--pipeline")
    try:
        return PipelineSpec.parse(text).json()
    except InvalidPipeline as error:
        raise typer.BadParameter(f"{error.field}: {error.detail}", param_hint="--pipeline") from None


def transport_of(text: str) -> str:
    if text not in ("ws", "webrtc"):
        raise typer.BadParameter("it is ws or webrtc", param_hint="--transport")
    return text


def run(url: str, api_key: str | None, no_verify: bool, work: Callable[[Client], Awaitable[int]]) -> None:
    """Do the work with a client; ends the process with its answer, or with a sentence when the server refuses."""
    raise typer.Exit(asked(url, api_key, no_verify, work))


def asked(url: str, api_key: str | None, no_verify: bool, work: Callable[[Client], Awaitable[T]], *,
          kept: str | None = None,
          unknown: str = "Sign in with `aimass login`, or give a key with --key or AIMASS_API_KEY.") -> T:
    """What came of the work with a client; ends the process with a sentence when the server refuses, with one more,
    `unknown`, where it does not know who is asking, and for Ctrl-C with what is `kept`, or that what was asked
    may be done all the same, if anything was."""
    from ..client import Client
    from ..errors import AimassError

    changes = False

    async def main() -> T:
        nonlocal changes
        async with Client(url, api_key or logins.key(url), verify=not no_verify) as client:
            try:
                return await work(client)
            finally:
                changes = client.changes

    try:
        return asyncio.run(main())
    except AimassError as error:
        refuse(error)
        if error.status == 401 and unknown:
            typer.secho(unknown, err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        if kept is None:
            kept = "What was asked of the server may be done all the same." if changes else ""
        typer.echo(f"Stopped. {kept}".rstrip(), err=True)
        raise typer.Exit(130) from None


def refuse(error: AimassError) -> None:
    """Print what was wrong and where, and when to come again."""
    from ..errors import Busy

    detail = "\n".join(map(plain, error.detail.split("\n")))  # it may quote what another server said
    named, colon, told = detail.partition(": ")
    where = _unsaid(error.field or "", named if colon else "")
    where = f" ({where})" if where else ""
    if isinstance(error, Busy):
        where += f"; again in {error.retry_after} s"
    should = colon and told.startswith("Input should ")  # as pydantic has it
    typer.secho(f"{named} {told.removeprefix('Input ')}{where}" if should else f"{detail}{where}", fg="red",
                err=True)


def _unsaid(field: str, named: str) -> str:
    """What of the field a sentence does not name in front: ``pipeline[0]`` where that is ``blur.sigma``."""
    if named == field:
        return ""
    base, _, rest = field.partition("].")
    return f"{base}]" if rest and named.endswith(f".{rest}") else field


def say(as_json: bool, sentence: str, **told: Any) -> None:
    """What was done: for people, or for programs."""
    if as_json:
        print_json(told)
    else:
        typer.echo(sentence)


def print_json(value: Any) -> None:
    """JSON of this, in which records of the client are objects."""
    typer.echo(json.dumps(value, indent=2, default=asdict))
