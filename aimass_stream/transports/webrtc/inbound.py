"""One RTP stream that a peer sends us (RFC 3550), and the feedback that we send about it.

Counts what comes for receiver reports, undoes retransmission (RFC 4588), and hands payloads on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiortc import rtp as rtcp

from ... import metrics
from . import rtp
from .estimate import Estimator
from .formats import Format, Formats

NACKS, PLIS = metrics.RTCP.labels("nack", "out"), metrics.RTCP.labels("pli", "out")

MAX_NACK = 128  # sequence numbers in one request
STREAMS = 4  # SSRCs of one m-section that are counted: media, retransmissions, and the same after a restart

Deliver = Callable[[Format, int, int, bool, bytes, float], None]
"""(format, sequence, timestamp, marker, payload, arrived): sequence and timestamp as they are on the wire."""


def _ignore(*_: object) -> None:
    return None


class Counter:
    """What a receiver report says of one SSRC (RFC 3550 sections 6.4.1 and A.3)."""

    __slots__ = ("_expected_before", "_first", "_jitter", "_last_arrival", "_last_timestamp", "_received_before",
                 "_unwrap", "clock", "highest", "last_sr", "last_sr_at", "received")

    def __init__(self, clock: int) -> None:
        self.clock = clock  # Hz
        self.received = 0
        self.highest = -1  # sequence number with its wraps
        self.last_sr = 0  # middle 32 bits of the NTP time in the last sender report
        self.last_sr_at = 0.0  # s, monotonic
        self._unwrap = rtp.Unwrapper(16)
        self._first = 0
        self._jitter = 0.0  # ticks
        self._last_arrival = 0.0
        self._last_timestamp = 0
        self._expected_before = 0
        self._received_before = 0

    def add(self, sequence: int, timestamp: int, now: float) -> None:
        extended = self._unwrap(sequence)
        if not self.received:
            self._first = self.highest = extended
            self._last_arrival, self._last_timestamp = now, timestamp
        elif extended > self.highest:
            self.highest = extended
            if timestamp != self._last_timestamp:
                late = (now - self._last_arrival) * self.clock - (timestamp - self._last_timestamp)
                self._jitter += (min(abs(late), self.clock) - self._jitter) / 16
                self._last_arrival, self._last_timestamp = now, timestamp
        self.received += 1

    @property
    def jitter(self) -> float:
        """s"""
        return self._jitter / self.clock

    @property
    def lost(self) -> int:
        return self.highest - self._first + 1 - self.received if self.received else 0

    def block(self, ssrc: int, now: float) -> Any:
        """A report block; the fraction lost counts from the last call."""
        expected = self.highest - self._first + 1
        of, got = expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = expected, self.received
        fraction = min(255, max(0, ((of - got) << 8) // of)) if of > 0 else 0
        delay = min(int((now - self.last_sr_at) * 65536), 0xFFFFFFFF) if self.last_sr else 0
        return rtcp.RtcpReceiverInfo(
            ssrc=ssrc, fraction_lost=fraction, packets_lost=rtcp.clamp_packets_lost(self.lost),
            highest_sequence=self.highest & 0xFFFFFFFF, jitter=int(self._jitter) & 0xFFFFFFFF, lsr=self.last_sr,
            dlsr=delay)


class Inbound:
    """Made with the m-section; `deliver` gets every payload once it is open, also empty ones (padding)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.formats: Formats | None = None
        self.deliver: Deliver = _ignore
        self.on_sender_report: Callable[[int, int], Any] = _ignore  # NTP time, RTP timestamp
        self.on_restart: Callable[[], Any] = _ignore  # another SSRC goes on: sequence and timestamps start anew
        self.on_goodbye: Callable[[], Any] = _ignore
        self.estimator: Estimator | None = None  # for pictures: says what we ask for
        self.estimate: int | None = None  # bit/s, as last sent
        self.octets = 0
        self.unknown = 0  # packets of a payload type that was not negotiated, or broken
        self.nacks = 0
        self.plis = 0
        self.ssrc: int | None = None  # of the media stream now
        self.rtcp_ssrc = 0  # ours, in what we send about it
        self._send: Callable[[bytes], bool] | None = None
        self._counters: dict[int, Counter] = {}
        self._picture_octets = 0

    def open(self, formats: Formats, send: Callable[[bytes], bool]) -> None:
        self.formats = formats
        self.ssrc = formats.ssrc
        self._send = send

    def close(self) -> None:
        self._send = None
        self.deliver = _ignore

    def rtp(self, packet: bytes, second: int, sequence: int, timestamp: int, ssrc: int, now: float) -> None:
        """A packet whose header was read: `second` is the byte with marker and payload type."""
        formats = self.formats
        known = formats.by_payload_type.get(second & 0x7F) if formats is not None else None
        payload = rtp.payload_of(packet)
        if known is None or payload is None:
            self.unknown += 1
            return
        form, repaired = known
        counter = self._counters.get(ssrc)
        if counter is None:
            counter = self._count(ssrc, form.clock)
        counter.add(sequence, timestamp, now)
        size = len(payload)
        self.octets += size
        if repaired:
            if size < 2:  # padding, sent to probe the way
                return
            sequence = payload[0] << 8 | payload[1]
            payload = payload[2:]
        elif ssrc != self.ssrc:
            if self.ssrc is not None:
                self.on_restart()
            self.ssrc = ssrc
        marker = second > 127
        if self.estimator is not None:
            self._picture_octets += size
            if marker and not repaired:
                self._estimate(packet, ssrc, now)
        self.deliver(form, sequence, timestamp, marker, payload, now)

    def _count(self, ssrc: int, clock: int) -> Counter:
        while len(self._counters) >= STREAMS:
            self._counters.pop(next(iter(self._counters)))
        counter = self._counters[ssrc] = Counter(clock)
        return counter

    # feedback --------------------------------------------------------------------------------------

    def nack(self, missing: Iterable[int]) -> None:
        """Ask again for packets, by sequence number on the wire (RFC 4585 section 6.2.1)."""
        if self._send is None or self.ssrc is None:
            return
        packet = rtcp.RtcpRtpfbPacket(fmt=rtcp.RTCP_RTPFB_NACK, ssrc=self.rtcp_ssrc, media_ssrc=self.ssrc)
        packet.lost = list(missing)[:MAX_NACK]
        if packet.lost:
            self.nacks += len(packet.lost)
            NACKS.inc(len(packet.lost))
            self._send(bytes(packet))

    def pli(self) -> None:
        """Ask for a key frame (RFC 4585 section 6.3.1)."""
        if self._send is not None and self.ssrc is not None:
            self.plis += 1
            PLIS.inc()
            self._send(bytes(rtcp.RtcpPsfbPacket(fmt=rtcp.RTCP_PSFB_PLI, ssrc=self.rtcp_ssrc, media_ssrc=self.ssrc)))

    def _estimate(self, packet: bytes, ssrc: int, now: float) -> None:
        """A picture is whole, or at least its end is here."""
        size, self._picture_octets = self._picture_octets, 0
        formats, send = self.formats, self._send
        if formats is None or send is None or not formats.send_time_id or self.estimator is None:
            return
        sent = rtp.extension(packet, formats.send_time_id)
        answer = self.estimator.add(sent, now, size) if sent is not None and len(sent) == 3 else None
        if answer is not None:
            self.estimate = answer
            send(bytes(rtcp.RtcpPsfbPacket(fmt=rtcp.RTCP_PSFB_APP, ssrc=self.rtcp_ssrc, media_ssrc=0,
                                           fci=rtcp.pack_remb_fci(answer, [ssrc]))))

    def sender_report(self, packet: Any, now: float) -> None:
        """`packet` is an RTCP SR of one of our SSRCs; `now` is monotonic."""
        counter = self._counters.get(packet.ssrc)
        if counter is not None:
            counter.last_sr = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
            counter.last_sr_at = now
        if packet.ssrc == self.ssrc:
            self.on_sender_report(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)

    def blocks(self, now: float) -> list[Any]:
        """Report blocks for all that came; `now` is monotonic."""
        return [counter.block(ssrc, now) for ssrc, counter in self._counters.items()]

    def stats(self) -> dict[str, Any]:
        counter = self._counters.get(self.ssrc) if self.ssrc is not None else None
        return {
            "packets": sum(each.received for each in self._counters.values()), "bytes": self.octets,
            "lost": max(0, counter.lost) if counter is not None else 0,
            "jitter_ms": round(counter.jitter * 1000, 2) if counter is not None else 0.0,
            "nacks": self.nacks, "plis": self.plis, "estimate": self.estimate,
        }
