"""The audio jitter buffer's orders, carried out by libopus."""

from __future__ import annotations

from ...codecs.opus import OpusDecoder, has_fec, packet_channels
from ...errors import InvalidMedia
from ...frames import AUDIO_RATE, Samples
from .audio_jitter import Chunk

COPIES_MEMORY = 5 * AUDIO_RATE  # samples


class SoundDecoder:
    """Chunks in, (n, 1 or 2) int16 at 48 kHz out; about 0.05 ms of work a packet. One thread at a time.

    Sound is mono until the first stereo packet comes, and stereo from then on: mono costs every stage half.
    `made_up` counts samples that were not received as such, by method. Of those by "plc", `quiet` were lost while
    the sender's own voice detector heard nothing: a sender with in-band copies makes none of a pause.
    """

    def __init__(self) -> None:
        self.made_up = {"fec": 0, "plc": 0, "dtx": 0}
        self.quiet = 0
        self.garbage = 0  # packets that could not be decoded, and were made up
        self.samples = 0  # that came out
        self._copies_until = 0  # `samples` up to which the sender counts as one that makes copies
        self._decoder = OpusDecoder(1)

    @property
    def channels(self) -> int:
        return self._decoder.channels

    def decode(self, chunk: Chunk) -> Samples:
        """Always sound: what can't be decoded is made up."""
        samples = self._received(chunk) if chunk.method == "decode" else self._copied(chunk)
        if samples is None:
            self.made_up["dtx" if chunk.method == "dtx" else "plc"] += chunk.samples
            samples = self._decoder.conceal(chunk.samples)
        self.samples += len(samples)
        return samples

    def _received(self, chunk: Chunk) -> Samples | None:
        if packet_channels(chunk.data) > self._decoder.channels:
            self._decoder.close()
            self._decoder = OpusDecoder(2)
        if has_fec(chunk.data):
            self._copies_until = self.samples + COPIES_MEMORY
        try:
            return self._decoder.decode(chunk.data)
        except InvalidMedia:
            self.garbage += 1
            return None

    def _copied(self, chunk: Chunk) -> Samples | None:
        if chunk.method != "fec":
            return None
        try:
            copy = self._decoder.recover(chunk.data, chunk.samples)
        except InvalidMedia:
            return None
        if copy is not None:
            self.made_up["fec"] += len(copy)
        elif self.samples < self._copies_until:
            self.quiet += chunk.samples
        return copy

    def close(self) -> None:
        self._decoder.close()
