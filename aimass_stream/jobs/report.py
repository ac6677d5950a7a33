"""What a job's child process tells of its work, as the pieces that its generator yields."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import SandboxError

JPEG = b"\xff\xd8"  # what such a file begins with
MOST = 16 * 1024  # bytes of a progress report
MESSAGE = 200  # characters
FACTS = 32


@dataclass(frozen=True, slots=True)
class Progress:
    share: float  # of the work that is done, 0 to 1
    message: str = ""  # for people
    facts: dict[str, Any] = field(default_factory=dict)  # of the result, as JSON: added to those told before
    left: float | None = None  # s, where the child knows better than what its progress until now says


@dataclass(frozen=True, slots=True)
class Preview:
    """What the result looks like by now: a JPEG file."""

    jpeg: bytes


Report: TypeAlias = Progress | Preview


def report(said: Report) -> bytes:
    """For the child to yield."""
    if isinstance(said, Preview):
        return said.jpeg
    return json.dumps({"share": said.share, "message": said.message, "facts": said.facts,
                       "left": said.left}).encode()


def heard(piece: bytes) -> Report:
    """What a child yielded; it is not to be trusted. Raises `SandboxError`."""
    if piece.startswith(JPEG):
        return Preview(piece)
    try:
        told = json.loads(piece) if len(piece) <= MOST else None
        share, message, facts = float(told["share"]), str(told["message"]), dict(told["facts"])  # type: ignore[index]
        left = None if told.get("left") is None else float(told["left"])  # type: ignore[union-attr,index]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SandboxError("the child's report can't be read") from None
    if not math.isfinite(share) or not math.isfinite(left or 0) or len(facts) > FACTS:
        raise SandboxError("the child's report can't be read")
    return Progress(min(1.0, max(0.0, share)), message[:MESSAGE], facts, left)
