"""What every video codec here must do, with real libraries."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from aimass_stream import clips, codecs
from aimass_stream.codecs import EncodedVideo, Limits, VideoEncoder
from aimass_stream.codecs.ladder import Ladder
from aimass_stream.codecs.vpx_pyav import PyavVp8Encoder
from aimass_stream.errors import InvalidInput, InvalidMedia
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, VideoFrame
from tests.support.refusals import outcome

SIZES = Limits(1920, 1920)
CODECS = ["VP8", "H264"]


def frame(number: int, width: int = 320, height: int = 240, *, pts: int | None = None) -> VideoFrame:
    picture = Picture.from_bgr(clips.draw(number, width, height))
    return VideoFrame(pts=number * 3000 if pts is None else pts, time_base=VIDEO_TIME_BASE, track="v", picture=picture)


@pytest.fixture(params=[*CODECS, "VP8 by PyAV"])
def codec(request: pytest.FixtureRequest) -> Iterator[tuple[str, VideoEncoder]]:
    name = str(request.param)
    encoder = PyavVp8Encoder(600_000) if name == "VP8 by PyAV" else codecs.video_encoder(name, 600_000)
    yield name.split()[0], encoder
    encoder.close()


def encode(encoder: VideoEncoder, first: int, last: int, **size: int) -> list[EncodedVideo]:
    encoded = [encoder.encode(frame(number, **size)) for number in range(first, last)]
    return [each for each in encoded if each is not None]


def test_numbers_survive(codec: tuple[str, VideoEncoder]) -> None:
    name, encoder = codec
    decoder = codecs.video_decoder(name, SIZES)
    encoded = encode(encoder, 0, 20)
    assert [each.keyframe for each in encoded] == [True] + [False] * 19
    assert [each.pts for each in encoded] == [number * 3000 for number in range(20)]
    for number, each in enumerate(encoded):
        [picture] = decoder.decode(each.data, each.pts)
        assert (picture.width, picture.height) == (320, 240)
        assert clips.read_number(picture.bgr) == number


def test_a_key_frame_on_request_and_only_then(codec: tuple[str, VideoEncoder]) -> None:
    name, encoder = codec
    keys = [number for number in range(40)
            if (each := encoder.encode(frame(number), keyframe=number == 25)) is not None and each.keyframe]
    assert keys == [0, 25]
    fresh = codecs.video_decoder(name, SIZES)
    encoded = encoder.encode(frame(40), keyframe=True)
    assert encoded is not None
    assert clips.read_number(fresh.decode(encoded.data)[0].bgr) == 40


@pytest.mark.parametrize("name", CODECS)
def test_bitrate_moves_without_a_key_frame(name: str) -> None:
    encoder = codecs.video_encoder(name, 900_000)
    still = encode(encoder, 0, 60, width=640, height=480)
    encoder.bitrate = 250_000
    encode(encoder, 60, 75, width=640, height=480)
    low = encode(encoder, 75, 120, width=640, height=480)
    encoder.bitrate = 1_500_000
    encode(encoder, 120, 135, width=640, height=480)
    high = encode(encoder, 135, 180, width=640, height=480)
    assert not any(each.keyframe for each in still[1:] + low + high)
    assert 0.6 < rate(still[15:]) / 900_000 < 1.3
    assert 0.6 < rate(low) / 250_000 < 1.3
    assert rate(high) > 700_000  # the clip may not need all of it


def rate(encoded: list[EncodedVideo]) -> float:
    """bit/s at 30 pictures a second."""
    return sum(len(each.data) for each in encoded) * 8 * 30 / len(encoded)


def test_a_change_of_size_starts_with_a_key_frame(codec: tuple[str, VideoEncoder]) -> None:
    name, encoder = codec
    decoder = codecs.video_decoder(name, SIZES)
    sizes = [(320, 240), (176, 144), (640, 360), (320, 240), (322, 242), (16, 16)]
    for number, (width, height) in enumerate(size for size in sizes for _ in range(2)):
        encoded = encoder.encode(frame(number, width, height))
        assert encoded is not None
        assert encoded.keyframe == (number % 2 == 0)
        [picture] = decoder.decode(encoded.data)
        assert (picture.width, picture.height) == (width, height)


def test_times_may_step_back_and_leap(codec: tuple[str, VideoEncoder]) -> None:
    _, encoder = codec
    for number, pts in enumerate([0, 3000, 3000, -500, 1 << 40, 5, (1 << 40) + 1, -(1 << 40)]):
        encoded = encoder.encode(frame(number, pts=pts))
        assert encoded is not None
        assert encoded.pts == pts


@pytest.mark.parametrize("name", CODECS)
def test_every_form_of_picture_gives_the_same(name: str) -> None:
    planes = frame(7).picture.i420
    forms = Picture.from_i420(planes), Picture.from_av(Picture.from_i420(planes).av)
    first, second = (codecs.video_encoder(name, 600_000).encode(frame(7).replace(picture=form)) for form in forms)
    assert first == second


@pytest.mark.parametrize("name", CODECS)
def test_bad_input_is_refused_and_the_decoder_lives_on(name: str) -> None:
    encoder = codecs.video_encoder(name, 600_000)
    decoder = codecs.video_decoder(name, SIZES)
    key, delta, *_ = encode(encoder, 0, 3)

    def refused(data: bytes) -> str:
        with pytest.raises(InvalidMedia) as raised:
            decoder.decode(data)
        return str(raised.value.data["reason"])

    assert refused(delta.data) == "no_keyframe"
    assert refused(b"") == "empty"
    assert refused(b"\x10\x00 certainly no picture") == "garbage"
    assert len(decoder.decode(key.data)) == 1
    assert refused(b"") == "empty"
    assert len(decoder.decode(delta.data)) == 1


@pytest.mark.parametrize("name", CODECS)
def test_a_huge_key_frame_is_refused_before_it_is_decoded(name: str) -> None:
    small = codecs.video_decoder(name, Limits(320, 240))
    fits, too_large = (codecs.video_encoder(name, 600_000).encode(frame(1, *size)) for size in ((320, 240), (336, 240)))
    assert fits is not None
    assert too_large is not None
    with pytest.raises(InvalidMedia) as raised:
        small.decode(too_large.data)
    assert raised.value.data["reason"] == "picture_size"
    assert len(small.decode(fits.data)) == 1


@pytest.mark.parametrize("name", CODECS)
def test_damaged_pictures_never_break_the_decoder(name: str) -> None:
    encoded = encode(codecs.video_encoder(name, 600_000), 0, 12)
    decoder = codecs.video_decoder(name, SIZES)
    damage = np.random.default_rng(3)
    for _ in range(15):
        for each in encoded:
            data = bytearray(each.data)
            for at in damage.integers(0, len(data), 3):
                data[at] = damage.integers(256)
            cut = bytes(data[: damage.integers(1, len(data) + 1)])
            assert outcome(lambda cut=cut: decoder.decode(cut)) != "empty"  # type: ignore[misc]
    assert len(decoder.decode(encoded[0].data)) == 1


def test_pictures_stay_when_the_decoder_goes_on(codec: tuple[str, VideoEncoder]) -> None:
    name, encoder = codec
    decoder = codecs.video_decoder(name, SIZES)
    pictures = [decoder.decode(each.data)[0] for each in encode(encoder, 0, 30)]
    decoder.close()
    del decoder
    gc.collect()
    assert [clips.read_number(picture.bgr) for picture in pictures] == list(range(30))


def test_quality_is_what_the_bits_allow() -> None:
    """At 1 Mbit/s a 640x480 picture of the clip keeps over 36 dB in VP8 and 34 in H264."""
    for name, least in (("VP8", 36), ("H264", 34)):
        encoder, decoder = codecs.video_encoder(name, 1_000_000), codecs.video_decoder(name, SIZES)
        noise = []
        for number in range(45):
            source = frame(number, 640, 480)
            encoded = encoder.encode(source)
            assert encoded is not None
            [picture] = decoder.decode(encoded.data)
            noise.append(cv2.PSNR(source.picture.i420[:480], picture.i420[:480]))
        assert np.mean(noise[15:]) > least, name


def test_unknown_codecs_are_named() -> None:
    with pytest.raises(InvalidInput, match="VP7"):
        codecs.video_encoder("VP7", 1)
    with pytest.raises(InvalidInput, match="there are VP8, H264"):
        codecs.video_decoder("AV1", SIZES)


def test_the_ladder_takes_few_steps() -> None:
    ladder = Ladder()
    assert not ladder.step(1000, 1400, 0)
    assert ladder.step(1000, 1500, 0)
    assert not ladder.step(1500, 500, 90_000)
    assert ladder.step(1500, 500, 180_000)
    assert not ladder.step(500, 700, 900_000)
