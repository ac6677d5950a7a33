"""What is said between the server and a voice's process, over its standard input and output.

    in   SPEAK  job, rate, pitch, volume (%), pause, bytes of voice, bytes of text, then both (UTF-8)
         CANCEL job
    out  READY  bytes of JSON, with what the process tells of itself
         TURN   job: what follows is of its making, and so is the end of this process
         PIECE  job, words, samples, then the words: first and last character + 1, first and last sample + 1; int16
         DONE   job
         NONE   job: there is no such voice

A piece ends where a word ends, so that its words can be given with their times. `rate` and `pitch` are the voice's
own numbers. A process ends when its input does. Of the standard library only: lean processes import it, too.
"""

from __future__ import annotations

import os
import select
import struct

SPEAK, CANCEL, READY, TURN, PIECE, DONE, NONE = range(1, 8)
SPEAK_HEAD = struct.Struct("<BIHHHBHI")  # kind, job, rate, pitch, volume, pause, bytes of voice, bytes of text
CANCEL_HEAD = struct.Struct("<BI")  # kind, job
ANSWER = struct.Struct("<BIII")  # kind, job, words (or bytes of JSON), samples
WORD = struct.Struct("<IIII")

TYPE_CHECKING = False  # the module `typing` would take longer to import than a lean process to start
if TYPE_CHECKING:
    from typing import TypeAlias

Speak: TypeAlias = "tuple[int, int, int, int, int, int, bytes, bytes]"  # SPEAK, job, rate, pitch, volume, pause, ...


class Line:
    """The process's end: commands in, answers out."""

    def __init__(self) -> None:
        """Takes over standard input and output; what libraries print from now on goes to standard error."""
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._gathered = bytearray()
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)

    def read(self, *, wait: bool) -> list[tuple[int, ...] | Speak]:
        """The commands that have come; ends this process when the server has gone."""
        if not wait and not self._poll.poll(0):
            return []
        data = os.read(0, 65536)
        if not data:
            os._exit(0)
        self._gathered += data
        commands = []
        while (command := self._take()) is not None:
            commands.append(command)
        return commands

    def _take(self) -> tuple[int, ...] | Speak | None:
        held = self._gathered
        if held and held[0] == CANCEL and len(held) >= CANCEL_HEAD.size:
            cancelled: tuple[int, ...] = CANCEL_HEAD.unpack_from(held)
            del held[: CANCEL_HEAD.size]
            return cancelled
        if held and held[0] == SPEAK and len(held) >= SPEAK_HEAD.size:
            *numbers, voice, text = SPEAK_HEAD.unpack_from(held)
            middle, end = SPEAK_HEAD.size + voice, SPEAK_HEAD.size + voice + text
            if len(held) >= end:
                command = (*numbers, bytes(held[SPEAK_HEAD.size : middle]), bytes(held[middle:end]))
                del held[:end]
                return command
        return None

    def answer(self, kind: int, job: int, words: int = 0, samples: int = 0, body: bytes = b"") -> None:
        data = memoryview(ANSWER.pack(kind, job, words, samples) + body)
        while data:
            data = data[os.write(self._out, data) :]
