"""`aimass stream`: a file through a running server in real time, and what comes back into another file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Pipeline, Transport, Url, pipeline_of, print_json, run, transport_of
from .given import app_or_pipeline, set_of

if TYPE_CHECKING:
    from ..client import Client
    from .relay import Relay


def stream(
    source: Annotated[Path, typer.Argument(metavar="IN", exists=True, dir_okay=False, help="Any video or sound file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write: .mp4, .mkv, .webm, .mov, .ogg or .wav.")],
    pipeline: Pipeline = "[]",
    app: Annotated[str, typer.Option(help="An app by its slug or id, in place of a pipeline.",
                                     autocompletion=completing.apps)] = "",
    given: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What of the app is set; may "
                                                    "be said several times.")] = None,
    transport: Transport = "ws",
    sync: Annotated[str, typer.Option(help="lowest or lips.")] = "lowest",
    latency: Annotated[int, typer.Option(help="ms that the server is to promise, 10 to 5000; 0: none.")] = 0,
    video: Annotated[str, typer.Option(help="Video codec on a websocket: vp8, h264 or jpeg.")] = "vp8",
    audio: Annotated[str, typer.Option(help="Audio codec on a websocket: opus or pcm_s16le.")] = "opus",
    url: Url = URL,
    api_key: Key = None,
    no_verify: NoVerify = False,
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Send a file through a running server in real time and write what comes back. Ctrl-C keeps what was written."""
    stages, over, parameters = pipeline_of(pipeline), transport_of(transport), set_of(given or [])
    app_or_pipeline(app, stages, parameters)
    if out.exists() and out.samefile(source):
        raise typer.BadParameter("--out is the file that is read; give it another name")
    if out.exists() and not force:
        raise typer.BadParameter(f"{out} is there already; add --force to write over it")

    async def work(client: Client) -> int:
        from ..client.files import FileReader, FileWriter
        from ..errors import InvalidMedia
        from .relay import Relay

        config = await client.config()
        reader = await asyncio.to_thread(FileReader, source, max_width=config["max_width"],
                                         max_height=config["max_height"])
        options: dict[str, Any] = {"pipeline": None if app else stages, "sync": sync, "latency_ms": latency or None}
        options |= {"app": app, "parameters": parameters} if app else {}
        if over == "ws":
            session = client.stream(audio=audio if reader.audio else None, video=video if reader.video else None,
                                    **options)
        else:
            session = client.rtc(audio=reader.audio, video=reader.video, **options)  # type: ignore[assignment]
        kinds = {kind for kind in ("audio", "video") if getattr(reader, kind)}
        writer = await asyncio.to_thread(FileWriter, out, expect=kinds)
        relay = Relay(session, reader, writer)
        try:
            await relay.open()
            await watched(relay, quiet=as_json)
        finally:
            await asyncio.to_thread(writer.close)
        if not relay.stopped and not any(track.sent for track in relay.tracks.values()):
            raise InvalidMedia(f"nothing in {source} can be decoded, so nothing was sent and {out} was not written")
        return report(relay, {"out": str(out) if any(writer.written.values()) else None}, as_json)

    run(url, api_key, no_verify, work)


async def watched(relay: Relay, quiet: bool) -> None:
    """Run it under a progress bar; the first Ctrl-C stops it in good order."""
    import signal

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
               TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, relay.stop)
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(relay.reader.path.rpartition("/")[2][:30], total=relay.reader.duration, note="")
        running = asyncio.create_task(relay.run())
        while not running.done():
            await asyncio.wait([running], timeout=0.2)
            progress.update(task, completed=relay.position, note=relay.note())
            for line in relay.news():
                progress.console.print(line)
        await running
        if relay.through:  # the last frame begins before the file's end
            progress.update(task, completed=relay.reader.duration)


def report(relay: Relay, wrote: dict[str, str | None], as_json: bool) -> int:
    """Print what happened; the exit code: 0 if anything was written, and the connection was there to the end."""
    summary = relay.summary() | wrote
    if as_json:
        print_json(summary)
    else:
        _print(summary, [each for each in wrote.values() if each])
    return 0 if any(wrote.values()) and not relay.cut else 1


def _print(summary: dict[str, Any], wrote: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from .relay import why

    table = Table("Track", "sent", "came back", "p50 ms", "p95 ms", "p99 ms", box=None, pad_edge=False)
    for name, track in summary["tracks"].items():
        table.add_row(name, str(track["sent"]), str(track["came_back"]),
                      *("-" if track[mark] is None else str(track[mark]) for mark in ("p50_ms", "p95_ms", "p99_ms")))
    console = Console()
    console.print(table)
    drops = ", ".join(f"{count} of {track} ({why(reason)})" for key, count in summary["drops"].items()
                      for track, _, reason in [key.partition("/")])
    console.print(f"Dropped: {drops or 'nothing'}" + (f"; cut and resumed {summary['resumed']} times"
                                                      if summary["resumed"] else ""))
    if summary["latency"] is not None:
        console.print(_promised(summary["latency"]))
    if not wrote:
        Console(stderr=True).print("Nothing came back, so nothing was written", style="red")
    else:
        console.print(f"Wrote {' and '.join(wrote)} ({summary['seconds']:.1f} s)")
    if summary["cut"]:
        Console(stderr=True).print("There was no connection to the server at the end: what was sent since it was lost "
                                   "did not come back", style="red")


def _promised(latency: dict[str, Any]) -> str:
    kept = {True: "kept", False: "not kept", None: "not known whether it is kept"}[latency["kept"]]
    p95 = "not measured lately" if latency["p95_ms"] is None else f"{latency['p95_ms']:.0f} ms at last"
    less = ", ".join(f"{stage['stage']}: {stage['name']}" for stage in latency["stages"])
    return (f"Promised {latency['latency_ms']} ms in the server: {kept} ({p95}), "
            f"{latency['steps']} steps" + (f", at the end {less}" if less else ""))
