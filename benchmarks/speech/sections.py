"""The sections of the report, in its order."""

from __future__ import annotations

from . import endurance, recognition, small, talking, throughput
from .section import Section

SECTIONS = (
    Section("recognition", "Recognition", 20, recognition.run, recognition.tell, recognition.aims, recognition.plots),
    Section("throughput", "Throughput", 8, throughput.run, throughput.tell, throughput.aims, throughput.plots),
    Section("emformer", "Streaming transducer", 1, small.emformer, small.emformer_tell, small.emformer_aims),
    Section("turns", "End of a turn", 0.2, small.turns, small.turns_tell, small.turns_aims),
    Section("voices", "Voices", 2, talking.voices, talking.voices_tell, talking.voices_aims),
    Section("commands", "Spoken commands", 3, talking.commands, talking.commands_tell, talking.commands_aims),
    Section("conversation", "Conversation", 8, talking.conversation, talking.conversation_tell,
            talking.conversation_aims),
    Section("endurance", "An hour of sound", 4, endurance.run, endurance.tell, endurance.aims, endurance.plots),
)
