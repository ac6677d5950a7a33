"""The assistant does not hear itself: what the microphone has of the played voice is taken out again.

Browsers cancel echo, phones on a table and speakers in a room often don't. The server knows what it plays, so it
can: a partitioned block frequency-domain Kalman filter (Enzner and Vary, "Frequency-domain adaptive Kalman filter
for acoustic echo control", 2006; partitioned as by Kuech, Mabande and Enzner, 2014) learns the way from the played
sound to the microphone, up to 520 ms long, while both talk. It also knows how sure it is: as much as may still be
echo is turned down (`residual`), which is what keeps the first words of the first reply from being heard.

And there are the words: a transcript that is what was just being said is nobody's turn.
"""

from __future__ import annotations

from collections import deque
from difflib import SequenceMatcher
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..frames import AudioFrame, now
from ..speech.audio import ToHearing
from ..speech.grammar import tokens
from ..speech.words import HEARING_RATE, Waveform
from .residual import BLOCK, Residual

PARTITIONS = 26  # blocks of delay and reverberation, 520 ms
KEEPS = 0.9995**2  # how much of the way stays as it is from block to block
UNSURE = 4.0  # variance of the way at the begin: it may well be louder than unity, split over the partitions
SMOOTH = 0.5  # of the power of what is not echo, from block to block
ABSENT = 0.03  # of the power of the expected echo: less is none
PROVED = 8  # blocks that the way must have been good for
STALLED = 75  # blocks, 1.5 s, that a client may play nothing for
TINY = 1e-8

OWN_WORDS = 6.0  # s for which what was said may come back
ALIKE = 0.8  # of the words

_TIME_BASE = Fraction(1, HEARING_RATE)


class EchoGuard:
    """For one track. `clean` takes about 0.5 ms for 20 ms while something plays, and nothing worth noting else."""

    def __init__(self) -> None:
        self._microphone, self._reference = ToHearing(), ToHearing()
        self._mic_rest: Waveform = np.zeros(0, np.float32)
        self._ref_rest: Waveform = np.zeros(0, np.float32)
        self._filter = EchoFilter()
        self._next: int | None = None  # pts of the next sample out
        self._said: deque[tuple[float, str]] = deque(maxlen=64)

    def clean(self, heard: AudioFrame, played: AudioFrame) -> AudioFrame | None:
        """The microphone's frame without echo, 16 kHz mono; `played` is what was heard at its time, of the same length.

        It may begin earlier, with what was played in the gap before the frame; else that counts as silence. None while
        less than 20 ms have gathered.
        """
        mic = np.concatenate([self._mic_rest, self._microphone(heard)])
        gap = max(0, round((heard.gap / heard.rate + heard.duration) * played.rate) - len(played.samples))
        ref = np.concatenate([self._ref_rest, self._reference(played.replace(gap=gap))])
        pts = round(heard.seconds * HEARING_RATE) - len(self._mic_rest) - heard.gap * HEARING_RATE // heard.rate
        if self._next is None:
            # silence in front, so that from now on each frame completes its block and nothing waits for the next one
            mic = np.concatenate([np.zeros(-len(mic) % BLOCK, np.float32), mic])
            self._next = pts
        if abs(pts - self._next) > BLOCK * 2:
            self._next = pts  # media time went on elsewhere
        ref = np.concatenate([np.zeros(max(0, len(mic) - len(ref)), np.float32), ref])[-max(1, len(mic)) :]
        count = len(mic) // BLOCK * BLOCK
        self._mic_rest, self._ref_rest = mic[count:], ref[count:]
        if not count:
            return None
        blocks = [self._filter(mic[at : at + BLOCK], ref[at : at + BLOCK]) for at in range(0, count, BLOCK)]
        wave = np.concatenate(blocks)
        samples = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)[:, None]
        out = heard.replace(samples=samples, rate=HEARING_RATE, pts=self._next, time_base=_TIME_BASE, gap=0)
        self._next += count
        return out

    # words -----------------------------------------------------------------------------------------

    def said(self, text: str) -> None:
        """This clause is being heard from now on."""
        self._said.append((now(), text))

    def own_words(self, text: str) -> bool:
        """True for a transcript of at least two words that is a piece of what was just said."""
        heard = tokens(text)
        while self._said and self._said[0][0] < now() - OWN_WORDS - 0.4 * len(self._said[0][1].split()):
            self._said.popleft()
        spoken = [word for _, clause in self._said for word in tokens(clause)]
        if len(heard) < 2 or not spoken:
            return False
        blocks = SequenceMatcher(None, spoken, heard, autojunk=False).get_matching_blocks()
        return sum(block.size for block in blocks) / len(heard) >= ALIKE and max(
            block.size for block in blocks) >= min(len(heard), 2)


class EchoFilter:
    """Blocks of the microphone and of what was played, 320 samples each; answers the microphone without it."""

    def __init__(self) -> None:
        shape = (PARTITIONS, BLOCK + 1)
        self._played: NDArray[np.complex128] = np.zeros(shape, complex)  # spectra of the last blocks, the newest first
        self._way: NDArray[np.complex128] = np.zeros(shape, complex)
        self._doubt: NDArray[np.float64] = np.full(shape, UNSURE / PARTITIONS)  # variance of `_way`
        self._other: NDArray[np.float64] | None = None  # power of what is not echo
        self._last_played: Waveform = np.zeros(BLOCK, np.float32)
        self._residual = Residual()
        self._proved = 0  # blocks whose echo was taken out
        self._absent = 0  # blocks in a row that had no echo where there should be one
        self._quiet = PARTITIONS + 1  # blocks since something was played

    def __call__(self, mic: Waveform, played: Waveform) -> Waveform:
        self._quiet = 0 if played.any() else self._quiet + 1
        if self._quiet > PARTITIONS:  # no echo can be left
            self._residual.reset(mic)
            self._last_played = played
            self._played[:] = 0
            return mic
        self._played = np.roll(self._played, 1, axis=0)
        self._played[0] = np.fft.rfft(np.concatenate([self._last_played, played]))
        self._last_played = played
        power = np.square(np.abs(self._played))
        echo = np.fft.irfft((self._played * self._way).sum(axis=0))[BLOCK:]
        left = mic - echo
        rest = 0.5 * (self._doubt * power).sum(axis=0)  # power of the echo that may still be in it
        if self._unplayed(mic, left, echo):
            return self._residual.nothing(mic)
        self._learn(left, power, rest)
        return self._residual(left, echo, rest)

    def _unplayed(self, mic: Waveform, left: NDArray[np.float64], echo: NDArray[np.float64]) -> bool:
        """The microphone is much quieter than the echo that should be in it: what was sent came too late to be played,
        and there is nothing to learn from it. After a while it is the loudspeaker that was turned down; and who has not
        yet taken out an echo does not know how loud it should be."""
        heard = float(mic @ mic)
        absent = self._proved >= PROVED and heard < ABSENT * float(echo @ echo)
        self._absent = self._absent + 1 if absent else 0
        if absent and self._absent <= STALLED:
            return True
        if absent:
            self._proved = 0
        elif float(left @ left) < 0.25 * heard:
            self._proved = min(PROVED, self._proved + 1)
        return False

    def _learn(self, left: NDArray[np.float64], power: NDArray[np.float64], rest: NDArray[np.float64]) -> None:
        error = np.fft.rfft(np.concatenate([np.zeros(BLOCK), left]))
        loud = np.square(np.abs(error))
        self._other = loud if self._other is None else SMOOTH * self._other + (1 - SMOOTH) * loud
        step = self._doubt / (rest + self._other + TINY)
        change = np.fft.irfft(step * self._played.conj() * error)
        change[:, BLOCK:] = 0  # a way has no future
        self._way += np.fft.rfft(change)
        self._doubt = (KEEPS * (1 - 0.5 * step * power) * self._doubt
                       + (1 - KEEPS) * np.square(np.abs(self._way)) + TINY / 100)
