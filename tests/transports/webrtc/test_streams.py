"""An outbound and an inbound stream joined by a wire in memory: retransmission, reports, feedback."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from aiortc import rtp as rtcp

from aimass_stream.transports.webrtc import rtp
from aimass_stream.transports.webrtc.estimate import Estimator
from aimass_stream.transports.webrtc.formats import Format, Formats
from aimass_stream.transports.webrtc.inbound import Inbound
from aimass_stream.transports.webrtc.outbound import Outbound, Report

VP8 = Format(96, "VP8", 90_000, rtx=97)
OPUS = Format(111, "opus", 48_000)


class Wire:
    """Both ends of one stream; `lose` says which packets (counted from 0) get lost."""

    def __init__(self, form: Format, lose: Callable[[int], bool] = lambda number: False) -> None:
        kind = "audio" if form.name == "opus" else "video"
        self.outbound, self.inbound = Outbound(kind), Inbound(kind)
        self.sent: list[bytes] = []
        self.feedback: list[bytes] = []
        self.delivered: list[tuple[int, int, bool, bytes]] = []
        self.lose = lose
        self.now = 100.0
        self.inbound.deliver = lambda form, number, timestamp, marker, payload, at: self.delivered.append(
            (number, timestamp, marker, payload))
        self.outbound.open(Formats((form,), mid="0", mid_id=1, send_time_id=3), "cname", self._carry)
        self.inbound.rtcp_ssrc = 77
        self.inbound.open(Formats((form,), mid="0", mid_id=1, send_time_id=3), self._answer)

    def _carry(self, packet: bytes) -> bool:
        self.sent.append(packet)
        if not self.lose(len(self.sent) - 1):
            _, second, sequence, timestamp, ssrc = rtp.HEADER.unpack_from(packet)
            self.inbound.rtp(packet, second, sequence, timestamp, ssrc, self.now)
        return True

    def _answer(self, packet: bytes) -> bool:
        self.feedback.append(packet)
        for each in rtcp.RtcpPacket.parse(packet):
            if not (isinstance(each, rtcp.RtcpPsfbPacket) and each.fmt == rtcp.RTCP_PSFB_APP):
                self.outbound.feedback(each)
        return True


def test_a_picture_arrives_as_it_was_sent() -> None:
    wire = Wire(VP8)
    assert wire.outbound.send([b"one", b"two", b"three"], 5 << 32 | 900, 1e9) == 3
    assert [(timestamp, marker, payload) for _, timestamp, marker, payload in wire.delivered] == [
        (900, False, b"one"), (900, False, b"two"), (900, True, b"three")]
    first = wire.delivered[0][0]
    assert [number for number, *_ in wire.delivered] == [(first + step) & 0xFFFF for step in range(3)]


def test_sound_has_no_marker() -> None:
    wire = Wire(OPUS)
    wire.outbound.send([b"one"], 960, 1e9)
    assert wire.delivered[0][2] is False


def test_what_is_asked_for_again_comes_by_rtx() -> None:
    wire = Wire(VP8, lose=lambda number: number == 1)
    wire.outbound.send([b"one", b"two", b"three"], 0, 1e9)
    missing = (wire.delivered[0][0] + 1) & 0xFFFF
    wire.inbound.nack([missing])
    assert wire.delivered[-1] == (missing, 0, False, b"two")
    header = rtp.HEADER.unpack_from(wire.sent[-1])
    assert header[1] & 0x7F == 97
    assert header[4] == wire.outbound.rtx_ssrc
    assert wire.outbound.retransmitted == 1
    wire.inbound.nack([(missing + 100) & 0xFFFF])  # never sent
    assert wire.outbound.retransmitted == 1
    assert wire.inbound.stats()["nacks"] == 2


def test_without_rtx_the_packet_itself_comes_again() -> None:
    wire = Wire(OPUS, lose=lambda number: number == 0)
    wire.outbound.send([b"one"], 0, 1e9)
    sequence = rtp.HEADER.unpack_from(wire.sent[0])[2]
    wire.inbound.ssrc = wire.outbound.ssrc
    wire.inbound.nack([sequence])
    assert wire.sent[1] == wire.sent[0]
    assert wire.delivered[-1][3] == b"one"


def test_a_key_frame_is_asked_for() -> None:
    wire = Wire(VP8)
    asked: list[bool] = []
    wire.outbound.on_keyframe_request = lambda: asked.append(True)
    wire.inbound.pli()  # nobody to ask yet
    wire.outbound.send([b"x"], 0, 1e9)
    wire.inbound.pli()
    assert asked == [True]
    assert wire.outbound.keyframe_requests == 1


def test_receiver_reports_tell_loss_and_the_way_there_and_back() -> None:
    wire = Wire(VP8, lose=lambda number: number % 4 == 3)
    for step in range(40):
        wire.now = 100 + step / 30
        wire.outbound.send([b"x"], step * 3000, 1e9 + step / 30)
    told: list[Report] = []
    wire.outbound.on_report = told.append
    compound = rtcp.RtcpPacket.parse(wire.outbound.sender_report([]))
    assert [type(packet).__name__ for packet in compound] == ["RtcpSrPacket", "RtcpSdesPacket"]
    captured = compound[0].sender_info
    assert rtp.from_ntp(captured.ntp_timestamp) - rtp.NTP_EPOCH == pytest.approx(1e9 + 39 / 30, abs=1e-3)
    assert captured.rtp_timestamp == 39 * 3000
    heard: list[tuple[int, int]] = []
    wire.inbound.on_sender_report = lambda ntp, timestamp: heard.append((ntp, timestamp))
    wire.inbound.sender_report(compound[0], 101.5)
    assert heard == [(captured.ntp_timestamp, 39 * 3000)]
    (block,) = wire.inbound.blocks(101.75)
    parsed = rtcp.RtcpReceiverInfo.parse(bytes(block))
    wire.outbound.report(parsed, time.time() + 0.25 + 0.05)
    (report,) = told
    assert report.fraction_lost == pytest.approx(0.23, abs=0.02)
    assert report.lost == 9  # the last of the ten is not known to be lost yet
    assert report.rtt == pytest.approx(0.05, abs=0.02)
    assert report.jitter < 0.001
    (again,) = wire.inbound.blocks(102)
    assert again.fraction_lost == 0  # counts from one report to the next


def test_jitter_is_measured() -> None:
    wire = Wire(OPUS)
    for step in range(400):
        wire.now = 100 + step * 0.02 + (0.01 if step % 2 else 0)
        wire.outbound.send([b"x"], step * 960, 1e9)
    assert wire.inbound.stats()["jitter_ms"] == pytest.approx(10, rel=0.1)


def test_what_was_not_negotiated_or_is_broken_is_counted_and_dropped() -> None:
    wire = Wire(VP8)
    wire.inbound.rtp(rtp.HEADER.pack(0x80, 50, 1, 1, 1) + b"x", 50, 1, 1, 1, 100)
    wire.inbound.rtp(rtp.HEADER.pack(0x90, 96, 1, 1, 1), 96, 1, 1, 1, 100)
    wire.inbound.rtp(rtp.HEADER.pack(0x80, 97, 1, 1, 1) + b"x", 97, 1, 1, 1, 100)  # RTX of one byte
    assert wire.delivered == []
    assert wire.inbound.unknown == 2


def test_another_ssrc_is_a_new_stream_and_streams_are_few() -> None:
    wire = Wire(VP8)
    restarts: list[bool] = []
    wire.inbound.on_restart = lambda: restarts.append(True)
    for ssrc in range(1, 50):
        wire.inbound.rtp(rtp.HEADER.pack(0x80, 96, 1, 1, ssrc) + b"x", 96, 1, 1, ssrc, 100)
    assert len(restarts) == 48
    assert len(wire.inbound.blocks(101)) == 4


def test_the_peer_is_told_how_fast_it_may_send() -> None:
    wire = Wire(VP8)
    wire.inbound.estimator = Estimator(1_000_000, 150_000, 3_000_000)
    for step in range(90):
        wire.now = 100 + step / 30
        wire.outbound.send([bytes(1000)] * 4, step * 3000, 1e9)
    told = [packet for data in wire.feedback for packet in rtcp.RtcpPacket.parse(data)]
    assert told
    bitrate, ssrcs = rtcp.unpack_remb_fci(told[-1].fci)
    assert ssrcs == [wire.outbound.ssrc]
    assert bitrate == pytest.approx(wire.inbound.estimate, rel=0.01)


def test_a_closed_stream_sends_nothing() -> None:
    wire = Wire(VP8)
    wire.outbound.send([b"x"], 0, 1e9)
    assert wire.outbound.goodbye()
    wire.outbound.close()
    wire.inbound.close()
    assert wire.outbound.send([b"x"], 0, 1e9) == 0
    assert wire.outbound.sender_report([]) == b""
    wire.outbound.feedback(rtcp.RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=1, lost=[1]))
    wire.inbound.nack([1])
    wire.inbound.pli()
    assert len(wire.sent) == 1
