"""What a key frame says about itself before anything is decoded: 112 KB of VP8 can unpack to over 300 MB."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidMedia


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture that will be decoded, in px."""

    width: int = 1920
    height: int = 1920

    def check(self, width: int, height: int) -> None:
        """Raises `InvalidMedia` (reason "picture_size")."""
        if not 2 <= width <= self.width or not 2 <= height <= self.height:
            raise InvalidMedia(f"a picture of {width}x{height}; between 2x2 and {self.width}x{self.height} is allowed",
                               reason="picture_size", width=width, height=height)


def vp8_header(data: bytes) -> tuple[int, int] | None:
    """Width and height from a VP8 key frame (RFC 6386 9.1), None for a delta. Raises `InvalidMedia`."""
    if not data:
        raise InvalidMedia("an empty VP8 frame", reason="empty")
    if data[0] & 1:
        if len(data) < 4:
            raise InvalidMedia("a VP8 frame cut short", reason="garbage")
        return None
    if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
        raise InvalidMedia("not a VP8 key frame", reason="garbage")
    return (data[6] | data[7] << 8) & 0x3FFF, (data[8] | data[9] << 8) & 0x3FFF


def nal_units(data: bytes) -> list[tuple[int, int]]:
    """Start and end of each NAL unit in an Annex B stream, start codes left out (ITU-T H.264 annex B)."""
    starts: list[int] = []
    position = data.find(b"\0\0\1")
    while position >= 0:
        starts.append(position + 3)
        position = data.find(b"\0\0\1", position + 3)
    units = []
    for start, following in zip(starts, [*starts[1:], len(data) + 3], strict=False):
        end = following - 3
        while end > start and data[end - 1] == 0:
            end -= 1  # the long start code's zero, or trailing zeros
        if end > start:
            units.append((start, end))
    return units


SLICE, IDR, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9  # nal_unit_type


def h264_header(data: bytes) -> tuple[bool, list[tuple[int, int]]]:
    """Whether an access unit has an IDR slice, and the width and height of every SPS in it.

    Raises `InvalidMedia` when there is no NAL unit or an SPS makes no sense.
    """
    if not data:
        raise InvalidMedia("an empty H264 access unit", reason="empty")
    units = nal_units(data)
    if not units:
        raise InvalidMedia("no NAL unit in an H264 access unit", reason="garbage")
    kinds = [data[start] & 0x1F for start, _ in units]
    sizes = [sps_size(data[start:end]) for kind, (start, end) in zip(kinds, units, strict=True) if kind == SPS]
    return IDR in kinds, sizes


class _Bits:
    """Reads Exp-Golomb codes (ITU-T H.264 9.1) from a NAL unit."""

    def __init__(self, unit: bytes) -> None:
        payload = unit.replace(b"\0\0\3", b"\0\0")  # emulation prevention
        self._value = int.from_bytes(payload, "big")
        self._left = len(payload) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise InvalidMedia("an H264 parameter set cut short", reason="garbage")
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise InvalidMedia("a damaged H264 parameter set", reason="garbage")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)


def sps_size(unit: bytes) -> tuple[int, int]:
    """Coded width and height, before cropping, of a sequence parameter set (ITU-T H.264 7.3.2.1.1)."""
    bits = _Bits(unit[:256])
    bits.take(8)
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.ue()  # seq_parameter_set_id
    if profile in HIGH_PROFILES:
        _skip_high_profile(bits)
    bits.ue()  # log2_max_frame_num_minus4
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.take(1)
    width = (bits.ue() + 1) * 16
    units = bits.ue() + 1
    frames_only = bits.take(1)
    return width, units * 16 * (2 - frames_only)


def _skip_high_profile(bits: _Bits) -> None:
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)
    bits.ue()
    bits.ue()
    bits.take(1)
    if not bits.take(1):
        return
    for index in range(8 if chroma != 3 else 12):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) & 0xFF
            last = following or last
