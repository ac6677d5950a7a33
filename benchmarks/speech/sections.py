"""The sections of the report, in its order."""

from __future__ import annotations

from . import recognition
from .section import Section

SECTIONS = (
    Section("recognition", "Recognition", 20, recognition.run, recognition.tell, recognition.aims, recognition.plots),
)
