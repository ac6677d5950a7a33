"""From Opus packets to sound: the jitter buffer's orders, carried out."""

from __future__ import annotations

from dataclasses import dataclass

from ...codecs.opus import OpusDecoder, has_fec, packet_channels
from ...errors import InvalidMedia
from ...frames import AUDIO_RATE, Samples
from .audio_jitter import AudioJitterBuffer, Chunk, Method

COPIES_MEMORY = 5 * AUDIO_RATE  # samples


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound, decoded or made up."""

    samples: Samples  # (n, 1 or 2) int16 at 48 kHz
    pts: int  # 48 kHz; pieces follow each other without a hole, but for `gap`
    rtp_timestamp: int  # 32 bit, of the first sample, which sender reports speak of
    arrived: float  # s
    method: Method  # how it came about: "fec", "plc" and "dtx" were not received as such
    gap: int = 0  # samples missing before it


class SoundReceiver:
    """Packets in, sound out: call `add` with each packet, `poll` at `wakeup`. About 0.1 ms of work a packet.

    Sound is mono until the first stereo packet comes, and stereo from then on: mono costs every stage half.
    `made_up` counts samples by method. Of those by "plc", `quiet` were lost while the sender's own voice detector
    heard nothing: a sender with in-band copies makes none of a pause.
    """

    def __init__(self) -> None:
        self.buffer = AudioJitterBuffer()
        self.made_up = {"fec": 0, "plc": 0, "dtx": 0}
        self.quiet = 0
        self.samples = 0  # that came out
        self._copies_until = 0  # `samples` up to which the sender counts as one that makes copies
        self._decoder = OpusDecoder(1)

    @property
    def wakeup(self) -> float:
        return self.buffer.wakeup

    @property
    def channels(self) -> int:
        return self._decoder.channels

    def reset(self) -> None:
        """The stream starts anew (another SSRC)."""
        self.buffer.reset()
        self._decoder.reset()

    def add(self, sequence: int, timestamp: int, payload: bytes, now: float) -> list[Sound]:
        return [self._sound(chunk) for chunk in self.buffer.add(sequence, timestamp, payload, now)]

    def poll(self, now: float) -> list[Sound]:
        return [self._sound(chunk) for chunk in self.buffer.poll(now)]

    def _sound(self, chunk: Chunk) -> Sound:
        method, samples = self._decode(chunk)
        if method != "decode":
            self.made_up[method] += len(samples)
        self.samples += len(samples)
        return Sound(samples, chunk.pts, chunk.rtp_timestamp, chunk.arrived, method, chunk.gap)

    def _decode(self, chunk: Chunk) -> tuple[Method, Samples]:
        try:
            if chunk.method == "decode":
                if packet_channels(chunk.data) > self._decoder.channels:
                    self._decoder.close()
                    self._decoder = OpusDecoder(2)
                if has_fec(chunk.data):
                    self._copies_until = self.samples + COPIES_MEMORY
                return "decode", self._decoder.decode(chunk.data)
            if chunk.method == "fec":
                copy = self._decoder.recover(chunk.data, chunk.samples)
                if copy is not None:
                    return "fec", copy
                if self.samples < self._copies_until:
                    self.quiet += chunk.samples
        except InvalidMedia:
            self.buffer.counts["garbage"] += 1
        return "dtx" if chunk.method == "dtx" else "plc", self._decoder.conceal(chunk.samples)

    def close(self) -> None:
        self._decoder.close()

    def stats(self) -> dict[str, object]:
        made_up = {f"{method}_ms": samples // 48 for method, samples in self.made_up.items()}
        return {**self.buffer.stats(), **made_up, "quiet_ms": self.quiet // 48, "channels": self.channels}
