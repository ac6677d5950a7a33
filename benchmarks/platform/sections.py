"""The sections of the report, in its order."""

from __future__ import annotations

from ..speech.section import Section
from . import rest

SECTIONS = (
    Section("rest", "REST around a model that does nothing", 1.5, rest.run, rest.tell, rest.aims),
)
