"""One RTP stream that we send (RFC 3550), with retransmission (RFC 4588) and what its receiver reports back."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiortc import rtp as rtcp

from ... import metrics
from . import rtp
from .formats import Format, Formats

NACKS, PLIS = metrics.RTCP.labels("nack", "in"), metrics.RTCP.labels("pli", "in")

HISTORY = 512  # packets kept for retransmission: over a second at 3 Mbit/s
RTT_WEIGHT = 0.15  # of a new round trip in the running mean


@dataclass(frozen=True, slots=True)
class Report:
    """What a receiver says of our stream (RFC 3550 section 6.4.1)."""

    fraction_lost: float  # 0 to 1, since its last report
    lost: int  # packets, in all
    jitter: float  # s
    rtt: float | None  # s


def _ignore(*_: object) -> None:
    return None


class Outbound:
    """Made with the m-section; sends nothing before `open`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.ssrc = secrets.randbits(32)
        self.rtx_ssrc = secrets.randbits(32)
        self.format: Format | None = None
        self.packets = 0
        self.octets = 0
        self.retransmitted = 0
        self.keyframe_requests = 0
        self.rtt: float | None = None  # s
        self.last_report: Report | None = None
        self.on_open: Callable[[], Any] = _ignore
        self.on_keyframe_request: Callable[[], Any] = _ignore
        self.on_report: Callable[[Report], Any] = _ignore
        self.on_estimate: Callable[[int], Any] = _ignore  # bit/s the receiver thinks fit (REMB)
        self._send: Callable[[bytes], bool] | None = None
        self._cname = b""
        # the lower half of the range: a wrap soon after the start upsets SRTP's rollover counting (RFC 3711 3.3.1)
        self._sequence = secrets.randbits(15)
        self._rtx_sequence = secrets.randbits(15)
        self._extensions: dict[int, bytes] = {}
        self._send_time_id = 0
        self._fixed_extensions = b""
        self._history: list[tuple[int, int, int, bytes, bytes] | None] = [None] * HISTORY
        self._ntp = 0
        self._timestamp = 0
        self._last_report_ntp = 0
        self._last_report_at = 0.0

    def open(self, formats: Formats, cname: str, send: Callable[[bytes], bool]) -> None:
        """The way is open: packets go to `send`, in the first of the negotiated formats."""
        self.format = formats.primary
        self._cname = cname.encode()
        self._extensions = {formats.mid_id: formats.mid.encode()} if formats.mid_id and formats.mid else {}
        self._send_time_id = formats.send_time_id
        self._fixed_extensions = rtp.extensions(self._extensions)
        self._send = send
        self.on_open()

    def close(self) -> None:
        self._send = None
        self._history = [None]

    @property
    def is_open(self) -> bool:
        return self._send is not None

    def send(self, payloads: Sequence[bytes], timestamp: int, captured: float) -> int:
        """Send one picture or piece of sound; answers the packets that went out.

        `timestamp`, in the codec's clock, is sent as it is: a client that sees the RTP timestamp of a picture
        (rtpTimestamp in requestVideoFrameCallback) knows its pts, and so the results that belong to it.
        `captured`, seconds since 1970 on the clock common to all our streams, is when the light or sound of it was
        caught: sender reports carry it.
        """
        send, form = self._send, self.format
        if send is None or form is None:
            return 0
        ticks = timestamp & 0xFFFFFFFF
        block = self._fixed_extensions
        if self._send_time_id:
            block = rtp.extensions({self._send_time_id: rtp.send_time(), **self._extensions})
        first = 0x90 if block else 0x80
        sequence, ssrc, pack, history = self._sequence, self.ssrc, rtp.HEADER.pack, self._history
        last = len(payloads) - 1
        for index, payload in enumerate(payloads):
            second = form.payload_type | 0x80 if index == last and self.kind == "video" else form.payload_type
            history[sequence % HISTORY] = (sequence, second, ticks, block, payload)
            send(pack(first, second, sequence, ticks, ssrc) + block + payload)
            self.octets += len(payload)
            sequence = (sequence + 1) & 0xFFFF
        self._sequence = sequence
        self.packets += last + 1
        self._ntp = rtp.ntp(captured)
        self._timestamp = ticks
        return last + 1

    # what comes back -------------------------------------------------------------------------------

    def feedback(self, packet: Any) -> None:
        """A transport or payload feedback message about this stream (RFC 4585, RFC 5104)."""
        if isinstance(packet, rtcp.RtcpRtpfbPacket):
            if packet.fmt == rtcp.RTCP_RTPFB_NACK:
                NACKS.inc(len(packet.lost))
                for sequence in packet.lost[:HISTORY]:
                    self._retransmit(sequence)
        elif packet.fmt in (rtcp.RTCP_PSFB_PLI, rtcp.RTCP_PSFB_FIR):
            PLIS.inc()
            self.keyframe_requests += 1
            self.on_keyframe_request()

    def report(self, block: Any, now: float) -> None:
        """A report block about this stream; `now` in seconds since 1970."""
        if block.dlsr and self._last_report_ntp and block.lsr == (self._last_report_ntp >> 16) & 0xFFFFFFFF:
            trip = now - self._last_report_at - block.dlsr / 65536
            if 0 <= trip < 60:
                self.rtt = trip if self.rtt is None else self.rtt + RTT_WEIGHT * (trip - self.rtt)
        clock = self.format.clock if self.format is not None else 90_000
        self.last_report = Report(block.fraction_lost / 256, block.packets_lost, block.jitter / clock, self.rtt)
        self.on_report(self.last_report)

    def _retransmit(self, sequence: int) -> None:
        kept = self._history[sequence % len(self._history)]
        send, form = self._send, self.format
        if kept is None or kept[0] != sequence or send is None or form is None:
            return
        _, second, ticks, block, payload = kept
        first = 0x90 if block else 0x80
        self.retransmitted += 1
        if form.rtx is None:
            send(rtp.HEADER.pack(first, second, sequence, ticks, self.ssrc) + block + payload)
            return
        header = rtp.HEADER.pack(first, second & 0x80 | form.rtx, self._rtx_sequence, ticks, self.rtx_ssrc)
        send(header + block + struct.pack("!H", sequence) + payload)
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF

    # sender reports --------------------------------------------------------------------------------

    def sender_report(self, blocks: list[Any]) -> bytes:
        """SR with these report blocks and SDES for what was sent so far, b"" before anything was."""
        if self._send is None or not self.packets:
            return b""
        self._last_report_ntp, self._last_report_at = self._ntp, time.time()
        info = rtcp.RtcpSenderInfo(ntp_timestamp=self._ntp, rtp_timestamp=self._timestamp,
                                   packet_count=self.packets & 0xFFFFFFFF, octet_count=self.octets & 0xFFFFFFFF)
        name = rtcp.RtcpSourceInfo(ssrc=self.ssrc, items=[(1, self._cname)])
        report = rtcp.RtcpSrPacket(ssrc=self.ssrc, sender_info=info, reports=blocks)
        return bytes(report) + bytes(rtcp.RtcpSdesPacket(chunks=[name]))

    def stats(self) -> dict[str, Any]:
        report = self.last_report
        return {"packets": self.packets, "bytes": self.octets, "retransmitted": self.retransmitted,
                "keyframe_requests": self.keyframe_requests,
                "fraction_lost": round(report.fraction_lost, 3) if report is not None else None,
                "jitter_ms": round(report.jitter * 1000, 2) if report is not None else None}

    def goodbye(self) -> bytes:
        return bytes(rtcp.RtcpByePacket(sources=[self.ssrc])) if self.packets else b""
