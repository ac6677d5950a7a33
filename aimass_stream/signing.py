"""Secrets: signatures of what is sent to other programs (the symmetric scheme of the Standard Webhooks specification,
1.0.0), and the keys that files at rest are sealed with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

SECRET = "whsec_"
BYTES = (24, 64)  # of a secret
KEY = 32  # bytes: what seals files at rest


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


def sealing_keys(text: str) -> tuple[bytes, ...]:
    """Keys of 32 bytes, each as base64 or hex, with commas between them. Raises `ValueError`."""
    keys = []
    for each in text.split(","):
        word = each.strip()
        try:
            key = bytes.fromhex(word) if len(word) == 2 * KEY else base64.b64decode(
                word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY:
            raise ValueError(f"a key is the base64 or the hex of {KEY} random bytes, as openssl rand -base64 {KEY} "
                             "prints it")
        keys.append(key)
    return tuple(keys)
