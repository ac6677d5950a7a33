"""The video jitter buffer: packets in, whole pictures out the moment they can be decoded.

A picture is released when its last packet is here and nothing before it is missing: no smoothing delay.
Missing packets are asked for again until the deadline; then a key frame is asked for, and whichever comes
first, the missing packet or the key frame, lets the pictures go on. Pictures are never handed to a decoder
with a hole before them.

A pure state machine: every call says what time it is. The owner calls `poll` at `wakeup`, does what it says,
and hands on the pictures that `add` and `poll` return.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ...codecs.headers import Limits, h264_header, vp8_header
from ...errors import InvalidMedia
from .missing import INFINITE, LARGEST_GAP, Missing
from .payload import DEPAYLOADERS

DEADLINE = 0.15  # s
PACKETS = 2048  # held at most
OCTETS = 4 << 20
HOLD = 1.0  # s past the deadline that pictures wait behind a gap for either repair or key frame
PLI_INTERVAL = 0.2  # s, at least
KEYFRAME_PAUSE = 0.1  # s without a packet of a key frame on its way after which another is asked for
RESTART = 3000  # a step in sequence numbers that is taken for a new stream, if the next packet confirms it
BEGINNING = 0.05  # s that a stream's first picture may take to become whole
TAIL = 0.008  # s after which the last packet of a picture that stays unfinished is asked for
TAIL_TRIES = 2
LEAP = 30 * 90_000  # ticks between two pictures, beyond which the sender's clock is taken to have been set
REFUSED_INTERVAL = 2.0  # s between requests for key frames while they are too large
BURST = 1.0  # s of pictures that may come at once without being too many


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One whole picture as its decoder takes it."""

    data: bytes
    timestamp: int  # 90 kHz; always rises, over wraps and over restarts of the sender
    rtp_timestamp: int  # as on the wire, which sender reports speak of
    keyframe: bool
    first_arrived: float  # s
    arrived: float  # s, the last of its packets


@dataclass(slots=True)
class Actions:
    frames: list[EncodedFrame] = field(default_factory=list)
    nacks: list[int] = field(default_factory=list)  # sequence numbers on the wire
    pli: bool = False


class _Packet(NamedTuple):
    timestamp: int
    marker: bool
    data: bytes
    starts: bool
    keyframe: bool
    arrived: float


class VideoJitterBuffer:
    """One stream of VP8 or H264. `dropped` counts pictures by reason, `dropped_packets` packets."""

    def __init__(self, codec: str, *, deadline: float = DEADLINE, limits: Limits | None = None,
                 max_fps: float = 61) -> None:
        self.codec = codec
        self.deadline = deadline  # s
        self.limits = limits or Limits()
        self.max_fps = max_fps
        self.missing = Missing(longest_wait=deadline / 2)
        self.dropped: dict[str, int] = {}
        self.dropped_packets: dict[str, int] = {}
        self.frames = 0
        self.plis = 0
        self.given_up = 0  # gaps not repaired in time
        self.wakeup = INFINITE  # s: call `poll` then
        self._depayload = DEPAYLOADERS[codec]
        self._allowance, self._allowance_at = max_fps * BURST, 0.0
        self.timestamp_steps = 0  # of the sender's clock, bridged
        self._last: tuple[int, float] | None = None  # time and arrival of the last picture taken out
        self._offset = 0  # from the sender's timestamps to our times
        self._last_pli = -INFINITE
        self.reset()

    def reset(self) -> None:
        """The stream starts anew: another SSRC, or sequence numbers from elsewhere."""
        self._packets: dict[int, _Packet] = {}
        self._octets = 0
        self._next: int | None = None  # the first packet not yet taken out
        self._scan = 0  # everything from _next up to here is there
        self._highest = 0
        self._begun = False  # something was taken out
        self._begins = 0.0  # s: a picture that needs others is not looked at before
        self._suspect: int | None = None
        self._keys: list[int] = []  # packets that begin a key frame, rising
        self._synced = False  # the decoder has everything before _next
        self._want_key = False
        self._waiting_since = INFINITE  # the gap in the way was given up then
        self._refused = False  # the last key frame was too large; asking for another is no use
        self._last_arrival = 0.0
        self._last_timestamp: int | None = None
        self._spacing = 0.0  # s
        self._tail_tries = 0
        self.missing.clear()
        self.wakeup = INFINITE

    # what comes in ---------------------------------------------------------------------------------

    def add(self, sequence: int, timestamp: int, marker: bool, payload: bytes, now: float) -> list[EncodedFrame]:
        """One packet, with its 16-bit sequence number and 32-bit timestamp; the pictures that are whole now."""
        try:
            piece = self._depayload(payload)
        except InvalidMedia:
            self._drop_packet("garbage")
            return []
        number = self._number(sequence, now)
        if number is None:
            return []
        self._packets[number] = _Packet(timestamp, marker, piece.data, piece.starts, piece.keyframe, now)
        self._octets += len(piece.data)
        if number == self._highest:
            self._space(timestamp, now)
        if piece.keyframe:
            self._keys = sorted([*self._keys, number])[-8:]
        if not self._begun:
            self._look_for_the_beginning(now)
        if len(self._packets) > PACKETS or self._octets > OCTETS:
            self._abandon("overflow")
        frames = self._advance(now)
        self._schedule(now)
        return frames

    def _look_for_the_beginning(self, now: float) -> None:
        """The stream's first packet need not come first: what is there has to begin a picture."""
        assert self._next is not None
        packet = self._packets.get(self._next)
        if packet is not None and packet.data and not packet.starts:
            self.missing.open(self._next - 1, self._next, now)
            self._next = self._scan = self._next - 1
            if not self._want_key:  # or we came in the middle of the stream
                self._want_key = True
                self._last_pli = max(self._last_pli, self._begins - PLI_INTERVAL)

    def _space(self, timestamp: int, now: float) -> None:
        """How far apart the packets of one picture come: its longest, slowly forgotten."""
        if timestamp == self._last_timestamp and now > self._last_arrival:
            self._spacing = max(now - self._last_arrival, self._spacing * 0.98)
        self._last_timestamp, self._last_arrival = timestamp, now

    def _number(self, sequence: int, now: float) -> int | None:
        """The packet's number with wraps counted; None when it is to be dropped. Keeps book of what is missing."""
        if self._next is None:
            self._next = self._scan = self._highest = sequence
            self._begins = now + BEGINNING
            return sequence
        step = ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if abs(step) > RESTART:
            confirmed = self._suspect is not None and (sequence - self._suspect) & 0xFFFF in (1, 2, 3)
            self._suspect = sequence
            if not confirmed:
                self._drop_packet("out_of_range")
                return None
            self.reset()
            return self._number(sequence, now)
        number = self._highest + step
        if step > 0:
            self._tail_tries = 0
            if step > LARGEST_GAP:
                self._leap(number)
            elif step > 1:
                self.missing.open(self._highest + 1, number, now)
            self._highest = number
            return number
        self.missing.came(number, now)
        if number in self._packets or number < self._next:
            if self._begun or number in self._packets or self._next - number > LARGEST_GAP:
                self._drop_packet("late_or_duplicate")
                return None
            self.missing.open(number + 1, self._next, now)  # the stream's first packets came out of order
            self._next = self._scan = number
        return number

    def _leap(self, number: int) -> None:
        """Too much is gone to ask for: go on with `number`."""
        self._count_pictures(number, "skipped")
        self._skip_to(number)
        self._synced = False
        self._want_key = True

    # what goes out ---------------------------------------------------------------------------------

    def _advance(self, now: float) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        while True:
            end = self._end_of_next()
            if end is not None:
                if not self._begun and now < self._begins and not (self._keys and self._keys[0] <= end):
                    return frames  # the stream's first key frame may yet come: packets overtake each other
                frame = self._take(end, now)
                if frame is not None:
                    frames.append(frame)
            elif not self._jump(now):
                return frames

    def _end_of_next(self) -> int | None:
        """The number of the last packet of the next picture if all of it is here."""
        number, whole = self._run(self._scan)
        if whole:
            return number
        self._scan = number
        return None

    def _run(self, number: int) -> tuple[int, bool]:
        """From packet `number` on to the end of its picture, or to the last packet before a hole."""
        packets = self._packets
        packet = packets.get(number)
        while packet is not None:
            if packet.marker:
                return number, True
            following = packets.get(number + 1)
            if following is None:
                break
            if following.timestamp != packet.timestamp:  # a sender without markers, or padding between pictures
                return number, True
            number, packet = number + 1, following
        return number, False

    def _take(self, end: int, now: float) -> EncodedFrame | None:
        """Takes the next picture out; None when it is of no use."""
        assert self._next is not None
        packets = [self._packets.pop(number) for number in range(self._next, end + 1)]
        self._next = self._scan = end + 1
        self._keys = [number for number in self._keys if number > end]
        self._begun = True
        self._waiting_since = INFINITE
        data = b"".join(packet.data for packet in packets)
        self._octets -= len(data)
        if not data:
            return None  # padding
        keyframe = any(packet.keyframe for packet in packets)
        reason = self._useless(data, packets, keyframe, now)
        if reason:
            self._drop(reason)
            return None
        self._synced, self._refused, self._want_key = True, False, False
        self.frames += 1
        arrived = max(packet.arrived for packet in packets)
        rtp_timestamp = packets[-1].timestamp
        return EncodedFrame(data, self._clock(rtp_timestamp, arrived), rtp_timestamp, keyframe,
                            min(packet.arrived for packet in packets), arrived)

    def _useless(self, data: bytes, packets: list[_Packet], keyframe: bool, now: float) -> str:
        """Why a picture must not go to a decoder, "" if it may."""
        if not self._synced and (not keyframe or not any(packet.starts for packet in packets)):
            self._want_key = True
            return "undecodable"
        if self._too_many(now):
            self._synced, self._want_key = False, True
            return "fps"
        try:
            self._check_size(data, keyframe)
        except InvalidMedia as error:
            reason = str(error.data["reason"])
            self._synced, self._want_key = False, True
            self._refused = reason == "picture_size"
            return reason
        return ""

    def _check_size(self, data: bytes, keyframe: bool) -> None:
        if self.codec == "VP8":
            size = vp8_header(data)
            if size is not None:
                self.limits.check(*size)
        elif keyframe:
            for size in h264_header(data)[1]:
                self.limits.check(*size)

    def _too_many(self, now: float) -> bool:
        """A bucket that fills with max_fps, and holds a second's worth."""
        self._allowance = min(self.max_fps * BURST, self._allowance + (now - self._allowance_at) * self.max_fps)
        self._allowance_at = now
        if self._allowance < 1:
            return True
        self._allowance -= 1
        return False

    def _clock(self, rtp_timestamp: int, arrived: float) -> int:
        """The picture's time. Always rises: arrival times bridge a step of the sender's clock."""
        if self._last is None:
            self._offset = 0
            self._last = (rtp_timestamp, arrived)
            return rtp_timestamp
        last, last_arrived = self._last
        timestamp = last + ((rtp_timestamp + self._offset - last + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        if not 0 < timestamp - last < LEAP:
            self.timestamp_steps += 1
            bridged = last + max(1, round((arrived - last_arrived) * 90_000))
            self._offset += bridged - timestamp
            timestamp = bridged
        self._last = (timestamp, arrived)
        return timestamp

    # gaps ------------------------------------------------------------------------------------------

    def _jump(self, now: float) -> bool:
        """Goes on at a whole key frame behind the gap, if there is one and the gap is not mere overtaking."""
        if not self._keys or not self.missing or now < self.missing.oldest + self.missing.wait:
            return False
        for key in reversed(self._keys):
            start = self._start_of(key)
            if start != self._next and self._run(start)[1]:
                self._count_pictures(start, "skipped")
                self._skip_to(start)
                return True
        return False

    def _start_of(self, number: int) -> int:
        """The first packet of a key frame: parameter sets may stand before the packet that marks it."""
        timestamp = self._packets[number].timestamp
        while (before := self._packets.get(number - 1)) is not None and before.timestamp == timestamp:
            number -= 1
        return number

    def _skip_to(self, number: int) -> None:
        """Everything below `number` is given up."""
        for old in [old for old in self._packets if old < number]:
            self._octets -= len(self._packets.pop(old).data)
        self._keys = [key for key in self._keys if key >= number]
        self._next = self._scan = number
        self._begun = True
        self.missing.forget_below(number)
        self._waiting_since = INFINITE

    def _count_pictures(self, below: int, reason: str) -> None:
        """Counts the pictures that end in what is held below `below`."""
        count = sum(1 for number, packet in self._packets.items() if packet.marker and number < below)
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def _abandon(self, reason: str) -> None:
        """Gives up all that is held, but for a key frame on its way."""
        start = self._start_of(self._keys[-1]) if self._keys else self._highest + 1
        if start == self._next:
            start = self._highest + 1
        self._count_pictures(start, reason)
        self._skip_to(start)
        self._synced = False
        self._want_key = True

    # time ------------------------------------------------------------------------------------------

    def poll(self, now: float) -> Actions:
        """What is to be done now."""
        actions = Actions()
        if self._next is None:
            return actions
        self._give_up(now)
        actions.frames = self._advance(now)
        actions.nacks = [number & 0xFFFF for number in self.missing.due(now)]
        if self._tail_due <= now:
            self._tail_tries += 1
            actions.nacks.append((self._highest + 1) & 0xFFFF)
            self.missing.expect(self._highest + 1, now)
        if self._pli_due <= now:
            self._last_pli = now
            self.plis += 1
            actions.pli = True
        self._schedule(now)
        return actions

    def _give_up(self, now: float) -> None:
        """The gap in the way has been there too long."""
        if now < self.missing.oldest + self.deadline:
            return
        if not self._synced:  # nothing before the next key frame is of use: go past the gap
            self._pass_gap()
        elif self._waiting_since == INFINITE:
            self.given_up += 1
            self._waiting_since = now
            self._want_key = True
        elif now >= self._waiting_since + HOLD:
            self._abandon("skipped")

    def _pass_gap(self) -> None:
        behind = [number for number, packet in self._packets.items() if packet.starts and number > self._scan]
        start = min(behind, default=self._highest + 1)
        self._count_pictures(start, "undecodable")
        self._skip_to(start)
        self._want_key = True

    @property
    def _tail_due(self) -> float:
        """When to ask for the packet after the highest, because the picture that it should end stays unfinished."""
        packet = self._packets.get(self._highest)
        if packet is None or packet.marker or not packet.data or self._tail_tries >= TAIL_TRIES:
            return INFINITE
        wait = max(TAIL, 2 * self.missing.wait, 1.5 * self._spacing)
        return self._last_arrival + wait * (self._tail_tries + 1)

    @property
    def _pli_due(self) -> float:
        if not self._want_key:
            return INFINITE
        due = self._last_pli + (REFUSED_INTERVAL if self._refused else max(PLI_INTERVAL, self.missing.rtt or 0.0))
        if self._keys:  # one is on its way
            begun = self._packets[self._keys[-1]].arrived
            due = max(due, min(self._last_arrival, begun + 3 * KEYFRAME_PAUSE) + KEYFRAME_PAUSE)
        return due

    def _schedule(self, now: float) -> None:
        due = min(self._tail_due, self._pli_due)
        if not self._begun and now < self._begins:
            due = min(due, self._begins)
        if self.missing:
            oldest = self.missing.oldest
            limit = oldest + self.deadline if self._waiting_since == INFINITE else self._waiting_since + HOLD
            due = min(due, self.missing.next_due, limit)
            if self._keys and oldest + self.missing.wait > now:
                due = min(due, oldest + self.missing.wait)
        self.wakeup = due

    def request_keyframe(self, now: float) -> None:
        """The decoder lost its thread: nothing is of use before the next key frame, which is asked for."""
        self._synced = False
        self._want_key = True
        self._schedule(now)

    # numbers ---------------------------------------------------------------------------------------

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def _drop_packet(self, reason: str) -> None:
        self.dropped_packets[reason] = self.dropped_packets.get(reason, 0) + 1

    @property
    def depth(self) -> float:
        """s between the oldest and the newest packet held."""
        if not self._packets:
            return 0.0
        return self._last_arrival - min(packet.arrived for packet in self._packets.values())

    def stats(self) -> dict[str, object]:
        return {
            "frames": self.frames, "packets_held": len(self._packets), "depth_ms": round(self.depth * 1000, 1),
            "nacks": self.missing.asked, "needless_nacks": self.missing.needless, "plis": self.plis,
            "given_up": self.given_up, "dropped": dict(self.dropped), "dropped_packets": dict(self.dropped_packets),
            "overtaking_ms": round(self.missing.wait * 1000, 1),
            "rtt_ms": None if self.missing.rtt is None else round(self.missing.rtt * 1000, 1),
        }
