"""The processes that PocketSphinx decodes in: a script run as ``python -I -B child.py SOCKET`` (its number).

PocketSphinx holds Python's interpreter lock while it decodes: one decoder makes an event loop in the same process
12 ms late (p50) and 150 ms at times. So this process loads the model once, and forks itself for each stream it is
sent a socket for. What is loaded (100 MB) is shared between the copies, a stream's own memory goes with its process,
and an utterance that ends a decoder ends one stream.

A stream's messages, each answered with one of JSON (its length, little-endian, before it)::

    BEGIN                 an utterance begins
    HEAR     float32      more of it           -> {"words": [[text, first frame, last frame, score]...], "frames": n}
    FINISH                it is over           -> the same, for the last time
    WORDS    JSON list    which of them can a grammar have?                  -> {"known": [...]}
    GRAMMAR  JSGF         from now on WHOLE listens for this                 -> {} or {"error": "..."}
    FREE                  from now on WHOLE listens for anything, in haste   -> {}
    WHOLE    float32      a whole utterance, its silent ends cut off         -> {"words": ...}, with its pauses

Sound is at 16 kHz; a frame is 10 ms. A score is a mean log likelihood for each frame, in PocketSphinx's own unit.
The process of a stream ends when its socket does, this one when SOCKET does.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEGIN, HEAR, FINISH, WORDS, GRAMMAR, FREE, WHOLE = range(1, 8)
HEAD = struct.Struct("<BI")  # kind, bytes
ANSWER = struct.Struct("<I")  # bytes

NICENESS = 3  # media go first
LOUD = 0.3  # the level that speech is brought to, as a peak
MOST_GAIN = 30.0
# a floor of noise: the model knows no digital silence. Synthetic voices gain by it, others lose nothing
NOISE = 0.0015
# the mean cepstrum of speech at this level, of a reader, LJ Speech and two synthetic voices: where a stream begins
# before it knows its own. With PocketSphinx's own mean the first utterances have up to 40 % more errors.
CEPSTRUM = "49.69,-3.37,1.42,4.38,-7.59,-2.68,-6.19,-5.72,-3.83,-0.67,0.06,-2.03,0.60"
STEP = 1280  # samples decoded at a time
SILENCES = ("<s>", "</s>", "<sil>")
NOTHING = "(NULL)"  # a step of a grammar without a word
QUIET = 0.03  # of the peak; before and after, but for LEFT, an utterance for a grammar is cut
LEFT = 3200  # samples
LOG = math.log(1.0001)  # PocketSphinx's logarithms are to this base
BEAMS = {"beam": 1e-64, "wbeam": 1e-48, "pbeam": 1e-64}  # of grammars, which are small
HASTY = {"beam": 1e-40, "wbeam": 1e-25, "pbeam": 1e-40, "maxhmmpf": 3000}  # of free speech beside them


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to the server, which ends us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the streams' processes
    from pocketsphinx import Decoder  # the server imports this file, too, for what a message looks like

    # neither a second pass over a finished utterance nor a search of its lattice: they cost 0.4 s and gain nothing
    decoder = Decoder(fwdflat=False, bestpath=False, loglevel="FATAL")
    decoder.set_cmn(CEPSTRUM)
    control.sendall(b"ready")
    os.nice(NICENESS)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        if not message:
            return
        with socket.socket(fileno=descriptors[0]) as stream:
            if os.fork() == 0:
                control.close()
                with suppress(ConnectionError):  # nobody waits for the answer any more
                    Stream(decoder, stream).serve()
                os._exit(0)


class Stream:
    def __init__(self, decoder: Any, stream: socket.socket) -> None:
        self.decoder = decoder
        self.stream = stream
        self.peak = 0.02  # the loudest yet; louder than a quiet room
        self.noise = np.random.default_rng(0)
        self.hearing = False

    def serve(self) -> None:
        while head := self._read(HEAD.size):
            kind, size = HEAD.unpack(head)
            payload = self._read(size)
            answer = json.dumps(self._answer(kind, payload)).encode()
            self.stream.sendall(ANSWER.pack(len(answer)) + answer)

    def _read(self, size: int) -> bytes:
        """Empty when the other side has gone."""
        read = bytearray()
        while len(read) < size:
            piece = self.stream.recv(size - len(read))
            if not piece:
                return b""
            read += piece
        return bytes(read)

    def _answer(self, kind: int, payload: bytes) -> dict[str, Any]:
        if kind == BEGIN:
            return self._begin()
        if kind == HEAR:
            return self._hear(np.frombuffer(payload, np.float32))
        if kind == FINISH:
            return self._finish()
        if kind == WORDS:
            return {"known": [word for word in json.loads(payload) if self._knows(word)]}
        if kind == GRAMMAR:
            return self._grammar(payload.decode())
        if kind == FREE:
            return self._free()
        return self._whole(np.frombuffer(payload, np.float32))

    # one stream ------------------------------------------------------------------------------------

    def _begin(self) -> dict[str, Any]:
        if self.hearing:
            self.decoder.end_utt()
        self.decoder.start_utt()
        self.hearing = True
        return {}

    def _hear(self, sound: NDArray[np.float32]) -> dict[str, Any]:
        if not self.hearing:
            self._begin()
        self.peak = max(self.peak, float(np.abs(sound).max(initial=0.0)))
        samples = self._samples(sound)
        for at in range(0, len(samples), STEP):
            self.decoder.process_raw(samples[at : at + STEP].tobytes())
        return self._heard()

    def _finish(self) -> dict[str, Any]:
        if self.hearing:
            self.decoder.end_utt()
        self.hearing = False
        heard = self._heard()
        self.peak = max(0.02, self.peak * 0.8)  # who was once loud need not stay so
        return heard

    def _heard(self) -> dict[str, Any]:
        return {"words": self._segments(), "frames": self.decoder.n_frames()}

    def _samples(self, sound: NDArray[np.float32]) -> NDArray[np.int16]:
        levelled = sound * min(LOUD / self.peak, MOST_GAIN) + self.noise.normal(0, NOISE, len(sound))
        return (np.clip(levelled, -1, 1) * 32767).astype("<i2")

    def _segments(self, silences: bool = False) -> list[tuple[str, int, int, float]]:
        if self.decoder.hyp() is None:
            return []
        return [(segment.word, segment.start_frame, segment.end_frame,
                 round(_log(segment.ascore) / (segment.end_frame - segment.start_frame + 1), 1))
                for segment in self.decoder.seg()
                if segment.start_frame >= 0 and (silences or segment.word not in SILENCES) and segment.word != NOTHING]

    # commands --------------------------------------------------------------------------------------

    def _knows(self, word: str) -> bool:
        """In the dictionary, or made of two words that are: "grayscale"."""
        if self.decoder.lookup_word(word):
            return True
        for cut in range(len(word) - 3, 2, -1):
            parts = [self.decoder.lookup_word(part) for part in (word[:cut], word[cut:])]
            if all(parts):
                self.decoder.add_word(word, " ".join(parts), False)
                return True
        return False

    def _grammar(self, jsgf: str) -> dict[str, Any]:
        self._configure(BEAMS)
        try:
            self.decoder.add_jsgf_string("commands", jsgf)
        except ValueError as error:
            return {"error": str(error)}
        self.decoder.activate_search("commands")
        return {}

    def _free(self) -> dict[str, Any]:
        self._configure(HASTY)
        self.decoder.add_lm("hasty", self.decoder.get_lm("_default"))
        self.decoder.activate_search("hasty")
        return {}

    def _configure(self, options: dict[str, float]) -> None:
        """For searches that are added from now on."""
        config = self.decoder.get_config()
        for name, value in options.items():
            config[name] = value

    def _whole(self, sound: NDArray[np.float32]) -> dict[str, Any]:
        self.peak = max(0.005, float(np.abs(sound).max(initial=0.0)))
        loud = np.flatnonzero(np.abs(sound) > QUIET * self.peak)
        if not len(loud):
            return {"words": []}
        self.noise = np.random.default_rng(0)  # the same for all who hear this utterance
        samples = self._samples(sound[max(0, loud[0] - LEFT) : loud[-1] + LEFT])
        self.decoder.start_utt()
        self.decoder.process_raw(samples.tobytes(), full_utt=True)
        self.decoder.end_utt()
        return {"words": self._segments(silences=True)}


def _log(probability: float) -> float:
    return math.log(probability) / LOG if probability > 0 else -1e6


if __name__ == "__main__":
    main()
