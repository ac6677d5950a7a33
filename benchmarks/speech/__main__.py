"""`python -m benchmarks.speech`: measure hearing, speaking and conversing on this machine, beside other servers.

A full run writes speech.md, speech.json and plots/speech-*.svg. `--only` measures some sections anew and keeps the
figures of the others, whose commits and dates the report names; `--quick` writes to benchmarks/work/ instead.
"""

from __future__ import annotations

import sys

from ..sectioned import Report
from .sections import SECTIONS

if __name__ == "__main__":
    sys.exit(Report("speech", "Speech", SECTIONS, __doc__).main())
