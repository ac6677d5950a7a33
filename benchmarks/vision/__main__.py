"""`python -m benchmarks.vision`: measure painting and seeing on this machine, beside other servers and plain loops.

A full run writes vision.md, vision.json and plots/vision-*. `--only` measures some sections anew and keeps the figures
of the others, whose commits and dates the report names; `--quick` writes to benchmarks/work/ instead. Styles and
detectors in AIMASS_MODEL_DIRS are measured, too.
"""

from __future__ import annotations

import sys

from aimass_stream.inference import installed
from aimass_stream.settings import Settings

from ..sectioned import Report
from .sections import SECTIONS

if __name__ == "__main__":
    installed().add(*Settings().model_dirs)
    sys.exit(Report("vision", "Sight", SECTIONS, __doc__).main())
