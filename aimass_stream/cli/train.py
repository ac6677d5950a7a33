"""`aimass train`: a new style from any picture, and single pictures painted the slow way."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from .common import AsJson

if TYPE_CHECKING:
    from ..settings import Settings
    from ..training.wishes import News, Tell

P = TypeVar("P")

NICE = 10  # a running server goes first
LINE_EVERY = 30.0  # s between two lines where there is no terminal

Steps: TypeAlias = Annotated[int, typer.Option(min=1, help="How long it learns; more is better, up to a point.")]
LossWeights: TypeAlias = Annotated[Path | None, typer.Option(
    help="SqueezeNet 1.0 (.safetensors, .pth), which judges what is painted; without it the one that "
         "`aimass models pull squeezenet-1.0` fetched.")]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads: TypeAlias = Annotated[int, typer.Option(min=0, help="0: as many as there are cores.")]
DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="The server's; its folder models gets the style.")]

train = typer.Typer(help="Train a style from a picture, or paint one picture slowly.", no_args_is_help=True)


@train.command("style")
def style(
    picture: Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, GIF, BMP or TIFF.")],
    name: Annotated[str, typer.Option(help="What the style is called; without it like the picture's file.")] = "",
    steps: Steps = 1000,
    out: Annotated[Path | None, typer.Option(help="Folder of models in which the style's own is put; without it where "
                                             "the server looks.")] = None,
    content: Annotated[Path | None, typer.Option(help="Folder of photographs to learn on; without it on pictures drawn "
                                                 "by code.")] = None,
    loss_weights: LossWeights = None,
    device: Device = "auto",
    threads: Threads = 0,
    force: Annotated[bool, typer.Option("--force", help="Also where there is a style of that name.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a new style from any picture. Ctrl-C loses nothing: the same command goes on."""
    from ..training import styles

    settings = _settings(data_dir)
    models = _models(settings)
    wish = styles.Wish(picture, (out or models).absolute(), settings.data_dir.absolute() / "training", name, steps,
                       content, loss_weights, device, threads, force)
    plan = _planned(partial(styles.plan, wish, models), settings, as_json)
    with _shown(as_json, f"Style {plan.title}", plan.preview, "The same command goes on.") as tell:
        made = styles.make(plan, tell)
    answer = {"state": "done", "name": made.name, "style": plan.known, "folder": str(made.folder),
              "style_left": made.figures.style_left, "content_kept": made.figures.content_kept}
    if as_json:
        _line(answer)
        return
    nearer = max(0.0, 1 - made.figures.style_left)
    typer.echo(f"{made.folder} is done: {nearer:.0%} of the way to the picture's manner.")
    if out is None or out.absolute() in [folder.absolute() for folder in (*settings.model_dirs, models)]:
        typer.echo(f'A running server offers it now: [{{"stage": "style", "name": "{plan.known}"}}]')
    else:
        typer.echo(f"A server offers it when it looks there: AIMASS_MODEL_DIRS={out}")


@train.command("picture")
def picture(
    content: Annotated[Path, typer.Argument(help="What is painted.")],
    style: Annotated[Path, typer.Argument(help="The picture whose style it gets.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where it is written, also while it becomes better: .png, "
                                      ".jpg or .webp.")],
    steps: Steps = 100,
    side: Annotated[int, typer.Option(help="px of the longer side that is worked on; the rest is scaled.")] = 640,
    style_weight: Annotated[float, typer.Option(help="Of the style, beside 1 of the content.")] = 30.0,
    strokes: Annotated[float, typer.Option(help="Size of the strokes.")] = 1.0,
    optimizer: Annotated[str, typer.Option(help="lbfgs or adam.", autocompletion=lambda: ["lbfgs", "adam"])] = "lbfgs",
    loss_weights: LossWeights = None,
    device: Device = "auto",
    threads: Threads = 0,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Paint one picture by changing its pixels step by step (Gatys et al. 2016): slow, and what networks imitate."""
    from ..training import gatys

    if out.exists() and not force:
        raise typer.BadParameter(f"{out} is there already; --force writes over it", param_hint="--out")
    settings = _settings(data_dir)
    wish = gatys.Wish(content, style, out, side, steps, style_weight, gatys.way_of(optimizer), strokes, loss_weights,
                      device, threads)
    plan = _planned(partial(gatys.plan, wish, _models(settings)), settings, as_json)
    with _shown(as_json, f"Painting {out.name}", out, "What was reached is there.") as tell:
        losses = gatys.make(plan, tell)
    if as_json:
        _line({"state": "done", "out": str(out), "losses": losses})
        return
    typer.echo(f"{out} is done.")


def _settings(data_dir: Path | None) -> Settings:
    from ..inference import installed
    from ..weights import folder_of
    from .launch import settings_of

    settings = settings_of({} if data_dir is None else {"data_dir": data_dir})
    installed().add(*settings.model_dirs, folder_of(settings))
    return settings


def _models(settings: Settings) -> Path:
    from ..weights import folder_of

    return folder_of(settings)


def _planned(plan: Callable[[], P], settings: Settings, quiet: bool) -> P:
    """The plan; what judges paintings is fetched where it is nowhere and fetching is allowed."""
    from .. import weights
    from ..errors import Unavailable
    from .weights import pull

    try:
        return plan()
    except Unavailable as error:
        name = error.data.get("weights")
        if name is not None and (quiet or not settings.fetch):
            raise Unavailable(f"{error.detail}, or give a file of yours with --loss-weights", **error.data) from None
        if name is None:
            raise
    typer.echo("What judges the paintings is fetched first.")
    pull(weights.checked(name), settings)
    return plan()


@contextlib.contextmanager
def _shown(as_json: bool, what: str, preview: Path, stopped: str) -> Iterator[Tell]:
    """How far it is: a bar in a terminal, lines elsewhere, JSON for programs. Ctrl-C ends it in order."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a shared machine, a thread spins while others wait
    with contextlib.suppress(OSError):  # it is as nice as it may be already
        os.nice(NICE)
    if not as_json:
        typer.echo(f"{what}; how it looks meanwhile: {preview}")
    try:
        with _teller(as_json, what) as tell:
            yield tell
    except KeyboardInterrupt:
        if as_json:
            _line({"state": "stopped"})
        else:
            typer.echo(f"Stopped. {stopped}", err=True)
        raise typer.Exit(130) from None


@contextlib.contextmanager
def _teller(as_json: bool, what: str) -> Iterator[Tell]:
    if as_json:
        yield lambda news: _line(news.json())
    elif sys.stdout.isatty():
        with _bar(what) as tell:
            yield tell
    else:
        yield _Lines()


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Tell]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("step {task.completed} of {task.total}"),
               TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns) as bar:
        task = bar.add_task(what, total=None, left="")
        yield lambda news: bar.update(task, completed=news.step, total=news.steps, left=_told(news))


class _Lines:
    def __init__(self) -> None:
        self.last = time.monotonic() - LINE_EVERY

    def __call__(self, news: News) -> None:
        now = time.monotonic()
        if now - self.last >= LINE_EVERY or news.step == news.steps:
            self.last = now
            typer.echo(f"step {news.step} of {news.steps}, {_told(news)}")


def _told(news: News) -> str:
    losses = [f"{name} {value:.3f}" for name, value in news.losses.items() if name in ("style", "content")]
    return ", ".join([_left(news.left), *losses])


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "time left not known yet"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min left" if hours else f"{minutes}:{rest:02d} left"


def _line(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)  # noqa: T201  a program reads it at once
