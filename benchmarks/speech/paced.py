"""`python -m benchmarks.speech.paced STEP serve ...`: our server, whose Whisper says RATE tokens a second of sound.

For the network that was never trained (`generated.py`), which does not know where to stop. Windows grow by STEP
seconds of sound; with 30 each is padded to 30 s, as Whisper was trained and other servers do. All else is the
server as it comes.
"""

from __future__ import annotations

import sys

from aimass_stream.cli import main
from aimass_stream.engines import faster_whisper

from .generated import RATE


class Paced(faster_whisper.FasterWhisper):
    """Decodes RATE tokens for each second of its window, those of the prefix counted, and one at least."""

    def _longest(self, prefix: int, seconds: float) -> int:
        return max(prefix + 1, round(RATE * seconds))


def step(seconds: float) -> None:
    """Windows are a multiple of this from now on, in this process."""
    faster_whisper.STEP = round(seconds * faster_whisper.FRAME_RATE)


if __name__ == "__main__":
    step(float(sys.argv[1]))
    faster_whisper.FasterWhisper = Paced  # type: ignore[misc]
    sys.argv = [sys.argv[0], *sys.argv[2:]]
    main()
