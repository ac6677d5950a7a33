"""`aimass load`: how many sessions this server holds, and what limits it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import URL, AsJson, Key, NoVerify, Pipeline, Transport, Url, pipeline_of, print_json, run, transport_of

if TYPE_CHECKING:
    from ..client import Client
    from .ramp import Ramp, Step


def load(
    sessions: Annotated[int, typer.Option(min=1, help="Sessions at most.")] = 32,
    pipeline: Pipeline = "[]",
    p95: Annotated[float, typer.Option(min=1, help="ms that 95 of 100 pictures may take.")] = 150,
    step: Annotated[int, typer.Option(min=1, help="Sessions more in each step.")] = 1,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds measured in each step.")] = 5,
    transport: Transport = "ws",
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the pictures, 30 a second.")] = "640x480",
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="With sound.")] = True,
    url: Url = URL,
    api_key: Key = None,
    no_verify: NoVerify = False,
    as_json: AsJson = False,
) -> None:
    """Open more and more sessions until pictures come back too late; say how many held and what limits them.

    Over webrtc the figures contain this client's own receiving buffer: about one picture more.
    """
    stages, over, (width, height) = pipeline_of(pipeline), transport_of(transport), _size(size)

    async def work(client: Client) -> int:
        import tempfile

        from .ramp import Ramp

        ramp = Ramp(client, stages, over, p95, sessions, step, seconds, width, height, audio, not no_verify)
        if not as_json:
            typer.echo(f"{'sessions':>8} {'p50':>6} {'p95':>6} {'p99':>6} ms {'lost':>6} "
                       f"{'server':>7} {'load':>5} cores  dropped")
        with tempfile.TemporaryDirectory() as folder:
            held = await ramp.run(Path(folder) / "clip", lambda step: None if as_json else _line(step))
        _report(ramp, held, as_json)
        return 0 if held else 1

    run(url, api_key, no_verify, work)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise typer.BadParameter("it is WIDTHxHEIGHT, such as 640x480", param_hint="--size") from None
    if not (16 <= width <= 4096 and 16 <= height <= 4096):
        raise typer.BadParameter("between 16 and 4096 px", param_hint="--size")
    return width & ~1, height & ~1


def _line(step: Step) -> None:
    cpu = "?" if step.server_cpu is None else f"{step.server_cpu:.2f}"
    drops = ", ".join(f"{key} {count}" for key, count in step.drops.items())
    typer.echo(f"{step.sessions:>8} {step.p50:>6.1f} {step.p95:>6.1f} {step.p99:>6.1f}    {step.lost:>6.1%} "
               f"{cpu:>7} {step.load_cpu:>5.2f}        {drops}")


def _report(ramp: Ramp, held: int, as_json: bool) -> None:
    if as_json:
        answer: dict[str, Any] = {"held": held, "p95_bound_ms": ramp.bound, "transport": ramp.transport,
                                  "limit": ramp.limit(), "steps": [step.json() for step in ramp.steps]}
        print_json(answer)
        return
    typer.echo(f"\n{held} sessions held p95 <= {ramp.bound:g} ms over {ramp.transport}. Limit: {ramp.limit()}")
