"""Sizes are read from key frames before anything is decoded."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.codecs.headers import Limits, h264_header, nal_units, sps_size, vp8_header
from aimass_stream.errors import InvalidMedia
from tests.support.refusals import outcome


def vp8_key(width: int, height: int) -> bytes:
    return b"\x10\x00\x00\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")


def h264_stream(width: int, height: int, profile: str = "Baseline", **options: str) -> bytes:
    """One key frame from x264 itself."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuv420p", Fraction(1, 30)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", **options}
    codec.profile = profile
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in codec.encode(frame))


def test_size_of_a_vp8_key_frame() -> None:
    assert vp8_header(vp8_key(640, 480)) == (640, 480)
    # the two highest bits are how to scale the picture up
    assert vp8_header(vp8_key(640 | 0xC000, 480 | 0x4000)) == (640, 480)
    assert vp8_header(b"\x11\x00\x00\x00") is None


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "empty"), (b"\x10", "garbage"), (b"\x10\x00\x00\x9d\x01\x2b\x80\x02\xe0\x01", "garbage"),
    (b"\x11\x00", "garbage"),
])
def test_what_is_no_vp8_frame_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidMedia) as raised:
        vp8_header(data)
    assert raised.value.data["reason"] == reason


@pytest.mark.parametrize(("width", "height"), [(8192, 8192), (1921, 16), (16, 1921), (0, 480), (640, 0)])
def test_limits_refuse(width: int, height: int) -> None:
    with pytest.raises(InvalidMedia) as raised:
        Limits(1920, 1920).check(width, height)
    assert raised.value.data["reason"] == "picture_size"


@pytest.mark.parametrize("profile", ["Baseline", "Main", "High"])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (176, 144)])
def test_size_of_an_h264_key_frame(profile: str, width: int, height: int) -> None:
    idr, sizes = h264_header(h264_stream(width, height, profile))
    assert idr
    assert sizes == [(-(-width // 16) * 16, -(-height // 16) * 16)]


def test_size_of_an_interlaced_h264_picture() -> None:
    _, sizes = h264_header(h264_stream(720, 576, "Main", x264opts="interlaced=1"))
    assert sizes == [(720, 576)]


def test_nal_units_with_long_and_short_start_codes() -> None:
    data = b"\0\0\0\1\x67ab\0\0\1\x68c\0\0\0\1\x65d\0"
    assert [data[start:end] for start, end in nal_units(data)] == [b"\x67ab", b"\x68c", b"\x65d"]


@pytest.mark.parametrize("data", [b"", b"garbage", b"\0\0\1", b"\0\0\1\x67"])
def test_what_is_no_access_unit_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMedia):
        h264_header(data)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parsers(data: bytes) -> None:
    for parse in (vp8_header, h264_header, lambda unit: sps_size(b"\x67" + unit)):
        assert outcome(lambda parse=parse: parse(data)) in ("fine", "empty", "garbage")  # type: ignore[misc]
