"""The process that Piper's voices live in: ``python -I child.py PATH RATE THREADS``.

Piper reads text with an espeak of its own, some texts end that, and its networks take long: hence a process.
`speech/mouth_wire.py` describes what goes in and out; PATH is that file's folder. A voice is a path of its ``.onnx``
file, with ``#number`` for one of its speakers; rate is a hundredth of the usual speed. Sound leaves at RATE Hz, one
piece a sentence, with words timed by their share of its letters.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import soxr
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

if TYPE_CHECKING:
    from ...speech.mouth_wire import DONE, NONE, PIECE, READY, SPEAK, TURN, WORD, Line, Speak
else:
    sys.path.append(sys.argv[1])
    from mouth_wire import DONE, NONE, PIECE, READY, SPEAK, TURN, WORD, Line

MOST_VOICES = 4  # loaded at a time
USUAL_RATE = 100


class Process:
    def __init__(self, rate: int, threads: int) -> None:
        self.rate, self.threads = rate, threads
        self.line = Line()
        self.voices: OrderedDict[str, PiperVoice] = OrderedDict()
        self.waiting: list[Speak] = []
        self.cancelled: set[int] = set()

    def serve(self) -> None:
        told = json.dumps({"rate": self.rate}).encode()
        self.line.answer(READY, 0, len(told), 0, told)
        while True:
            self.read(wait=not self.waiting)
            if self.waiting:
                self.speak(*self.waiting.pop(0)[1:])

    def read(self, *, wait: bool) -> None:
        for command in self.line.read(wait=wait):
            if command[0] == SPEAK:
                self.waiting.append(command)  # type: ignore[arg-type]
            else:
                self.cancelled.add(command[1])

    def speak(self, job: int, rate: int, _: int, volume: int, pause: int, voice: bytes, text: bytes) -> None:
        self.line.answer(TURN, job)
        path, _mark, speaker = voice.decode().partition("#")
        try:
            loaded = self.voice(path)
        except Exception as error:  # onnxruntime has a class for each status and no base for them
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            self.line.answer(NONE, job)
            return
        manner = SynthesisConfig(speaker_id=int(speaker) if speaker else None, volume=volume / 100,
                                 length_scale=loaded.config.length_scale * USUAL_RATE / rate)
        self.say(job, loaded, text.decode(), manner)
        self.cancelled.discard(job)
        self.line.answer(DONE, job)

    def say(self, job: int, voice: PiperVoice, text: str, manner: SynthesisConfig) -> None:
        """Sentence by sentence, as Piper cuts them; words are given out by the share of letters that was said."""
        spans = words(text)
        chunks = list(voice.phonemize(text))
        letters = [max(1, sum(len(phoneme) for phoneme in chunk)) for chunk in chunks]
        begin, said = 0, 0
        for index, chunk in enumerate(chunks):
            self.read(wait=False)
            if job in self.cancelled:
                return
            audio = voice.phoneme_ids_to_audio(voice.phonemes_to_ids(chunk), manner)
            samples = self.converted(np.asarray(audio, np.float32), voice.config.sample_rate, manner.volume)
            last = index + 1 == len(chunks)
            end = len(spans) if last else begin + round(len(spans) * letters[index] / sum(letters))
            here = spans[begin:end]
            packed = timed(here, said, len(samples))
            self.line.answer(PIECE, job, len(here), len(samples), packed + samples.tobytes())
            begin, said = end, said + len(samples)

    def converted(self, audio: Any, rate: int, volume: float) -> Any:
        """int16 at our rate, as loud as it can be and then as wanted."""
        audio = audio.reshape(-1)
        loudest = float(np.abs(audio).max(initial=0.0))
        if loudest > 1e-8:
            audio = audio / loudest
        return (np.clip(soxr.resample(audio, rate, self.rate) * volume, -1, 1) * 32767).astype("<i2")

    def voice(self, path: str) -> PiperVoice:
        if path not in self.voices:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            with open(f"{path}.json", encoding="utf-8") as file:
                config = PiperConfig.from_dict(json.load(file))
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.voices[path] = PiperVoice(session=session, config=config)
        self.voices.move_to_end(path)
        while len(self.voices) > MOST_VOICES:
            self.voices.popitem(last=False)
        return self.voices[path]


def words(text: str) -> list[tuple[int, int]]:
    """First character of each word, and of what follows it."""
    starts = [place for place, letter in enumerate(text)
              if not letter.isspace() and (place == 0 or text[place - 1].isspace())]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def timed(spans: list[tuple[int, int]], begin: int, samples: int) -> bytes:
    """Each word has the share of the sound that it has of the letters."""
    total = sum(last - first for first, last in spans)
    packed, done = [], 0
    for first, last in spans:
        start = begin + samples * done // total
        done += last - first
        packed.append(WORD.pack(first, last, start, begin + samples * done // total))
    return b"".join(packed)


if __name__ == "__main__":
    Process(int(sys.argv[2]), int(sys.argv[3])).serve()
