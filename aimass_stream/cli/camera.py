"""`aimass camera`: a camera or the screen through a server, and what comes back as a camera for other programs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Pipeline, Transport, Url, pipeline_of, run, transport_of
from .given import app_or_pipeline, set_of

if TYPE_CHECKING:
    from ..client import Client, MediaSession


def camera(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A camera (/dev/video0), screen (of X11), test (a drawn "
                                          "scene with beeps) or a file.")] = "/dev/video0",
    to: Annotated[str, typer.Option(help="A v4l2loopback device, a FIFO or a file .y4m; without it, the first virtual "
                                    "camera there is.")] = "",
    voice: Annotated[str, typer.Option(help="Where sound goes: pulse (a microphone that other programs can pick), or a "
                                       "FIFO or file of 16 bit mono at 48 kHz; without it, nowhere.")] = "",
    label: Annotated[str, typer.Option(help="What the microphone is called.")] = "AI Mass",
    microphone: Annotated[str, typer.Option(metavar="NAME", help="Send the sound of this source of PulseAudio, "
                                            "in place of FROM's; default: the one that the desktop has chosen.")] = "",
    width: Annotated[int, typer.Option(min=16, max=1920, help="px")] = 640,
    height: Annotated[int, typer.Option(min=16, max=1920, help="px")] = 360,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Pictures a second.")] = 30,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0: at Ctrl-C.")] = 0,
    pipeline: Pipeline = "[]",
    app: Annotated[str, typer.Option(help="An app by its slug or id, in place of a pipeline.",
                                     autocompletion=completing.apps)] = "",
    given: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What of the app is set; may "
                                                    "be said several times.")] = None,
    transport: Transport = "ws",
    url: Url = URL,
    api_key: Key = None,
    no_verify: NoVerify = False,
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Run a camera, the screen or a file through a server; what comes back is a camera that other programs can pick."""
    stages, over, parameters = pipeline_of(pipeline), transport_of(transport), set_of(given or [])
    app_or_pipeline(app, stages, parameters)
    for option, path in (("--to", to), ("--voice", voice)):
        if Path(path).is_file() and not force:
            raise typer.BadParameter(f"{path} is there already; add --force to write over it", param_hint=option)
    if microphone and not voice:
        raise typer.BadParameter("its sound has to go somewhere: add --voice pulse", param_hint="--microphone")
    width, height = width & ~1, height & ~1  # 4:2:0 needs it

    async def work(client: Client) -> int:
        from .camera_microphone import Accompanied, Microphone
        from .camera_pulse import microphone_of
        from .camera_session import LastingSession
        from .camera_sinks import PULSE, writer_to
        from .camera_sources import opened
        from .relay import Reader, Relay
        from .stream import report, watched

        shown = await asyncio.to_thread(opened, source, width=width, height=height, fps=fps, seconds=seconds or None)
        heard = Microphone(await asyncio.to_thread(microphone_of, microphone)) if microphone else None
        reader: Reader = Accompanied(shown, heard) if heard else shown
        options: dict[str, Any] = {"pipeline": None if app else stages}
        options |= {"app": app, "parameters": parameters} if app else {}

        def session() -> MediaSession:
            if over == "ws":
                return client.stream(audio="opus" if reader.audio else None, video="vp8" if reader.video else None,
                                     **options)
            return client.rtc(audio=reader.audio, video=reader.video, **options)

        writer = await asyncio.to_thread(writer_to, to, voice, label, width=width, height=height, fps=fps)
        relay = Relay(LastingSession(session), reader, writer, hold=writer.hold)
        try:
            await relay.open()
            if heard:
                await heard.open(relay.tell)
            await watched(relay, quiet=as_json)
        finally:
            if heard:
                await heard.close()
            await asyncio.to_thread(writer.close, relay.position)
        relay.drops |= writer.drops
        if heard:
            relay.drops |= heard.drops
        heard_in = f"the microphone {label}" if voice == PULSE else voice
        return report(relay, {"out": (to or "the virtual camera") if writer.written["video"] else None,
                              "voice": heard_in if writer.written["audio"] else None}, as_json)

    run(url, api_key, no_verify, work)
