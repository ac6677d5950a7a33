"""`python -m benchmarks.platform`: measure the hub, its REST and its store on this machine, beside other servers.

A full run writes platform.md and platform.json. `--only` measures some sections anew and keeps the figures of the
others, whose commits and dates the report names; `--quick` writes to benchmarks/work/ instead.
"""

from __future__ import annotations

import sys

from ..sectioned import Report
from .sections import SECTIONS

if __name__ == "__main__":
    sys.exit(Report("platform", "The platform", SECTIONS, __doc__).main())
