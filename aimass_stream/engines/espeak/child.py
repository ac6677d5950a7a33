"""The process that espeak lives in, of the standard library only: ``python -I -S child.py PATH LIBRARY DATA MOUTHS``.

espeak-ng is one global state of C: it says one thing at a time, and some texts end it. So it has a process of its
own, which `speech/mouth_wire.py` describes; PATH is that file's folder. Rate is in words a minute, pitch from 0 to 99.

Several utterances take turns in the middle of a clause, so that one that begins need not wait for the others' clauses:
the library is loaded several times from copies of its file, each with a global state and a thread of its own, of which
one runs at a time. It is its callback that waits for its next turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from bisect import bisect_right
from json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...speech.mouth_wire import DONE, NONE, PIECE, READY, SPEAK, TURN, WORD, Line, Speak
else:  # beside no package: this process must be up in milliseconds
    sys.path.append(sys.argv[1])
    from mouth_wire import DONE, NONE, PIECE, READY, SPEAK, TURN, WORD, Line

USUAL_VOICE = b"gmw/en-US"
TURN_SECONDS = 1.0  # of sound that an utterance may be ahead of another before it is that one's turn
PIECE_SECONDS = 0.25  # of sound in a piece, at least, but for an utterance's first one: that is out with its first word
CJK = "\u2e80"  # from here on scripts are written without blanks, as far as espeak speaks them

# espeak-ng's speak_lib.h
SYNCHRONOUS, UTF8, ENDPAUSE, BY_CHARACTER = 2, 1, 0x1000, 1
RATE, VOLUME, PITCH = 1, 2, 3
EVENT_NONE, EVENT_WORD, EVENT_END = 0, 1, 5


class Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int),
                ("milliseconds", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p),
                ("id", ctypes.c_char * 8)]


class Voice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("languages", ctypes.c_void_p), ("identifier", ctypes.c_char_p),
                ("gender", ctypes.c_ubyte), ("age", ctypes.c_ubyte), ("variant", ctypes.c_ubyte),
                ("reserved", ctypes.c_ubyte), ("score", ctypes.c_int), ("spare", ctypes.c_void_p)]


HeardBy = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event))


class Utterance:
    """What is being said: gathers espeak's buffers and hands them on in pieces that end with words."""

    def __init__(self, line: Line, job: int, text: str, least: int) -> None:
        self.line, self.job, self.text = line, job, text
        self.least = least  # samples of every piece but the first
        blank = True
        self.tokens = []  # where words as written begin, as characters
        for place, letter in enumerate(text):
            if blank and not letter.isspace():
                self.tokens.append(place)
            blank = letter.isspace()
        self.sound = bytearray()  # not handed on yet
        self.given = 0  # samples handed on
        self.open: list[int] = []  # first character and first sample of the word that is being said
        self.ended = 0  # samples: where the clause ended that this word is in
        self.words: list[bytes] = []

    def heard(self, sound: bytes, events: list[tuple[int, int, int]]) -> None:
        self.sound += sound
        for kind, place, sample in events:
            if kind == EVENT_END:
                self.ended = sample
            elif kind == EVENT_WORD:
                self._word(place, sample)

    def _word(self, place: int, sample: int) -> None:
        """espeak starts on what is written at `place`: often a word, sometimes only the next digits of a number."""
        token = self.tokens[max(0, bisect_right(self.tokens, place) - 1)] if self.tokens else 0
        dense = place < len(self.text) and self.text[place] >= CJK
        start = place if dense and self.open else token
        if self.open and start <= self.open[0]:
            return
        self._close(start, sample)
        if self.words and (self.given == 0 or sample - self.given >= self.least):
            self._hand_on(sample)
        self.open = [start, sample]

    def _close(self, place: int, sample: int) -> None:
        """The word ends here; where espeak says two as one, as in "there is", each has its share of the letters."""
        if not self.open:
            return
        first, start = self.open
        end = self.ended if start < self.ended < sample else sample
        inside = [token for token in self.tokens if first < token < place and self.text[token].isalnum()]
        for last in [*inside, place]:
            until = end if last == place else start + (end - start) * (last - first) // (place - first)
            self.words.append(WORD.pack(first, last, start, until))
            first, start = last, until

    def _hand_on(self, sample: int) -> None:
        count = min(sample - self.given, len(self.sound) // 2)
        if count > 0:
            self.line.answer(PIECE, self.job, len(self.words), count, b"".join(self.words) + self.sound[: count * 2])
            del self.sound[: count * 2]
            self.given += count
            self.words.clear()

    def finish(self) -> None:
        end = self.given + len(self.sound) // 2
        self._close(len(self.text), end)
        self._hand_on(end)


class Mouth:
    """One copy of the library and the thread it speaks in, when it is its turn."""

    def __init__(self, stage: Stage, library: ctypes.CDLL, data: str) -> None:
        self.stage = stage
        self.library = library
        self.rate = library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0)
        if self.rate <= 0:
            raise SystemExit(f"espeak does not start with the data in {data}")
        # a voice's dictionary takes milliseconds to read: not from the first who speaks
        library.espeak_SetVoiceByName(USUAL_VOICE)
        self.turn = threading.Semaphore(0)
        self.command: Speak | None = None
        self.now: Utterance | None = None
        self.cancelled = False
        self._callback = HeardBy(self._heard)  # kept: C holds a bare pointer
        library.espeak_SetSynthCallback(self._callback)
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def given(self) -> int:
        """Samples of what it is at that are on their way."""
        return self.now.given if self.now is not None else 0

    def _work(self) -> None:
        while True:
            self.turn.acquire()
            assert self.command is not None
            self._speak(*self.command[1:])
            self.command = self.now = None
            self.stage.done(self)

    def _speak(self, job: int, rate: int, pitch: int, volume: int, pause: int, voice: bytes, text: bytes) -> None:
        line = self.stage.line
        if self.library.espeak_SetVoiceByName(voice) != 0:
            line.answer(NONE, job)
            return
        for parameter, value in ((RATE, rate), (PITCH, pitch), (VOLUME, volume)):
            self.library.espeak_SetParameter(parameter, value, 0)
        self.now = Utterance(line, job, text.decode(), int(self.rate * PIECE_SECONDS))
        self.cancelled = False
        flags = UTF8 | (ENDPAUSE if pause else 0)
        self.library.espeak_Synth(text, len(text) + 1, 0, BY_CHARACTER, 0, flags, None, None)
        if not self.cancelled:
            self.now.finish()
        line.answer(DONE, job)

    def _heard(self, samples: int | None, count: int, events: ctypes._Pointer[Event]) -> int:
        """Called by espeak with 60 ms of sound; anything but 0 stops it."""
        assert self.now is not None
        found, place = [], 0
        while events[place].type != EVENT_NONE:
            event = events[place]
            found.append((event.type, max(0, event.text - 1), event.sample))
            place += 1
        self.now.heard(ctypes.string_at(samples, count * 2) if samples and count else b"", found)
        self.stage.read(wait=False)
        if not self.cancelled:
            self.stage.give_way(self)
        return int(self.cancelled)


class Stage:
    """The mouths, what waits for them, and whose turn it is."""

    def __init__(self, library: str, data: str, mouths: int) -> None:
        self.line = Line()
        self.waiting: list[Speak] = []  # as many as the server hands over
        self.mouths = [Mouth(self, copy, data) for copy in copies(library, mouths)]
        self.ended = threading.Semaphore(0)  # nobody is at it any more
        self._ahead = int(self.mouths[0].rate * TURN_SECONDS)

    def serve(self) -> None:
        first = self.mouths[0]
        told = dumps({"rate": first.rate, "mouths": len(self.mouths), "voices": voices(first.library, None),
                      "variants": voices(first.library, b"variant")}).encode()
        self.line.answer(READY, 0, len(told), 0, told)
        while True:
            self.read(wait=True)
            if self.waiting:
                self._let(self.mouths[0])
                self.ended.acquire()

    def read(self, *, wait: bool) -> None:
        """Take in what the server says; called by whoever's turn it is."""
        for command in self.line.read(wait=wait):
            if command[0] == SPEAK:
                self.waiting.append(command)  # type: ignore[arg-type]
                continue
            for mouth in self.mouths:
                mouth.cancelled |= mouth.now is not None and mouth.now.job == command[1]
            for other in [other for other in self.waiting if other[1] == command[1]]:
                self.waiting.remove(other)
                self.line.answer(DONE, other[1])

    def give_way(self, mouth: Mouth) -> None:
        """Wait here while others have been heard less."""
        if not mouth.given:
            return
        others = [other for other in self.mouths if other is not mouth]
        least = min((other for other in others if other.command), key=lambda other: other.given, default=None)
        idle = next((other for other in others if not other.command), None) if self.waiting else None
        if idle is not None:
            self._let(idle)
        elif least is not None and least.given + self._ahead < mouth.given:
            self._let(least)
        else:
            return
        mouth.turn.acquire()
        assert mouth.now is not None
        self.line.answer(TURN, mouth.now.job)

    def done(self, mouth: Mouth) -> None:
        """It has nothing more to say."""
        if self.waiting:
            self._let(mouth)
            return
        least = min((other for other in self.mouths if other.command), key=lambda other: other.given, default=None)
        if least is not None:
            self._let(least)
        else:
            self.ended.release()

    def _let(self, mouth: Mouth) -> None:
        """It is its turn: to go on, or with what has waited longest."""
        if mouth.command is None:
            mouth.command = self.waiting.pop(0)
            self.line.answer(TURN, mouth.command[1])
        mouth.turn.release()


def copies(library: str, wanted: int) -> list[ctypes.CDLL]:
    """The library several times over, each with a global state of its own; once where copies can't be loaded."""
    found, numbers = [ctypes.CDLL(library)], []
    with contextlib.suppress(OSError, AttributeError):
        with open(library, "rb") as file:
            code = file.read()
        for _ in range(wanted - 1):
            # files in memory, since folders may forbid code; all open at once, since a library is known by its name
            numbers.append(os.memfd_create("espeak"))
            with open(numbers[-1], "wb", closefd=False) as file:
                file.write(code)
            found.append(ctypes.CDLL(f"/proc/self/fd/{numbers[-1]}"))
    for number in numbers:
        os.close(number)
    return found


def voices(library: ctypes.CDLL, kind: bytes | None) -> list[tuple[list[str], str, str, int]]:
    """(languages, the best first; name; identifier; 0 neutral, 1 male, 2 female) of each."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
    wanted = None
    if kind is not None:
        wanted = Voice()
        held = ctypes.create_string_buffer(kind)
        wanted.languages = ctypes.addressof(held)
    listed = library.espeak_ListVoices(ctypes.byref(wanted) if wanted is not None else None)
    found, place = [], 0
    while listed[place]:
        voice = listed[place].contents
        found.append((languages(voice.languages), voice.name.decode(), voice.identifier.decode(), voice.gender))
        place += 1
    return found


def languages(address: int) -> list[str]:
    """A list in C: each language after a byte that says how well it is spoken, the least best; a 0 at the end."""
    found = []
    while (priority := ctypes.string_at(address, 1)[0]) != 0:
        name = ctypes.string_at(address + 1)
        found.append((priority, name.decode()))
        address += 1 + len(name) + 1
    return [name for _, name in sorted(found, key=lambda pair: pair[0])]


if __name__ == "__main__":
    Stage(sys.argv[2], sys.argv[3], int(sys.argv[4])).serve()
