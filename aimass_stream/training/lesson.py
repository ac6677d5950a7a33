"""A training as a job of the server: what its child process does, and tells."""

from __future__ import annotations

import os
import queue
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..inference import installed
from ..jobs.report import Preview, Progress, report
from . import styles
from .wishes import News

PIECE = 1 << 20  # bytes copied at a time
UNHEARD = 4  # news that may wait to be passed on


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a job is to learn; folders as text, for it travels to another process."""

    file: str  # the picture's name, for the card
    name: str  # what people call the style
    steps: int
    models: str  # folder that the style's own is put in
    work: str  # folder for what is not finished
    pulled: str  # folder of fetched models
    known: Sequence[str]  # folders of the styles to begin with
    threads: int


def learn(result: int, source: int, lesson: Lesson) -> Iterator[bytes]:
    """Learns the style of the picture `source`, puts its folder among the models, and writes it to `result` as a ZIP
    file, too. The same lesson goes on where it was broken off. Raises as `styles.plan` and `styles.make`."""
    installed().folders = tuple(map(Path, lesson.known))
    wish = styles.Wish(_copied(source, lesson.file), Path(lesson.models), Path(lesson.work), lesson.name, lesson.steps,
                       device="cpu", threads=lesson.threads)  # a card would ask for more addresses than a child has
    plan = styles.plan(wish, Path(lesson.pulled))
    news: queue.Queue[News | styles.Made | BaseException] = queue.Queue(UNHEARD)

    def make() -> None:
        try:
            news.put(styles.make(plan, news.put))
        except BaseException as error:  # raised again below
            news.put(error)

    threading.Thread(target=make, name="training", daemon=True).start()
    shown = 0
    while isinstance(said := news.get(), News):
        if said.shown > shown:
            shown = said.shown
            yield report(Preview(said.preview.read_bytes()))
        yield report(Progress(min(0.99, said.step / said.steps), f"step {said.step} of {said.steps}", left=said.left))
    if isinstance(said, BaseException):
        raise said
    _pack(said.folder, result)
    yield report(Progress(1.0, f"{lesson.steps} steps", {
        "style": plan.known, "style_left": said.figures.style_left, "content_kept": said.figures.content_kept}))


def _copied(source: int, name: str) -> Path:
    """In the child's own folder."""
    path, at = Path.cwd() / Path(name).name, 0
    with path.open("wb") as file:
        while piece := os.pread(source, PIECE, at):
            file.write(piece)
            at += len(piece)
    return path


def _pack(folder: Path, result: int) -> None:
    with os.fdopen(os.dup(result), "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"{folder.name}/{path.name}")
