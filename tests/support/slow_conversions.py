"""Conversions that are none, for their child process: it imports no more than this."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

from aimass_stream.jobs import Progress, report

from .laborious import waits


def endless(number: int, *_: Any) -> Iterator[bytes]:
    """Goes on until it is ended."""
    yield from waits(number)


def quick(number: int, *_: Any) -> Iterator[bytes]:
    """Makes something that is no model."""
    with open(number, "wb", closefd=False) as file, tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"))
    yield report(Progress(0.9, "checking the result", {"conversion": {"kind": "half"}}))
