"""`aimass predict`: a model of a server asked for an answer."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .given import picture_of, value_of

DATA = "data:image/png;base64,"


def predict(
    model: Annotated[str, typer.Argument(help="Its name, name@version, or auto:TASK.",
                                   autocompletion=completing.versioned)],
    value: Annotated[str, typer.Argument(metavar="INPUT", help="JSON, a word, @FILE with JSON or a picture, or - .")]
    = "",
    describe: Annotated[bool, typer.Option("--describe", help="Say what it takes and answers.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where a picture that comes is written.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Ask a model of a server."""
    if describe or not value:
        if not describe:
            raise typer.BadParameter(f"what is it asked? `aimass predict {model} --describe` says what it takes",
                                     param_hint="INPUT")
        print_json(asked(url, api_key, no_verify, lambda client: client.describe(model)))
        return
    picture = picture_of(value)
    given = None if picture is not None else value_of(value, "INPUT")
    answer = asked(url, api_key, no_verify, lambda client: client.predict(model, given, picture=picture))
    if isinstance(answer.output, str) and answer.output.startswith(DATA) and (out is not None or not as_json):
        _write(answer.output, out)
    elif as_json:
        print_json(answer)
    else:
        typer.echo(_short(answer.output))
    if not as_json:
        typer.echo(answer.model + (f": {answer.reason}" if answer.reason else ""), err=True)


def _write(picture: str, out: Path | None) -> None:
    if out is None:
        raise typer.BadParameter("it answers a picture: say where to with --out FILE.png")
    try:
        out.write_bytes(base64.b64decode(picture.removeprefix(DATA)))
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from None
    typer.echo(str(out))


def _short(output: Any) -> str:
    return json.dumps(output, ensure_ascii=False)
