"""What jobs may do, in their child processes: each gets the number of the file that it writes its result to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aimass_stream.errors import InvalidMedia
from aimass_stream.jobs import Preview, Progress, report

if TYPE_CHECKING:
    from aimass_stream.training.lesson import Lesson

ENOUGH, LONGEST = "enough", 300  # a file's name; steps


def writes(result: int, text: str) -> Iterator[bytes]:
    yield report(Progress(0.5, "half of it", {"length": len(text)}))
    yield report(Preview(b"\xff\xd8 a picture"))
    os.write(result, text.encode())


def copies(result: int, source: int) -> Iterator[bytes]:
    yield report(Progress(0.1))
    os.write(result, os.pread(source, 1000, 0))


def waits(result: int) -> Iterator[bytes]:
    """Until it is ended."""
    yield report(Progress(0.25, str(os.getpid())))
    while True:
        time.sleep(1)


def crashes(result: int) -> Iterator[bytes]:
    yield report(Progress(0.5))
    os.kill(os.getpid(), signal.SIGSEGV)


def refuses(result: int) -> Iterator[bytes]:
    yield report(Progress(0.5))
    raise InvalidMedia("is no good")


def fails(result: int) -> Iterator[bytes]:
    yield report(Progress(0.5))
    raise ZeroDivisionError("one by none")


def says(result: int, piece: bytes) -> Iterator[bytes]:
    yield piece


def grows(result: int) -> Iterator[bytes]:
    """Beyond every limit."""
    yield report(Progress(0.5))
    while True:
        os.write(result, bytes(1 << 16))


def learns(result: int, source: int, lesson: Lesson) -> Iterator[bytes]:
    """As a training does, with weights by chance, until there is a file ENOUGH among the models."""
    from aimass_stream import clips  # only the child that needs them waits for these
    from aimass_stream.training.styles import names_of

    from . import styles
    from .picture_files import file

    for step in range(1, LONGEST):
        yield report(Preview(file(clips.draw(step, 64, 48), "JPEG")))
        yield report(Progress(step / LONGEST, f"step {step} of {LONGEST}", left=LONGEST - step))
        if (Path(lesson.models) / ENOUGH).exists():
            break
        time.sleep(0.3)
    style = names_of(lesson.name, Path(lesson.file))[0]
    styles.write(Path(lesson.models), style, title=lesson.name)
    os.write(result, b"the folder")
    yield report(Progress(1.0, "done", {"style": style.removeprefix("style-")}))


def reaches_out(result: int) -> Iterator[bytes]:
    import socket

    yield report(Progress(0.5))
    with socket.socket() as out:
        out.connect(("127.0.0.1", 9))


def tells_niceness(result: int) -> Iterator[bytes]:
    yield report(Progress(0.5))
    os.write(result, str(os.nice(0)).encode())
