"""Codecs for live media, one factory: `video_encoder("VP8", bitrate)` and so on.

Every call is synchronous and releases the GIL while it works. A codec belongs to one thread at a time: the
caller runs it in its session's executor (Opus takes about 0.1 ms, and may run anywhere).
"""

from __future__ import annotations

from ..errors import InvalidInput
from . import opus, vpx, x264
from .base import (
    AudioDecoder,
    AudioEncoder,
    EncodedAudio,
    EncodedVideo,
    VideoDecoder,
    VideoEncoder,
)
from .decoders import H264Decoder, Vp8Decoder
from .headers import Limits
from .jpeg import JpegDecoder, JpegEncoder
from .opus import OpusDecoder, OpusEncoder
from .vpx_pyav import PyavVp8Encoder
from .x264 import H264Encoder

__all__ = ["AudioDecoder", "AudioEncoder", "EncodedAudio", "EncodedVideo", "Limits", "VideoDecoder", "VideoEncoder",
           "audio_decoder", "audio_encoder", "problems", "video_decoder", "video_encoder"]

VIDEO = ("VP8", "H264", "JPEG")
AUDIO = ("opus",)


def video_encoder(codec: str, bitrate: int) -> VideoEncoder:
    """`codec` as in SDP, in any case; `bitrate` in bit/s. Raises `InvalidInput`."""
    match codec.upper():
        case "VP8":
            return PyavVp8Encoder(bitrate) if vpx.check() else vpx.Vp8Encoder(bitrate)
        case "H264":
            return H264Encoder(bitrate)
        case "JPEG":
            return JpegEncoder(bitrate)
        case _:
            raise InvalidInput(f"no video codec {codec!r}; there are {', '.join(VIDEO)}")


def video_decoder(codec: str, limits: Limits) -> VideoDecoder:
    """Pictures over `limits` are refused. Raises `InvalidInput`."""
    match codec.upper():
        case "VP8":
            return Vp8Decoder(limits)
        case "H264":
            return H264Decoder(limits)
        case "JPEG":
            return JpegDecoder(limits)
        case _:
            raise InvalidInput(f"no video codec {codec!r}; there are {', '.join(VIDEO)}")


def audio_encoder(codec: str, bitrate: int) -> AudioEncoder:
    """`bitrate` in bit/s. Raises `InvalidInput`."""
    if codec.lower() != "opus":
        raise InvalidInput(f"no audio codec {codec!r}; there are {', '.join(AUDIO)}")
    return OpusEncoder(bitrate)


def audio_decoder(codec: str, channels: int = 1) -> AudioDecoder:
    """`channels` that come out, 1 or 2. Raises `InvalidInput`."""
    if codec.lower() != "opus":
        raise InvalidInput(f"no audio codec {codec!r}; there are {', '.join(AUDIO)}")
    return OpusDecoder(channels)


def problems() -> list[str]:
    """What of the libraries inside PyAV is missing or has moved, in words; empty when all is well."""
    return [problem for problem in (vpx.check(), opus.check(), x264.check()) if problem]
