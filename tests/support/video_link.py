"""A sender of numbered pictures, a wire there and back, and our video jitter buffer: all on one made-up clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from aimass_stream.transports.webrtc.jitter import EncodedFrame, VideoJitterBuffer
from aimass_stream.transports.webrtc.payload import vp8_payloads

from .wire_loss import Wire

INTERVAL = 1 / 30  # s between pictures
KEY_HEADER = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"  # a key frame of 640x480
DELTA_HEADER = b"\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def picture(number: int, keyframe: bool, size: int = 4200) -> bytes:
    """Not a decodable picture, but one with an honest VP8 header, its number, and a size as at 1 Mbit/s."""
    return (KEY_HEADER if keyframe else DELTA_HEADER) + number.to_bytes(4, "big") + bytes(size - 14)


def number_of(frame: EncodedFrame) -> int:
    return int.from_bytes(frame.data[10:14], "big")


@dataclass
class Shown:
    number: int
    at: float  # s, when the buffer released it
    frame: EncodedFrame


@dataclass
class Link:
    """`run` plays `seconds` of video at 30/s through it. Packets answer to NACK from a history, key frames to PLI."""

    buffer: VideoJitterBuffer
    there: Wire[tuple[int, int, bool, bytes]]
    back: Wire[tuple[str, list[int]]]
    sequence: int = 65_000
    timestamp: int = (1 << 32) - 90_000
    retransmits: bool = True
    key_bytes: int = 24_000
    shown: list[Shown] = field(default_factory=list)
    nacks: int = 0
    plis: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self._history: dict[int, tuple[int, int, bool, bytes]] = {}
        self._want_key = True
        self._random = random.Random(7)

    def run(self, seconds: float, start: float = 100.0) -> None:
        now, due, end = start, start, start + seconds
        while now < end:
            now = min(due, self.there.next_arrival, self.back.next_arrival, max(self.buffer.wakeup, now))
            for _, (what, numbers) in self.back.take(now):
                self._feedback(what, numbers, now)
            if now >= due:
                self._send(now)
                due += INTERVAL
            for arrival, packet in self.there.take(now):
                self._show(self.buffer.add(*packet, arrival), arrival)
            if self.buffer.wakeup <= now:
                self._poll(now)

    def _poll(self, now: float) -> None:
        actions = self.buffer.poll(now)
        self._show(actions.frames, now)
        if actions.nacks:
            self.nacks += len(actions.nacks)
            self.back.send(("nack", actions.nacks), now)
        if actions.pli:
            self.plis += 1
            self.back.send(("pli", []), now)

    def _show(self, frames: list[EncodedFrame], now: float) -> None:
        self.shown += [Shown(number_of(frame), now, frame) for frame in frames]

    def _feedback(self, what: str, numbers: list[int], now: float) -> None:
        if what == "pli":
            self._want_key = True
        elif self.retransmits:
            for number in numbers:
                if number in self._history:
                    self.there.send(self._history[number], now)

    def _send(self, now: float) -> None:
        keyframe, self._want_key = self._want_key, False
        size = self.key_bytes if keyframe else self._random.randint(800, 7600)
        payloads = vp8_payloads(picture(self.sent, keyframe, size), self.sent & 0x7FFF)
        for index, payload in enumerate(payloads):
            packet = (self.sequence, self.timestamp, index == len(payloads) - 1, payload)
            self._history[self.sequence] = packet
            if len(self._history) > 512:
                self._history.pop(next(iter(self._history)))
            self.there.send(packet, now + index * 0.0002)
            self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 3000) & 0xFFFFFFFF
        self.sent += 1

    # what came of it -------------------------------------------------------------------------------

    def delays(self, base: float = 0.0) -> list[float]:
        """s from sending to release, less the wire's own `base`, in rising order."""
        first = self.shown[0]
        origin = first.frame.timestamp - first.number * 3000
        assert origin + first.number * 3000 == first.frame.timestamp
        return sorted(shown.at - 100.0 - shown.number * INTERVAL - base for shown in self.shown)

    def frozen(self, longest: float = 0.1) -> float:
        """Share of the time in which no new picture came for over `longest` s, counted from one interval on."""
        gaps = [after.at - before.at for before, after in zip(self.shown, self.shown[1:], strict=False)]
        whole = self.shown[-1].at - self.shown[0].at
        return sum(gap - INTERVAL for gap in gaps if gap > longest) / whole
