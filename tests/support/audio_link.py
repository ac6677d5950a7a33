"""A sender of 20 ms Opus packets, a wire, and our audio jitter buffer with its decoder: on one made-up clock."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from aimass_stream.codecs.opus import OpusEncoder
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, Samples
from aimass_stream.transports.webrtc.audio_jitter import AudioJitterBuffer, Chunk
from aimass_stream.transports.webrtc.sound import SoundDecoder

from .wire_loss import Wire

INTERVAL = 0.02  # s
FRAME = 960  # samples
START = 100.0  # s


def speech(seconds: float) -> Samples:
    """(n, 1): a voice of a sort, with a melody, syllables and pauses between them."""
    t = np.arange(round(seconds * 48_000)) / 48_000
    pitch = 120 + 30 * np.sin(math.tau * 0.7 * t)
    phase = np.cumsum(pitch) / 48_000 * math.tau
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    envelope = np.clip(np.sin(math.tau * 3 * t) + 0.6, 0, 1)
    noise = np.random.default_rng(5).normal(0, 0.01, len(t))
    return np.asarray((0.12 * voice * envelope + noise) * 20_000, np.int16)[:, None]


@functools.cache
def packets(seconds: float, fec: bool = True) -> tuple[bytes, ...]:
    encoder = OpusEncoder(32_000, fec=fec, loss_percent=10 if fec else 0)
    samples = speech(seconds)
    encoded: list[bytes] = []
    for start in range(0, len(samples), FRAME):
        frame = AudioFrame(samples=samples[start : start + FRAME], pts=start, time_base=AUDIO_TIME_BASE, track="a")
        encoded += [packet.data for packet in encoder.encode(frame)]
    encoder.close()
    return tuple(encoded)


@dataclass
class Heard:
    at: float  # s, when it was decoded
    chunk: Chunk
    samples: Samples

    @property
    def number(self) -> float:
        """Which packet of the sender this is, counted from 0."""
        return (self.chunk.rtp_timestamp - AudioLink.timestamp & 0xFFFFFFFF) / FRAME

    @property
    def delay(self) -> float:
        """s since it was sent."""
        return self.at - START - self.number * INTERVAL


@dataclass
class AudioLink:
    wire: Wire[tuple[int, int, bytes]]
    buffer: AudioJitterBuffer = field(default_factory=AudioJitterBuffer)
    decoder: SoundDecoder = field(default_factory=SoundDecoder)
    heard: list[Heard] = field(default_factory=list)
    timestamp = (1 << 32) - 48_000
    sequence = 65_500

    def run(self, data: tuple[bytes, ...]) -> None:
        """Plays the packets through, and waits until nothing is on its way."""
        now, due, sent = START, START, 0
        buffer = self.buffer
        while sent < len(data) or self.wire.next_arrival < math.inf or buffer.depth:
            now = min(due if sent < len(data) else math.inf, self.wire.next_arrival, max(buffer.wakeup, now))
            if sent < len(data) and now >= due:
                number = (self.sequence + sent) & 0xFFFF, (self.timestamp + sent * FRAME) & 0xFFFFFFFF
                self.wire.send((*number, data[sent]), now)
                sent += 1
                due = START + sent * INTERVAL
            for arrival, packet in self.wire.take(now):
                self._hear(buffer.add(*packet, arrival), arrival)
            if buffer.wakeup <= now:
                self._hear(buffer.poll(now), now)

    def _hear(self, chunks: list[Chunk], now: float) -> None:
        self.heard += [Heard(now, chunk, self.decoder.decode(chunk)) for chunk in chunks]

    def delays(self, after: float = 0.0) -> list[float]:
        """s from sending to decoding of what was received, in rising order; `after` s from the start on."""
        return sorted(heard.delay for heard in self.heard
                      if heard.chunk.method == "decode" and heard.at >= START + after)

    def share(self, method: str) -> float:
        """Of all samples."""
        return self.decoder.made_up[method] / self.decoder.samples

    def check_continuous(self) -> None:
        """pts without a hole or an overlap, and as many samples as they say."""
        for heard in self.heard:
            assert len(heard.samples) == heard.chunk.samples
        for before, after in itertools.pairwise(self.heard):
            assert after.chunk.pts == before.chunk.pts + before.chunk.samples + after.chunk.gap
            assert after.at >= before.at
