"""RTP payloads of video: VP8 (RFC 7741) and H264 (RFC 6184, packetization mode 1), taken apart and made."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ...codecs.headers import DELIMITER, IDR, SEI, SLICE, SPS, nal_units
from ...errors import InvalidMedia

LARGEST = 1200  # bytes of one payload: with RTP, SRTP and the longest of IP's headers it stays below 1280

START_CODE = b"\0\0\0\1"
STAP_A, FU_A = 24, 28  # RFC 6184 5.2


class Piece(NamedTuple):
    """What one packet holds of a picture."""

    data: bytes  # joined with its neighbours it is what a decoder takes; b"" for padding
    starts: bool  # a picture begins here
    keyframe: bool  # ... one that needs no other


PADDING = Piece(b"", False, False)
_CUT_SHORT = "a payload cut short"


def vp8_piece(payload: bytes) -> Piece:
    """Strips the payload descriptor (RFC 7741 4.2). Raises `InvalidMedia`."""
    if not payload:
        return PADDING
    size = len(payload)
    first = payload[0]
    at = 1
    if first & 0x80:
        if size < 2:
            raise InvalidMedia(_CUT_SHORT, reason="garbage")
        extensions = payload[1]
        at = 2
        if extensions & 0x80:  # picture id, of one or two bytes
            at += 2 if size > 2 and payload[2] & 0x80 else 1
        at += (extensions >> 6 & 1) + (1 if extensions & 0x30 else 0)
    if at >= size:
        raise InvalidMedia(_CUT_SHORT, reason="garbage")
    starts = first & 0x17 == 0x10  # S set, partition 0
    return Piece(payload[at:], starts, starts and not payload[at] & 1)


def h264_piece(payload: bytes) -> Piece:
    """NAL units with start codes from a single, a STAP-A or an FU-A packet. Raises `InvalidMedia`."""
    if not payload:
        return PADDING
    kind = payload[0] & 0x1F
    if kind == FU_A:
        if len(payload) < 3:
            raise InvalidMedia(_CUT_SHORT, reason="garbage")
        if not payload[1] & 0x80:
            return Piece(payload[2:], False, False)
        unit = bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)) + payload[2:]
        return Piece(START_CODE + unit, *_begins(unit))
    if kind == STAP_A:
        units = _aggregated(payload)
        begins = [_begins(unit) for unit in units]
        return Piece(b"".join(START_CODE + unit for unit in units), begins[0][0], any(key for _, key in begins))
    if 1 <= kind < STAP_A:
        return Piece(START_CODE + payload, *_begins(payload))
    raise InvalidMedia(f"H264 packets of type {kind} were not negotiated", reason="garbage")


def _aggregated(payload: bytes) -> list[bytes]:
    units = []
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if not unit or len(unit) != size:
            raise InvalidMedia(_CUT_SHORT, reason="garbage")
        units.append(unit)
        at += 2 + size
    if not units:
        raise InvalidMedia(_CUT_SHORT, reason="garbage")
    return units


def _begins(unit: bytes) -> tuple[bool, bool]:
    """Whether a picture begins with this NAL unit, and whether that is a key frame."""
    kind = unit[0] & 0x1F
    if kind in (SLICE, IDR):
        first = len(unit) > 1 and unit[1] & 0x80 != 0  # first_mb_in_slice is 0, coded as a single 1
        return first, first and kind == IDR
    return kind in (SPS, SEI, DELIMITER), kind == SPS


Depayloader: TypeAlias = Callable[[bytes], Piece]
DEPAYLOADERS: dict[str, Depayloader] = {"VP8": vp8_piece, "H264": h264_piece}


def vp8_payloads(data: bytes, picture_id: int) -> list[bytes]:
    """One frame as packets of nearly equal size; `picture_id` has 15 bits (RFC 7741 4.2)."""
    id_bytes = bytes((0x80, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF))
    count = -(-len(data) // (LARGEST - 4))
    size = -(-len(data) // count) if count else 1
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return [(b"\x80" if index else b"\x90") + id_bytes + piece for index, piece in enumerate(pieces)]


def h264_payloads(data: bytes) -> list[bytes]:
    """One access unit in Annex B as packets: small NAL units together (5.7.1), large ones in fragments (5.8)."""
    payloads: list[bytes] = []
    gathered: list[bytes] = []
    room = LARGEST - 1
    for start, end in nal_units(data):
        unit = data[start:end]
        if len(unit) + 2 > room and gathered:
            payloads.append(_aggregate(gathered))
            gathered, room = [], LARGEST - 1
        if len(unit) > LARGEST:
            payloads += _fragments(unit)
        else:
            gathered.append(unit)
            room -= 2 + len(unit)
    if gathered:
        payloads.append(_aggregate(gathered))
    return payloads


def _aggregate(units: list[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    header = STAP_A | max(unit[0] & 0x60 for unit in units)  # the highest NRI of them
    return bytes((header,)) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _fragments(unit: bytes) -> list[bytes]:
    body = len(unit) - 1
    count = -(-body // (LARGEST - 2))
    size = -(-body // count)
    indicator, kind = unit[0] & 0xE0 | FU_A, unit[0] & 0x1F
    fragments = []
    for at in range(1, len(unit), size):
        flags = 0x80 if at == 1 else 0x40 if at + size >= len(unit) else 0
        fragments.append(bytes((indicator, flags | kind)) + unit[at : at + size])
    return fragments
