"""JPEG pictures: sizes are read before decoding, quality follows the bit rate."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream import clips
from aimass_stream.codecs import Limits, video_decoder, video_encoder
from aimass_stream.codecs.jpeg import jpeg_header
from aimass_stream.errors import InvalidMedia
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, VideoFrame


def drawn(number: int, width: int = 320, height: int = 240) -> VideoFrame:
    return VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                      picture=Picture.from_bgr(clips.draw(number, width, height)))


def test_pictures_come_back_with_their_number_and_colours() -> None:
    encoder, decoder = video_encoder("jpeg", 20_000_000), video_decoder("jpeg", Limits())
    for number in range(5):
        encoded = encoder.encode(drawn(number))
        assert encoded is not None
        assert (encoded.keyframe, encoded.pts) == (True, number * 3000)
        assert jpeg_header(encoded.data) == (320, 240)
        (picture,) = decoder.decode(encoded.data)
        assert clips.read_number(picture.bgr) == number
        assert np.abs(picture.bgr.astype(int) - clips.draw(number, 320, 240)).mean() < 5


def test_quality_follows_the_bit_rate_both_ways() -> None:
    encoder = video_encoder("jpeg", 3_000_000)

    def rate(frames: range) -> float:
        sizes = [len(encoded.data) for number in frames if (encoded := encoder.encode(drawn(number))) is not None]
        return sum(sizes[-10:]) / 10 * 8 * 30

    assert rate(range(60)) < 3_300_000
    encoder.bitrate = 1_200_000
    assert rate(range(60, 120)) < 1_400_000
    encoder.bitrate = 3_000_000
    assert rate(range(120, 240)) > 2_000_000


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_size_of_baseline_and_progressive_pictures(progressive: int) -> None:
    done, data = cv2.imencode(".jpg", clips.draw(1, 200, 100), (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive))
    assert done
    assert jpeg_header(data.tobytes()) == (200, 100)


def test_a_picture_larger_than_allowed_never_reaches_the_decoder() -> None:
    done, data = cv2.imencode(".jpg", clips.draw(1, 200, 100))
    assert done
    huge = bytearray(data.tobytes())
    at = huge.index(b"\xff\xc0")
    huge[at + 5 : at + 9] = struct.pack("!HH", 8192, 8192)
    with pytest.raises(InvalidMedia) as refused:
        video_decoder("jpeg", Limits()).decode(bytes(huge))
    assert refused.value.data["reason"] == "picture_size"


def test_a_turned_camera_does_not_turn_the_pixels() -> None:
    """Exif orientation 6: rotation travels beside the picture here, and never twice."""
    done, data = cv2.imencode(".jpg", clips.draw(1, 200, 100))
    assert done
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    turned = data.tobytes()[:2] + b"\xff\xe1" + struct.pack("!H", len(exif) + 2) + exif + data.tobytes()[2:]
    (picture,) = video_decoder("jpeg", Limits()).decode(turned)
    assert (picture.width, picture.height) == (200, 100)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff",
                                  b"\xff\xd8\xff\xe0\xff\xff" * 9, b"\xff\xd8" + b"\xff" * 500, b"GIF89a" + bytes(40)])
def test_what_is_no_jpeg(data: bytes) -> None:
    with pytest.raises(InvalidMedia) as refused:
        video_decoder("jpeg", Limits()).decode(data)
    assert refused.value.data["reason"] in ("empty", "garbage")


@given(st.binary(max_size=300))
def test_garbage_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(InvalidMedia):
        video_decoder("jpeg", Limits(64, 64)).decode(b"\xff\xd8\xff\xc0" + data[:4] + b"\xff\xff\xff\xff" + data)
