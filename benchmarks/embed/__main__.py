"""`python -m benchmarks.embed`: measure the browser SDK in a real Chromium, and the participant in a room.

A full run writes embed.md and embed.json. `--only` measures some sections anew and keeps the figures of the others,
whose commits and dates the report names; `--quick` writes to benchmarks/work/ instead.
"""

from __future__ import annotations

import sys

from ..sectioned import Report
from .sections import SECTIONS

if __name__ == "__main__":
    sys.exit(Report("embed", "In other people's pages and rooms", SECTIONS, __doc__).main())
