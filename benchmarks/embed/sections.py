"""The sections of the report, in its order."""

from __future__ import annotations

from ..speech.section import Section
from . import delays, heap, lips, reconnect, room, sizes

SECTIONS = (
    Section("delay", "Capture to processed picture shown", 8, delays.run_section, delays.tell, delays.aims),
    Section("reconnect", "Cut, killed, and back", 5, reconnect.run_section, reconnect.tell, reconnect.aims),
    Section("lips", "Picture and sound of the processed pair", 23, lips.run_section, lips.tell, lips.aims, lips.plots),
    Section("heap", "A hundred connections in one page", 6, heap.run_section, heap.tell, heap.aims),
    Section("sizes", "What a page has to load", 0.2, sizes.run, sizes.tell, sizes.aims),
    Section("room", "Captions in a Janus room", 11, room.run, room.tell, room.aims),
)
