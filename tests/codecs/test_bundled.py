"""The libraries inside PyAV's wheel are where and what we think they are. When one of these fails, PyAV moved:
the message says what, and the fallbacks of `codecs` are in use until it is looked at."""

from __future__ import annotations

import av
import pytest

from aimass_stream import codecs
from aimass_stream.codecs import bundled, opus, vpx, x264
from aimass_stream.codecs.vpx_pyav import PyavVp8Encoder
from aimass_stream.codecs.x264 import H264Encoder
from aimass_stream.errors import Unavailable

from .test_video import frame


@pytest.mark.parametrize("name", ["vpx", "opus", "avutil", "avcodec"])
def test_libraries_are_found(name: str) -> None:
    path = bundled.find(name)
    assert path is not None, f"PyAV {av.__version__} brings no lib{name}"
    assert f"lib{name}" in path.name


def test_a_missing_library_is_named() -> None:
    with pytest.raises(Unavailable, match="libnothing"):
        bundled.load("nothing")


def test_libvpx_is_laid_out_as_we_think() -> None:
    assert vpx.check() == ""


def test_libopus_has_what_we_call() -> None:
    assert opus.check() == ""


def test_the_codec_context_is_where_we_think() -> None:
    assert x264.check() == ""


def test_there_is_nothing_to_complain_about() -> None:
    assert codecs.problems() == []


def test_without_it_h264_climbs_a_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x264, "POINTER_OFFSET", 16)  # the method table: no AVCodecContext
    assert ladder_keys(H264Encoder(600_000)) == [0, 20, 80]


def test_without_libvpx_vp8_climbs_a_ladder() -> None:
    assert ladder_keys(PyavVp8Encoder(600_000)) == [0, 20, 80]


def ladder_keys(encoder: H264Encoder | PyavVp8Encoder) -> list[int]:
    keys = []
    for number in range(100):
        encoder.bitrate = {10: 650_000, 20: 300_000, 50: 900_000}.get(number, encoder.bitrate)
        encoded = encoder.encode(frame(number, 176, 144))
        if encoded is not None and encoded.keyframe:
            keys.append(number)
    return keys  # 650 kbit/s is no step; 900 come within 2 s of the step to 300, and have to wait for picture 80
