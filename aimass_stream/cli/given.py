"""What is given on a command line: values as JSON, files, versions of models."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}

Quotas: TypeAlias = Annotated[list[str] | None, typer.Option(
    "--quota", metavar="NAME=COUNT", help="requests, sessions, session_minutes, upload_bytes, concurrent_sessions; "
                                          "may be said several times.")]


def versioned(text: str, *, otherwise: str = "latest") -> tuple[str, str]:
    """``fish@2`` is the model and which version."""
    name, _, which = text.partition("@")
    return name, which or otherwise


def number(which: str) -> int:
    if not which.isdecimal() or int(which) < 1:
        raise typer.BadParameter(f"{which!r} is no version: fish@2 is the second one of fish")
    return int(which)


def text_of(said: str, hint: str) -> str:
    """``@FILE`` is what the file has, ``-`` what comes in; anything else is meant as it is."""
    if said == "-":
        return sys.stdin.read()
    if not said.startswith("@"):
        return said
    try:
        return Path(said[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise typer.BadParameter(f"{said[1:]}: {reason}", param_hint=hint) from None


def picture_of(said: str) -> Path | None:
    """``@me.jpg``."""
    return Path(said[1:]) if said.startswith("@") and Path(said).suffix.lower() in PICTURES else None


def json_of(text: str, hint: str) -> Any:
    """Raises `ValueError` for what is no JSON; NaN and what is larger than numbers are here end the command."""
    def infinite(said: str) -> float:
        raise typer.BadParameter(f"{said[:40]} is no number that JSON has", param_hint=hint)

    def finite(said: str) -> float:
        number = float(said)
        return number if math.isfinite(number) else infinite(said)

    try:
        return json.loads(text, parse_constant=infinite, parse_float=finite)
    except RecursionError:
        raise typer.BadParameter("this is nested too deeply", param_hint=hint) from None


def value_of(said: str, hint: str) -> Any:
    """JSON; a word that is none is the word itself."""
    text = text_of(said, hint)
    try:
        return json_of(text, hint)
    except ValueError as error:
        if text.lstrip()[:1] in tuple('[{"-0123456789') or said != text:
            raise typer.BadParameter(f"this is not JSON: {error}", param_hint=hint) from None
        return text


def object_of(said: str, hint: str) -> dict[str, Any]:
    value = value_of(said, hint) if said else {}
    if not isinstance(value, dict):
        raise typer.BadParameter("this is no JSON object, such as {\"engine\": \"torch\"}", param_hint=hint)
    return value


def app_or_pipeline(app: str, stages: list[Any], parameters: dict[str, Any]) -> None:
    """An app brings its pipeline, and only an app has something to be set."""
    if app and stages:
        raise typer.BadParameter("an app has its pipeline: say --app or --pipeline")
    if parameters and not app:
        raise typer.BadParameter("it is for an app: --app NAME --set softness=8", param_hint="--set")


def set_of(said: list[str], hint: str = "--set", example: str = "softness=8") -> dict[str, Any]:
    """``softness=8``; the value is JSON, or a word."""
    given = {}
    for each in said:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{each!r}: say {example}", param_hint=hint)
        try:
            given[name] = json_of(value, hint)
        except ValueError:
            given[name] = value
    return given


def quotas_of(said: list[str], hint: str = "--quota") -> dict[str, int | None]:
    """``requests=100``; ``requests=`` takes it back."""
    quotas: dict[str, int | None] = {}
    for each in said:
        name, equals, count = each.partition("=")
        if not equals or not (count == "" or count.isdecimal()):
            raise typer.BadParameter(f"{each!r}: say requests=100, or requests= to take it back", param_hint=hint)
        quotas[name] = int(count) if count else None
    return quotas


def secret(prompt: str, from_stdin: bool, *, again: bool = False) -> str:
    """A password: typed unseen, `again` once more, or the next line of what comes in where nobody types."""
    if not from_stdin and sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=again))
    line = sys.stdin.readline()
    if not line:
        raise typer.BadParameter("no password came in; a line each is read there", param_hint="stdin")
    return line.rstrip("\r\n")


def sure(yes: bool, question: str) -> None:
    """Ends the command unless it is meant."""
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{question} Then say --yes")
        typer.confirm(question, abort=True)
