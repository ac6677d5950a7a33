"""How the benchmarks' client receives pictures: a frame is decoded as soon as its last packet is there.

The same for every server. Lost packets are asked for again on a timer, a frame that can't be completed in
time makes it ask for a key frame, repeatedly, and wait for one, as a browser does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FIRST_ASK = 0.01  # s a gap may be mere reordering
KEY_EVERY = 0.3  # s between requests for a key frame
KEPT = 4096  # packets


@dataclass(slots=True)
class _Packet:
    data: bytes  # VP8, without its descriptor
    starts: bool  # first packet of a frame
    ends: bool  # RTP marker


@dataclass(slots=True)
class _Missing:
    since: float
    asked: float | None = None


class Assembler:
    """Takes RTP packets (`add`), gives whole frames in order (`deliver`); `tick` runs its timers."""

    def __init__(self, deliver: Callable[[bytes], None], *, rtt: float = 0.0) -> None:
        self.deliver = deliver
        self.retry = max(0.03, rtt * 1.2)  # s between two requests for one packet
        self.deadline = max(0.2, 2.5 * rtt)  # s a frame may wait for a packet
        self.asked = self.key_requests = self.given_up = 0
        self._packets: dict[int, _Packet] = {}
        self._missing: dict[int, _Missing] = {}
        self._highest: int | None = None
        self._next: int | None = None  # None: waiting for a key frame to start with
        self._last_key_request = 0.0

    def add(self, sequence: int, payload: bytes, data: bytes, marker: bool, now: float) -> None:
        """`sequence` is the 16 bits of RTP; `payload` still has its VP8 descriptor (RFC 7741, 4.2)."""
        number = self._extend(sequence)
        self._missing.pop(number, None)
        if not data or (self._next is not None and number < self._next) or number in self._packets:
            return
        if len(self._packets) >= KEPT:
            self._start_over()
        starts = bool(payload[0] & 0x10) and not payload[0] & 0x07
        self._packets[number] = _Packet(data, starts, marker)
        if self._highest is not None and self._next is not None:
            for gap in range(max(self._highest + 1, number - 512), number):
                self._missing[gap] = _Missing(now)
        self._highest = number if self._highest is None else max(self._highest, number)
        if self._next is None and starts and not data[0] & 1:
            self._begin(number, now)
        self._release()

    def tick(self, now: float) -> tuple[list[int], bool]:
        """What to ask for now: 16-bit sequence numbers, and whether a key frame."""
        again = []
        for number, missing in self._missing.items():
            if (missing.asked is None and now - missing.since >= FIRST_ASK) or (
                    missing.asked is not None and now - missing.asked >= self.retry):
                missing.asked = now
                again.append(number & 0xFFFF)
        if self._next is not None and self._missing:
            oldest = min(self._missing)
            if oldest >= self._next and now - self._missing[oldest].since > self.deadline:
                self.given_up += 1
                self._start_over()
        wants_key = self._next is None and self._highest is not None and now - self._last_key_request >= KEY_EVERY
        if wants_key:
            self._last_key_request = now
            self.key_requests += 1
        self.asked += len(again)
        return again, wants_key

    def _extend(self, sequence: int) -> int:
        if self._highest is None:
            return sequence + 0x10000
        return self._highest + ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000

    def _begin(self, number: int, now: float) -> None:
        self._next = number
        self._packets = {place: packet for place, packet in self._packets.items() if place >= number}
        last = max(self._packets)
        self._missing = {gap: _Missing(now) for gap in range(number, last) if gap not in self._packets}

    def _start_over(self) -> None:
        """Wait for the next key frame; one that is already here is taken at once."""
        self._packets = {place: packet for place, packet in self._packets.items()
                         if self._next is None or place > self._next}
        self._missing.clear()
        self._next = None
        for place in sorted(self._packets):
            packet = self._packets[place]
            if packet.starts and not packet.data[0] & 1:
                self._begin(place, self._last_key_request)
                self._release()
                return

    def _release(self) -> None:
        while self._next is not None:
            end = self._next
            while (packet := self._packets.get(end)) is not None and not packet.ends:
                end += 1
            if packet is None:
                return
            frame = b"".join(self._packets.pop(place).data for place in range(self._next, end + 1))
            self._next = end + 1
            self.deliver(frame)


class Feed:
    """Stands in for an aiortc receiver's jitter buffer: hands every packet on and never holds a frame."""

    def __init__(self, arrive: Callable[[Any], None]) -> None:
        self._arrive = arrive

    def add(self, packet: Any) -> tuple[bool, None]:
        self._arrive(packet)
        return False, None


class NoNack:
    """Stands in for aiortc's NACK generator: `Assembler` asks on its own timer."""

    missing: frozenset[int] = frozenset()

    def add(self, packet: Any) -> bool:
        return False
