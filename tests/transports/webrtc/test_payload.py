"""RTP payload formats, against packets written out by hand and aiortc's own depayloaders."""

from __future__ import annotations

import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import VpxPayloadDescriptor, vp8_depayload
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.errors import InvalidMedia
from aimass_stream.transports.webrtc.payload import (
    DEPAYLOADERS,
    LARGEST,
    START_CODE,
    Piece,
    h264_payloads,
    h264_piece,
    vp8_payloads,
    vp8_piece,
)
from tests.support.refusals import outcome

KEY, DELTA = b"\x10key", b"\x11delta"


@pytest.mark.parametrize(("descriptor", "starts"), [
    (b"\x10", True),  # S, partition 0
    (b"\x00", False),
    (b"\x11", False),  # S, partition 1
    (b"\x90\x80\x05", True),  # a picture id of 7 bits
    (b"\x90\x80\x85\x01", True),  # of 15
    (b"\x90\xf0\x85\x01\x07\x21", True),  # ... TL0PICIDX, TID and KEYIDX
    (b"\xb0\x20\x21", True),  # a frame nobody refers to; TID alone
    (b"\x80\x40\x07", False),  # TL0PICIDX alone
])
def test_vp8_descriptors(descriptor: bytes, starts: bool) -> None:
    assert vp8_piece(descriptor + KEY) == Piece(KEY, starts, starts)
    assert vp8_piece(descriptor + DELTA) == Piece(DELTA, starts, False)
    assert vp8_depayload(descriptor + KEY) == KEY


@pytest.mark.parametrize("payload", [b"\x10", b"\x90", b"\x90\x80", b"\x90\x80\x05", b"\x90\x80\x85",
                                     b"\x90\xf0\x85\x01"])
def test_vp8_cut_short(payload: bytes) -> None:
    with pytest.raises(InvalidMedia):
        vp8_piece(payload)


@given(st.binary(min_size=1, max_size=9000), st.integers(0, (1 << 15) - 1))
def test_vp8_there_and_back(data: bytes, picture_id: int) -> None:
    payloads = vp8_payloads(data, picture_id)
    pieces = [vp8_piece(payload) for payload in payloads]
    assert b"".join(piece.data for piece in pieces) == data
    assert [piece.starts for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert max(map(len, payloads)) <= LARGEST
    descriptor, rest = VpxPayloadDescriptor.parse(payloads[0])
    assert (descriptor.partition_start, descriptor.partition_id, descriptor.picture_id) == (1, 0, picture_id)
    assert b"".join(map(vp8_depayload, payloads)) == data
    assert rest == pieces[0].data


SPS, PPS = b"\x67\x42\xe0\x1f", b"\x68\xce\x3c"
IDR, SLICE, LATER_SLICE = b"\x65\x88abc", b"\x41\x9aabc", b"\x41\x40abc"


def test_h264_single_units() -> None:
    assert h264_piece(SPS) == Piece(START_CODE + SPS, True, True)
    assert h264_piece(PPS) == Piece(START_CODE + PPS, False, False)
    assert h264_piece(IDR) == Piece(START_CODE + IDR, True, True)
    assert h264_piece(SLICE) == Piece(START_CODE + SLICE, True, False)
    assert h264_piece(LATER_SLICE) == Piece(START_CODE + LATER_SLICE, False, False)


def test_h264_together_and_in_fragments() -> None:
    together = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (SPS, PPS))
    assert h264_piece(together) == Piece(START_CODE + SPS + START_CODE + PPS, True, True)
    assert h264_piece(b"\x7c\x85\x88ab") == Piece(START_CODE + b"\x65\x88ab", True, True)
    assert h264_piece(b"\x7c\x05cd") == Piece(b"cd", False, False)
    assert h264_piece(b"\x7c\x45ef") == Piece(b"ef", False, False)


@pytest.mark.parametrize("payload", [b"\x7c\x85", b"\x78", b"\x78\x00\x05abc", b"\x78\x00\x00", b"\x79abc", b"\x00abc"])
def test_h264_garbage(payload: bytes) -> None:
    with pytest.raises(InvalidMedia):
        h264_piece(payload)


UNITS = st.lists(st.tuples(st.sampled_from([0x67, 0x68, 0x65, 0x41]), st.integers(1, 5000)), min_size=1, max_size=6)


@given(UNITS)
def test_h264_there_and_back(units: list[tuple[int, int]]) -> None:
    data = b"".join(START_CODE + bytes((header,)) + b"\x9a" * size for header, size in units)
    payloads = h264_payloads(data)
    assert b"".join(h264_piece(payload).data for payload in payloads) == data
    assert b"".join(map(h264_depayload, payloads)) == data
    assert max(map(len, payloads)) <= LARGEST


def test_h264_small_units_share_a_packet() -> None:
    [payload] = h264_payloads(START_CODE + SPS + b"\0\0\1" + PPS + START_CODE + IDR)
    assert payload[0] & 0x1F == 24
    assert payload[0] & 0x60 == 0x60


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@given(payload=st.binary(max_size=60))
def test_no_bytes_break_the_depayloaders(codec: str, payload: bytes) -> None:
    assert outcome(lambda: DEPAYLOADERS[codec](payload)) in ("fine", "garbage")


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_an_empty_payload_is_padding(codec: str) -> None:
    assert DEPAYLOADERS[codec](b"") == Piece(b"", False, False)
