"""The sections of the report, in its order."""

from __future__ import annotations

from ..speech.section import Section
from . import batching, kills, live, peers, rest, scale

SECTIONS = (
    Section("rest", "REST around a model that does nothing", 1.5, rest.run, rest.tell, rest.aims),
    Section("batching", "Rows of several callers in one run", 1.5, batching.run, batching.tell, batching.aims),
    Section("peers", "The same models in other servers", 4, peers.run, peers.tell, peers.aims),
    Section("live", "A live session beside it", 2, live.run, live.tell, live.aims),
    Section("kills", "kill -9", 5, kills.run, kills.tell, kills.aims),
    Section("scale", "Many models, much usage", 3, scale.run, scale.tell, scale.aims),
)
