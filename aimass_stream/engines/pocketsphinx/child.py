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
    GRAMMAR  JSGF         from now on listen for this                        -> {} or {"error": "..."}
    FREE                  from now on listen for any phones in any order     -> {}
    FEED     float32      a command's sound, as it comes                     -> {}
    PATH                  it is over: what was it?     -> {"words": ...}, with its pauses, and each with its phones

Sound is at 16 kHz; a frame is 10 ms. A score is a mean log likelihood for each frame, in PocketSphinx's own unit.
The process of a stream ends when its socket does, this one when SOCKET does.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEGIN, HEAR, FINISH, WORDS, GRAMMAR, FREE, FEED, PATH = range(1, 9)
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
PIECE = 1600  # samples of a command decoded at a time, however they come: so that nothing else depends on that
HELD = 8  # pieces that tell level and mean of a voice before the first is decoded
TRUST = 30  # frames that CEPSTRUM counts as much as, against the mean of the utterance so far
VOICED = 0.1  # of the peak; only pieces as loud count for the mean
WINDOW = 500  # frames that PocketSphinx counts a mean that is set as
FRAME = 160  # samples
LOG = math.log(1.0001)  # PocketSphinx's logarithms are to this base
BEAMS = {"beam": 1e-64, "wbeam": 1e-48, "pbeam": 1e-64}  # of grammars and of phones, which are few
PHONES = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH",
    "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"]
PHONE = "phone-"  # before the name of a word that is a phone
ENDS = 0.1  # probability that phones end after each


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to the server, which ends us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the streams' processes
    warnings.simplefilter("ignore", DeprecationWarning)  # of `start_stream`, without which noise is carried over
    sys.path.append(str(Path(__file__).parent))  # this is a script: of its package it has nothing but what lies there
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
        self.commanded = False  # FEED and PATH, not HEAR and FINISH
        self._spoken = Spoken(decoder)

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
        if kind == FEED:
            self._spoken.feed(np.frombuffer(payload, np.float32))
            return {}
        return self._path()

    # one stream ------------------------------------------------------------------------------------

    def _begin(self) -> dict[str, Any]:
        if self.hearing:
            self.decoder.end_utt()
        self.hearing = not self.commanded
        if self.commanded:
            self._spoken.end()
            self._spoken = Spoken(self.decoder)
        else:
            self.decoder.start_utt()
        return {}

    def _hear(self, sound: NDArray[np.float32]) -> dict[str, Any]:
        if not self.hearing:
            self._begin()
        self.peak = max(self.peak, float(np.abs(sound).max(initial=0.0)))
        samples = levelled(sound, self.peak, self.noise)
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
        network = importlib.import_module("network").network
        try:
            with configured(self.decoder, BEAMS):
                self.decoder.add_fsg("commands", self.decoder.create_fsg("commands", *network(jsgf)))
        except ValueError as error:
            return {"error": str(error)}
        self.decoder.activate_search("commands")
        self.commanded = True
        return {}

    def _free(self) -> dict[str, Any]:
        """Each phone is a word here, so that PocketSphinx can have them in a grammar."""
        for phone in PHONES:
            self.decoder.add_word(PHONE + phone, phone, phone == PHONES[-1])
        loop = [(0, 0, 1 / len(PHONES), PHONE + phone) for phone in PHONES]
        with configured(self.decoder, BEAMS):
            self.decoder.add_fsg("phones", self.decoder.create_fsg("phones", 0, 1, [*loop, (0, 1, ENDS)]))
        self.decoder.activate_search("phones")
        self.commanded = True
        return {}

    def _path(self) -> dict[str, Any]:
        heard = self._spoken.end()
        self._spoken = Spoken(self.decoder)
        words = self._segments(silences=True) if heard else []
        return {"words": [(*word, self.decoder.lookup_word(word[0]) or "") for word in words]}


@contextmanager
def configured(decoder: Any, options: dict[str, float]) -> Iterator[None]:
    """For searches that are added meanwhile."""
    config = decoder.get_config()
    before = {name: config[name] for name in options}
    for name, value in options.items():
        config[name] = value
    yield
    for name, value in before.items():
        config[name] = value


class Spoken:
    """An utterance that may be a command, decoded while it is spoken.

    PocketSphinx takes the mean cepstrum of a whole utterance, or of those before. Neither is there for a command that
    a stranger begins, so the first second of the voice gives it, and what follows corrects it.
    """

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder
        self.noise = np.random.default_rng(0)  # the same for all who hear this utterance
        self.peak = 0.005
        self.heard = False  # anything but digital silence
        self.begun = False  # its first pieces are decoded
        self.rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self.held: list[NDArray[np.float32]] = []
        self.prior = np.array([float(value) for value in CEPSTRUM.split(",")])
        self.mean, self.total, self.frames = self.prior, np.zeros(len(self.prior)), 0

    def feed(self, sound: NDArray[np.float32]) -> None:
        sound = np.concatenate([self.rest, sound])
        whole = len(sound) - len(sound) % PIECE
        self.rest = sound[whole:]
        for at in range(0, whole, PIECE):
            self._piece(sound[at : at + PIECE])

    def end(self) -> bool:
        """False when there was nothing to decode."""
        if len(self.rest):
            self._piece(self.rest)
        if self.held:
            self._decode(np.concatenate(self.held))
        if self.begun:
            self.decoder.end_utt()
        return self.begun

    def _piece(self, piece: NDArray[np.float32]) -> None:
        loudest = float(np.abs(piece).max(initial=0.0))
        self.heard |= loudest > 0
        self.peak = max(self.peak, loudest)
        self.held.append(piece)
        if self.begun or len(self.held) >= HELD:
            sound = np.concatenate(self.held)
            self.held.clear()
            self._decode(sound)

    def _decode(self, sound: NDArray[np.float32]) -> None:
        if not self.heard:
            return
        samples = levelled(sound, self.peak, self.noise)
        loud = np.flatnonzero(np.abs(sound) > VOICED * self.peak)
        if not self.begun:
            self.decoder.start_stream()  # it forgets the noise behind whom it heard before
            if len(loud):
                self._learn(samples[max(0, loud[0] - 800) :], search=False)
            self.begun = True
            self.decoder.set_cmn(_written(self.mean))
            self.decoder.start_utt()
            self.decoder.process_raw(samples.tobytes())
        elif len(loud):
            self._learn(samples, search=True)
        else:
            self.decoder.process_raw(samples.tobytes())
        self.decoder.set_cmn(_written(self.mean))

    def _learn(self, samples: NDArray[np.int16], *, search: bool) -> None:
        """Take these as the voice's, and decode them if `search`."""
        if not search:
            self.decoder.set_cmn(_written(self.mean))
            self.decoder.start_utt()
        self.decoder.process_raw(samples.tobytes(), no_search=not search)
        frames = len(samples) // FRAME
        if frames:
            together = np.array([float(value) for value in self.decoder.get_cmn(True).split(",")])
            self.total += (WINDOW + frames) * together - WINDOW * self.mean
            self.frames += frames
            self.mean = (TRUST * self.prior + self.total) / (TRUST + self.frames)
        if not search:
            self.decoder.end_utt()


def levelled(sound: NDArray[np.float32], peak: float, noise: np.random.Generator) -> NDArray[np.int16]:
    brought = sound * min(LOUD / peak, MOST_GAIN) + noise.normal(0, NOISE, len(sound))
    return (np.clip(brought, -1, 1) * 32767).astype("<i2")


def _written(mean: NDArray[np.float64]) -> str:
    return ",".join(f"{value:.3f}" for value in mean)


def _log(probability: float) -> float:
    return math.log(probability) / LOG if probability > 0 else -1e6


if __name__ == "__main__":
    main()
