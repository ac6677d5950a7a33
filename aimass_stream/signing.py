"""Signatures of what is sent to other programs: the symmetric scheme of the Standard Webhooks specification (1.0.0)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

SECRET = "whsec_"
BYTES = (24, 64)  # of a secret


def key_of(secret: str) -> bytes:
    """The bytes behind ``whsec_...``. Raises `ValueError`."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET), validate=True)
    except binascii.Error:
        key = b""
    if not BYTES[0] <= len(key) <= BYTES[1]:
        raise ValueError(f"a webhook's secret is {SECRET} and the base64 of {BYTES[0]} to {BYTES[1]} random bytes")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
