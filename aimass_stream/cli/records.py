"""`aimass sessions transcript`, `counts`, ...: what was said, seen and counted in a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .tables import table

if TYPE_CHECKING:
    from ..client import Client

Id: TypeAlias = Annotated[str, typer.Argument(metavar="SESSION", help="Its id, also for an hour after its end.",
                                              autocompletion=completing.sessions)]
Out: TypeAlias = Annotated[Path | None, typer.Option("--out", "-o", help="A file; without it, it is printed.")]
FORMS = ("txt", "srt", "vtt", "json")


def add(sessions: typer.Typer) -> None:
    """These commands among those of sessions."""
    for command in (transcript, counts, attendance, tracks, heatmap):
        sessions.command()(command)


def transcript(
    session: Id,
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMS)}.",
                                      autocompletion=lambda: list(FORMS))] = "txt",
    out: Out = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Print what was said in a session, or write it as subtitles."""
    if form not in FORMS:
        raise typer.BadParameter(f"it is one of {', '.join(FORMS)}", param_hint="--format")
    form = "json" if as_json and out is None else form
    _kept(asked(url, api_key, no_verify, lambda client: client.recorded.transcript(session, form)), out, as_json)


def counts(session: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
           ) -> None:
    """Show what was in zones and crossed lines."""
    found = asked(url, api_key, no_verify, lambda client: client.recorded.counts(session))
    if as_json:
        print_json(found)
        return
    rows: list[tuple[object, ...]] = [
        *((each["track"], f"zone {each['zone']}", each["entered"], each["left"], each["inside"], each["dwell"])
          for each in found["zones"]),
        *((each["track"], f"line {each['line']}", each["in"], each["out"], None, None) for each in found["lines"])]
    table(("Track", "Where", "In", "Out", "There now", "Stayed, s"), rows, "Nothing was counted.")


def attendance(
    session: Id, out: Annotated[Path | None, typer.Option("--out", "-o", help="A CSV file.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Show who of those that are enrolled was there, from when to when."""
    if out is not None:
        _kept(asked(url, api_key, no_verify, lambda client: client.recorded.attendance_table(session)), out, as_json)
        return
    found = asked(url, api_key, no_verify, lambda client: client.recorded.attendance(session))
    if as_json:
        print_json(found)
        return
    table(("Name", "Track", "Came", "Left", "Stayed, s"), [
        (each["name"] or "(deleted)", each["track"], each["arrived"], each["left"], each["stayed"])
        for each in found["visits"]], "Nobody was recognised.")


def tracks(session: Id, out: Out = None, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Print where everything was, as CSV."""
    found = asked(url, api_key, no_verify, lambda client: client.recorded.tracks(session))
    if as_json and out is None:
        import csv

        print_json(list(csv.DictReader(found.splitlines())))
    else:
        _kept(found, out, as_json)


def heatmap(
    session: Id,
    out: Annotated[Path, typer.Option("--out", "-o", help="A PNG file.")],
    track: Annotated[str, typer.Option(help="Of one track; without it the first.")] = "",
    label: Annotated[str, typer.Option(help="Of what is called so alone.")] = "",
    over: Annotated[str, typer.Option(help="picture: over what was seen last; or plain.",
                                      autocompletion=lambda: ["picture", "plain"])] = "picture",
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Save a picture of where things were for how long."""
    work: Callable[[Client], Awaitable[Any]] = lambda client: client.recorded.heat_map(  # noqa: E731
        session, out, track=track, label=label, over=over)
    path = asked(url, api_key, no_verify, work)
    say(as_json, str(path), file=str(path))


def _kept(text: str, out: Path | None, as_json: bool) -> None:
    """In the file, or else printed."""
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from None
    say(as_json, str(out), file=str(out))
