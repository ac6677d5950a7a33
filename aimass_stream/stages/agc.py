"""Keep a voice equally loud."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from ..frames import AudioFrame
from ..speech.audio import FULL
from ..speech.hops import Hops
from ..speech.words import Waveform
from ..stage import Result
from ..stage_base import AUDIO, BaseStage, Params

BLOCK = 0.001  # s: the limiter's grain
AHEAD = 5  # blocks the limiter looks ahead
RELEASE = 0.02  # share of the way back to full that a block goes
RISE, FALL = 4.0, 14.0  # dB/s at which the gain follows
UP, DOWN = 0.15, 2.0  # s in which the loudness follows what is louder and what is softer: syllables don't move it
NARROW = 0.5  # dB: what the gain is off by without being moved
OVER_FLOOR = 9.0  # dB above the background: a voice
FLOOR_RISE = 1.0  # dB/s: the background is the softest of the last seconds
FLOOR = (-75.0, -35.0)  # dBFS the background is held between
SILENT = -90.0  # dBFS
LEAST_GAIN = -20.0  # dB


class AgcParams(Params):
    target: float = Field(-20, ge=-40, le=-6, description="loudness of the voice in the result",
                          json_schema_extra={"unit": "dBFS", "step": 0.5})
    max_gain: float = Field(24, ge=0, le=40, description="how much a soft voice is raised at most",
                            json_schema_extra={"unit": "dB", "step": 1})
    limit: float = Field(-1, ge=-20, le=0, description="no sample leaves louder than this",
                         json_schema_extra={"unit": "dBFS", "step": 0.5})


class Agc(BaseStage[AgcParams]):
    """Follows the loudness of a voice with a slow gain, and holds peaks back. Sound comes 6 ms later.

    The gain stays as it is in pauses, so that the background does not come up between sentences.
    """

    title = "Automatic gain"
    accepts = AUDIO
    Params = AgcParams

    def __init__(self, params: AgcParams) -> None:
        super().__init__(params)
        self._shape = (0, 0)  # rate and channels
        self._follower = Follower()

    async def process(self, frame: AudioFrame) -> Result:
        if not frame.samples.size:
            return frame
        count, channels = frame.samples.shape
        if (frame.rate, channels) != self._shape:
            self._shape = (frame.rate, channels)
            self._block = max(1, round(frame.rate * BLOCK))
            self._hops = Hops(self._block * channels)
            self._limiter = Limiter(self._block, channels)
        wave = (frame.samples.astype(np.float32) / np.float32(FULL)).reshape(-1)
        before = self._follower.gain
        after = self._follower.follow(wave, frame.duration, self.params)
        blocks = self._hops.put(wave * _ramp(before, after, count, channels))
        made = self._limiter.limit(blocks.reshape(-1, self._block, channels), _factor(self.params.limit))
        wave = self._hops.take(made.reshape(-1), count * channels)
        return frame.replace(samples=np.clip(wave * FULL, -32768, 32767).astype(np.int16).reshape(count, channels))


class Follower:
    """The slow gain: by the loudness of what stands out from the background."""

    def __init__(self) -> None:
        self.gain = 0.0  # dB
        self._floor = -60.0  # dBFS
        self._loudness: float | None = None  # dBFS, of the voice

    def follow(self, wave: Waveform, seconds: float, params: AgcParams) -> float:
        """The gain in dB by the end of this piece."""
        power = float(np.dot(wave, wave)) / len(wave)
        level = max(SILENT, 10 * math.log10(power)) if power > 0 else SILENT
        self._floor = min(max(min(level, self._floor + FLOOR_RISE * seconds), FLOOR[0]), FLOOR[1])
        if level < self._floor + OVER_FLOOR:
            return self.gain
        if self._loudness is None:
            self._loudness = level
        pace = UP if level > self._loudness else DOWN
        self._loudness += (level - self._loudness) * (1 - math.exp(-seconds / pace))
        wanted = min(max(params.target - self._loudness, LEAST_GAIN), params.max_gain)
        if abs(wanted - self.gain) > NARROW:
            self.gain += min(max(wanted - self.gain, -FALL * seconds), RISE * seconds)
        return self.gain


class Limiter:
    """Peaks turned down before they come: no block leaves above the limit, and no gain jumps.

    The gain that a block needs is held for the blocks ahead of it (least of `AHEAD` blocks), let go slowly, and
    smoothed over as many blocks, which can't lift it above what any of them needs.
    """

    def __init__(self, block: int, channels: int) -> None:
        self._sound = np.zeros((AHEAD + 1, block, channels), np.float32)  # that waits for its gain
        self._needs = [1.0] * (AHEAD + 1)  # of what waits
        self._held = [1.0] * (AHEAD + 1)  # before smoothing, of the blocks before
        self._edge = 1.0  # gain at the begin of the next block
        self._share = ((np.arange(block, dtype=np.float32) + 1) / block)[:, None]

    def limit(self, blocks: Waveform, limit: float) -> Waveform:
        """(k, block, channels) in, as many out, `AHEAD` + 1 blocks late."""
        if not len(blocks):
            return blocks
        sound = np.concatenate([self._sound, blocks])
        peaks = np.abs(blocks).max(axis=(1, 2)).tolist()
        needs = [*self._needs, *(min(1.0, limit / peak) if peak > 0 else 1.0 for peak in peaks)]
        out = np.empty_like(blocks)
        for number in range(len(blocks)):
            least = min(needs[number + 1 : number + AHEAD + 2])
            last = self._held[-1]
            self._held = [*self._held[1:], min(least, last + (1 - last) * RELEASE)]
            before, after = sum(self._held[:-1]) / AHEAD, sum(self._held[1:]) / AHEAD
            edge = min(before, after)  # between this block and the next
            out[number] = sound[number] * (self._edge + (edge - self._edge) * self._share)
            self._edge = edge
        self._sound, self._needs = sound[len(blocks) :], needs[len(blocks) :]
        return out


def _ramp(before: float, after: float, count: int, channels: int) -> Waveform:
    """Factors from one gain in dB to another, for interleaved samples."""
    ramp = np.linspace(_factor(before), _factor(after), count, dtype=np.float32)
    return np.repeat(ramp, channels) if channels > 1 else ramp


def _factor(db: float) -> float:
    return float(10 ** (db / 20))
