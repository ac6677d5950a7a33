"""The audio jitter buffer: packets in, orders to a decoder out, in time order and without holes.

On a clean link a packet is decoded the moment it comes. Where packets overtake each other, `PlayoutDelay` says
how long to wait, and a timer clocks them out. A missing packet is made up when its turn comes and a later one
is here: from that one's in-band copy (RFC 6716 2.1.7) if there is one, else by concealment. While nothing at
all comes, nothing is made up: what is only late is still played, and delays nothing after it.

The delay shrinks by playing packets a little closer together than they were made, not by cutting sound:
whoever listens plays at his own pace, and our frames carry their time.

A pure state machine: every call says what time it is; the owner calls `poll` at `wakeup`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from ...codecs.opus import FRAME_SAMPLES, packet_samples
from ...errors import InvalidMedia
from ...frames import AUDIO_RATE
from .delay import LONGEST, PlayoutDelay

INFINITE = float("inf")

MADE_UP = AUDIO_RATE // 5  # samples made up for one gap at most; a longer one is left open and said
PIECE = 960  # samples made up at a time
STEP = 120  # samples: libopus makes up multiples of 2.5 ms
PACKETS = 512  # held at most
RESTART = 1000  # a step in sequence numbers that is taken for a new stream, if the next packet confirms it
CLOCK_SET = 1.5  # s that timestamps may run ahead of arrivals before the sender's clock is taken to have been set
CLOCK_BACK = 0.2  # s that they may step back
SILENT = 2  # bytes of a packet that says "nothing to hear until I speak again" (DTX, RFC 6716 2.1.9), at most
SILENCE_WAIT = 0.015  # s past its time that silence is filled in, in case the speaker goes on
SILENCE = 1.0  # s that is filled in after the last packet; DTX sends one every 0.4 s

Method: TypeAlias = Literal["decode", "fec", "plc", "dtx"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One order to the decoder, which must get them all, in order."""

    method: Method  # decode this packet, take its copy of the one before, make up, make up silence
    data: bytes  # b"" when made up
    samples: int  # that come out, at 48 kHz
    pts: int  # 48 kHz; chunks follow each other without a hole, but for `gap`
    rtp_timestamp: int  # 32 bit, of the first sample, which sender reports speak of
    arrived: float  # s
    gap: int = 0  # samples missing before this one, too many to make up


class _Packet(NamedTuple):
    timestamp: int  # wraps counted
    data: bytes
    samples: int
    arrived: float


class AudioJitterBuffer:
    """One stream of Opus. `counts` has packets by what became of them."""

    def __init__(self) -> None:
        self.delay = PlayoutDelay()
        self.counts = {"received": 0, "lost": 0, "late": 0, "duplicate": 0, "garbage": 0, "overflow": 0,
                       "out_of_range": 0}
        self.gaps = 0  # holes that were too long to make up
        self.restarts = 0  # of the sender's clock or numbering
        self.wakeup = INFINITE  # s: call `poll` then
        self._last_arrival = 0.0
        self._end: int | None = None  # pts of the next sample
        self._gap = 0  # samples to be said with the next chunk
        self.reset()

    def reset(self) -> None:
        """The stream starts anew: another SSRC, or numbers or times from elsewhere. pts go on."""
        self._packets: dict[int, _Packet] = {}
        self._started = False
        self._next = 0  # sequence number, wraps counted
        self._time = 0  # timestamp of the next sample, wraps counted
        self._offset = 0  # from timestamps to pts
        self._highest = 0  # sequence number
        self._newest = 0  # its timestamp
        self._suspect: int | None = None
        self._silent_until = -INFINITE  # s
        self._made_up: deque[int] = deque(maxlen=64)  # numbers of packets that were given up
        self.delay.reset()
        self.wakeup = INFINITE

    # what comes in ---------------------------------------------------------------------------------

    def add(self, sequence: int, timestamp: int, payload: bytes, now: float) -> list[Chunk]:
        """One packet, with its 16-bit sequence number and 32-bit timestamp; what is to be decoded now."""
        try:
            samples = packet_samples(payload)
        except InvalidMedia:
            self.counts["garbage"] += 1
            return []
        if not self._plausible(sequence, timestamp, now):
            self.counts["out_of_range"] += 1
            return []
        if not self._started:
            self._begin(sequence, timestamp, now)
        number = self._highest + signed(sequence - self._highest, 16)
        time = self._newest + signed(timestamp - self._newest, 32)
        in_order = number >= self._highest
        if in_order:
            self._highest, self._newest = number, time
        self._last_arrival = now
        self.delay.add(time / AUDIO_RATE, now, in_order)
        if number < self._next or number in self._packets:
            self.counts["late" if number in self._made_up else "duplicate"] += 1
        elif len(self._packets) >= PACKETS:
            self.counts["overflow"] += 1
        else:
            self.counts["received"] += 1
            self._packets[number] = _Packet(time, payload, samples, now)
        return self._release(now)

    def _plausible(self, sequence: int, timestamp: int, now: float) -> bool:
        """Resets where the sender's numbers or clock were set; False for a packet that fits in nowhere."""
        if not self._started:
            return True
        step = signed(sequence - self._highest, 16)
        if abs(step) > RESTART:
            confirmed = self._suspect is not None and signed(sequence - self._suspect, 16) == 1
            self._suspect = sequence
            if confirmed:
                self.restarts += 1
                self.reset()
            return confirmed
        if step > 0:
            ahead = signed(timestamp - self._newest, 32) / AUDIO_RATE
            elapsed = now - self._last_arrival
            if not -CLOCK_BACK < ahead < elapsed + CLOCK_SET:
                self.restarts += 1
                self.reset()
            elif ahead < elapsed - CLOCK_SET:  # a pause the clock did not count, or a long stall
                self.delay.reset()
        return True

    def _begin(self, sequence: int, timestamp: int, now: float) -> None:
        self._started = True
        self._next = self._highest = sequence
        self._time = self._newest = timestamp
        if self._end is not None:
            passed = round((now - self._last_arrival) * AUDIO_RATE) - PIECE
            self._open_gap(max(0, passed // PIECE * PIECE))
            self._offset = self._end - timestamp

    def _open_gap(self, samples: int) -> None:
        if samples and self._end is not None:
            self.gaps += 1
            self._gap += samples
            self._end += samples

    # what goes out ---------------------------------------------------------------------------------

    def poll(self, now: float) -> list[Chunk]:
        """What is to be decoded now."""
        return self._release(now)

    def _release(self, now: float) -> list[Chunk]:
        chunks: list[Chunk] = []
        while self._packets:
            first = self._next if self._next in self._packets else min(self._packets)
            packet = self._packets[first]
            missing = packet.timestamp - self._time
            if missing < 0:
                self._overlap(first, packet)
            elif min(self.delay.due(self._time / AUDIO_RATE), packet.arrived + LONGEST) > now:
                break
            elif missing > MADE_UP:
                self._pass(first, missing)
            elif missing > 0:
                chunks.append(self._make_up(packet, missing, now))
            else:
                chunks.append(self._take(first, packet))
        if not self._packets:
            self._fill_silence(chunks, now)
        self._schedule()
        return chunks

    def _take(self, number: int, packet: _Packet) -> Chunk:
        del self._packets[number]
        self._lose(number)
        self._next = number + 1
        self._silent_until = packet.arrived + SILENCE if len(packet.data) <= SILENT else -INFINITE
        return self._chunk("decode", packet.data, packet.samples, packet.arrived)

    def _lose(self, end: int) -> None:
        """The packets below `end` that did not come are not waited for any more."""
        self.counts["lost"] += end - self._next
        self._made_up.extend(range(max(self._next, end - 64), end))
        self._next = end

    def _chunk(self, method: Method, data: bytes, samples: int, arrived: float) -> Chunk:
        chunk = Chunk(method, data, samples, self._time + self._offset, self._time & 0xFFFFFFFF, arrived, self._gap)
        self._gap = 0
        self._time += samples
        self._end = self._time + self._offset
        return chunk

    def _make_up(self, following: _Packet, missing: int, now: float) -> Chunk:
        """The next piece of what is missing before `following`."""
        if missing < STEP:  # no real hole, timestamps are a little off
            self._offset -= missing
            self._time += missing
            missing = STEP
        if self._silent_until > -INFINITE:
            return self._chunk("dtx", b"", min(missing, PIECE) // STEP * STEP, now)
        copied = FRAME_SAMPLES[following.data[0] >> 3]
        if missing == copied:
            return self._chunk("fec", following.data, copied, now)
        most = missing - copied if missing > copied else missing
        return self._chunk("plc", b"", min(most, PIECE) // STEP * STEP or STEP, now)

    def _overlap(self, number: int, packet: _Packet) -> None:
        """Its time has been filled already: it came too late, or the sender's timestamps step back a little."""
        if packet.timestamp + packet.samples <= self._time:
            del self._packets[number]
            self._lose(number)
            self._next = number + 1
            self.counts["late"] += 1
        else:
            self._offset += self._time - packet.timestamp
            self._time = packet.timestamp

    def _pass(self, number: int, missing: int) -> None:
        """Too much is missing to be made up."""
        self._lose(number)
        self._open_gap(missing)
        self._time += missing

    def _fill_silence(self, chunks: list[Chunk], now: float) -> None:
        while now <= self._silent_until and now >= self._silence_due:
            chunks.append(self._chunk("dtx", b"", PIECE, now))

    @property
    def _silence_due(self) -> float:
        return self.delay.expected(self._time / AUDIO_RATE) + SILENCE_WAIT

    def _schedule(self) -> None:
        if self._packets:
            arrived = min(packet.arrived for packet in self._packets.values())
            self.wakeup = min(self.delay.due(self._time / AUDIO_RATE), arrived + LONGEST)
        else:
            self.wakeup = self._silence_due if self._silence_due <= self._silent_until else INFINITE

    @property
    def depth(self) -> float:
        """s of sound held."""
        return sum(packet.samples for packet in self._packets.values()) / AUDIO_RATE

    def stats(self) -> dict[str, object]:
        return {**self.counts, "gaps": self.gaps, "restarts": self.restarts, "packets_held": len(self._packets),
                "depth_ms": round(self.depth * 1000, 1), "target_ms": round(self.delay.target * 1000, 1),
                "jitter_ms": round(self.delay.jitter * 1000, 1)}


def signed(difference: int, bits: int) -> int:
    """The step between two counters of `bits` bits, whichever way is shorter."""
    half = 1 << (bits - 1)
    return ((difference + half) & ((1 << bits) - 1)) - half
