"""RTP packets read and written with as little Python as can be (RFC 3550 section 5.1, RFC 8285).

A session sees some 350 packets a second, so what is done for each of them decides what a session costs.
"""

from __future__ import annotations

import struct
import time

HEADER = struct.Struct("!BBHLL")  # V P X CC, M PT, sequence, timestamp, SSRC
HEADER_SIZE = 12
RTCP_TYPES = range(192, 224)  # second byte of an RTCP packet (RFC 5761 section 4)
LARGEST = 1500  # bytes of a datagram; libsrtp's buffer here is no larger
NTP_EPOCH = 2_208_988_800  # s from 1900 to 1970

ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000


def payload_of(packet: bytes) -> bytes | None:
    """What the packet carries, b"" for one of padding only, None for a packet that is no RTP."""
    size = len(packet)
    if size < HEADER_SIZE:
        return None
    first = packet[0]
    start = HEADER_SIZE + 4 * (first & 15)
    if first & 0x10:
        if size < start + 4:
            return None
        start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
    end = size
    if first & 0x20:
        padding = packet[-1]
        if not padding:
            return None
        end -= padding
    return packet[start:end] if start <= end else None


def extension(packet: bytes, number: int) -> bytes | None:
    """The value of header extension `number` (RFC 8285), None where it isn't."""
    if not packet[0] & 0x10 or number == 0:
        return None
    at = HEADER_SIZE + 4 * (packet[0] & 15)
    if len(packet) < at + 4:
        return None
    profile, words = struct.unpack_from("!HH", packet, at)
    at += 4
    end = min(at + 4 * words, len(packet))
    while at < end:
        if packet[at] == 0:
            at += 1
            continue
        if profile == ONE_BYTE:
            found, length = packet[at] >> 4, (packet[at] & 15) + 1
            at += 1
        elif profile & 0xFFF0 == TWO_BYTE and at + 1 < end:
            found, length = packet[at], packet[at + 1]
            at += 2
        else:
            return None
        if found == number:
            return packet[at : at + length] if at + length <= end else None
        at += length
    return None


def extensions(values: dict[int, bytes]) -> bytes:
    """The extension block of a header, profile and length included; b"" for none. Values have 1 to 16 bytes."""
    body = b"".join(bytes((number << 4 | len(value) - 1,)) + value for number, value in values.items())
    if not body:
        return b""
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", ONE_BYTE, len(body) // 4) + body


def ntp(seconds: float) -> int:
    """Seconds since 1970 as a 64-bit NTP timestamp (RFC 5905 section 6)."""
    return int((seconds + NTP_EPOCH) * (1 << 32))


def from_ntp(timestamp: int) -> float:
    """Seconds since 1900. The epoch is of no matter: all that is done with it is taking differences."""
    return timestamp / (1 << 32)


def send_time() -> bytes:
    """Now as the 24-bit abs-send-time extension: seconds mod 64 in 6.18 fixed point."""
    return (int(time.time() * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big")


class Unwrapper:
    """Counts on where a counter of `bits` bits wraps; steps back are seen as such."""

    __slots__ = ("_half", "_last", "_span")

    def __init__(self, bits: int) -> None:
        self._span = 1 << bits
        self._half = self._span >> 1
        self._last: int | None = None

    def __call__(self, value: int) -> int:
        last = self._last
        if last is None:
            self._last = value
            return value
        step = (value - last) % self._span
        self._last = result = last + (step if step < self._half else step - self._span)
        return result
