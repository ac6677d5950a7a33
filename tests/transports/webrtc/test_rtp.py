"""Reading and writing RTP, checked against aiortc's own."""

from __future__ import annotations

import os
import random

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from aimass_stream.transports.webrtc import rtp
from aimass_stream.transports.webrtc.formats import MID, SEND_TIME


def extensions_map() -> HeaderExtensionsMap:
    known = HeaderExtensionsMap()
    known.configure(RTCRtpParameters(headerExtensions=[
        RTCRtpHeaderExtensionParameters(id=1, uri=MID), RTCRtpHeaderExtensionParameters(id=3, uri=SEND_TIME)]))
    return known


def test_payload_and_extensions_of_a_packet_of_aiortc() -> None:
    packet = RtpPacket(payload_type=96, marker=1, sequence_number=65_535, timestamp=7, ssrc=9, payload=b"hello")
    packet.csrc = [1, 2]
    packet.extensions.mid = "video"
    packet.extensions.abs_send_time = 0x123456
    data = packet.serialize(extensions_map())
    assert rtp.payload_of(data) == b"hello"
    assert rtp.extension(data, 1) == b"video"
    assert rtp.extension(data, 3) == b"\x12\x34\x56"
    assert rtp.extension(data, 2) is None
    assert rtp.extension(data, 0) is None
    assert rtp.HEADER.unpack_from(data)[1:] == (0x80 | 96, 65_535, 7, 9)
    packet.padding_size = 20
    assert rtp.payload_of(packet.serialize(extensions_map())) == b"hello"


def test_aiortc_reads_what_we_write() -> None:
    block = rtp.extensions({3: b"\x00\x01\x02", 1: b"0"})
    data = rtp.HEADER.pack(0x90, 0x80 | 97, 5, 6, 7) + block + b"payload"
    packet = RtpPacket.parse(data, extensions_map())
    assert (packet.payload, packet.marker, packet.payload_type) == (b"payload", 1, 97)
    assert (packet.extensions.mid, packet.extensions.abs_send_time) == ("0", 0x000102)
    assert rtp.extensions({}) == b""


def test_two_byte_extensions() -> None:
    value = b"x" * 20
    block = b"\x10\x00\x00\x06" + bytes((5, 20)) + value + bytes(2)
    data = rtp.HEADER.pack(0x90, 97, 5, 6, 7) + block + b"payload"
    assert rtp.extension(data, 5) == value
    assert rtp.payload_of(data) == b"payload"


@pytest.mark.parametrize("data", [
    b"", b"\x80", bytes(11), b"\x90\x60" + bytes(10), b"\x8f\x60" + bytes(10), b"\xa0\x60" + bytes(10),
    b"\xa0\x60" + bytes(10) + b"\xff", b"\x90\x60" + bytes(10) + b"\xbe\xde\xff\xff"])
def test_what_is_cut_short_is_no_packet(data: bytes) -> None:
    assert rtp.payload_of(data) is None


def test_nonsense_raises_nothing() -> None:
    rng = random.Random(3)
    for _ in range(3000):
        data = bytes((rng.choice((0x80, 0x90, 0xB0, 0xBF)),)) + os.urandom(rng.randint(11, 60))
        payload = rtp.payload_of(data)
        assert payload is None or len(payload) <= len(data) - rtp.HEADER_SIZE
        rtp.extension(data, rng.randint(1, 14))


def test_unwrapping_counts_on_in_both_directions() -> None:
    unwrap = rtp.Unwrapper(16)
    assert [unwrap(value) for value in (65_534, 65_535, 0, 1, 65_535, 2, 40_000)] == [
        65_534, 65_535, 65_536, 65_537, 65_535, 65_538, 40_000]


def test_ntp_time() -> None:
    assert rtp.from_ntp(rtp.ntp(1_000_000_000.25)) == pytest.approx(1_000_000_000.25 + rtp.NTP_EPOCH)
    assert len(rtp.send_time()) == 3
