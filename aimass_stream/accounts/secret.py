"""What secrets look like, and how they are kept: by SHA-256, for they are random enough that nobody guesses them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string

KEY, COOKIE, CONNECT = "aim_", "ase_", "act_"  # how keys, cookies and connect tokens begin,
LINK, FIRST = "inv_", "adm_"  # and what is in links, of people who are invited and of the first admin
NAMED = 8  # characters of a key that name it
ALPHABET = string.ascii_lowercase + string.digits
AT = len(KEY) + NAMED  # of the "_" between name and secret


def made(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def named() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(NAMED))


def key_of(name: str, secret: str) -> str:
    return f"{KEY}{name}_{secret}"


def split(key: str) -> tuple[str, str]:
    """A key's name and its secret; of what is no key, two words that are none."""
    if key[AT:AT + 1] != "_" or not key.startswith(KEY):
        return "", ""
    return key[len(KEY):AT], key[AT + 1:]


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def fits(known: bytes, secret: str) -> bool:
    return hmac.compare_digest(known, hash_of(secret))
