"""Files at rest that only who has the key can read: AES-256-GCM over chunks, as STREAM has it (Hoang, Reyhanitabar,
Rogaway and Vizár 2015, https://eprint.iacr.org/2015/189).

    header: magic (8), id of the key (8), salt (32), bytes of a chunk (4, little endian)
    chunks: cipher text and its tag (16); all but the last have the header's length

Each file has a key of its own, by HKDF-SHA256 of the key and the salt. A chunk's nonce is its number and whether it is
the last one, so that none is left out, moved or cut off unnoticed; the header goes into every tag.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import InvalidInput, Unavailable

MAGIC = b"AIMSEAL1"
HEADER = struct.Struct("<8s8s32sI")
CHUNK, TAG = 1 << 20, 16  # bytes
MOST_CHUNK = 16 << 20
NO_KEY = "set AIMASS_MODEL_KEY to 32 random bytes, as openssl rand -base64 32 prints them"


class Keys:
    """The first one seals, all of them open."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self.all = tuple(keys)
        self._by_id = {key_id(key): key for key in self.all}

    def __bool__(self) -> bool:
        return bool(self.all)

    def current(self) -> bytes:
        """Raises `Unavailable`."""
        if not self.all:
            raise Unavailable(f"there is no key to encrypt with: {NO_KEY}")
        return self.all[0]

    def of(self, number: bytes, name: str) -> bytes:
        """The key with this id. Raises `Unavailable`."""
        if number in self._by_id:
            return self._by_id[number]
        have = "there is none here" if not self.all else f"here is {' and '.join(each.hex() for each in self._by_id)}"
        raise Unavailable(f"{name} is encrypted with the key {number.hex()}, and {have}: AIMASS_MODEL_KEY has to be "
                          "that key", key=number.hex())


def key_id(key: bytes) -> bytes:
    """What names a key, and tells nothing of it."""
    return hashlib.sha256(b"aimass model key\0" + key).digest()[:8]


def is_sealed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def sealed_by(path: Path) -> str:
    """The id of the key that a file is encrypted with, "" for one that is not."""
    with path.open("rb") as file:
        header = file.read(HEADER.size)
    return header[8:16].hex() if header.startswith(MAGIC) else ""


def seal(chunks: Iterable[bytes], target: IO[bytes], key: bytes, size: int = CHUNK) -> None:
    """`chunks` have `size` bytes each, but for the last one."""
    header = HEADER.pack(MAGIC, key_id(key), secrets.token_bytes(32), size)
    cipher = _cipher(key, header)
    target.write(header)
    following = itertools.chain(chunks, [None])
    piece = next(following) or b""  # an empty file is one empty chunk
    for number in itertools.count():
        after = next(following, None)
        target.write(cipher.encrypt(_nonce(number, last=after is None), piece, header))
        if after is None:
            return
        piece = after


def opened(file: IO[bytes], keys: Keys, name: str) -> Iterator[bytes]:
    """The plain chunks. Raises `Unavailable` without the right key, and `InvalidInput` for what is not as it was
    written, at the chunk where that shows."""
    header = file.read(HEADER.size)
    if len(header) != HEADER.size or not header.startswith(MAGIC):
        raise InvalidInput(f"{name} is not encrypted, or its beginning was changed", field="files")
    _, number, _, size = HEADER.unpack(header)
    if not 1 <= size <= MOST_CHUNK:
        raise _changed(name, 0)
    cipher = _cipher(keys.of(number, name), header)
    piece = file.read(size + TAG)
    for place in itertools.count():
        after = file.read(size + TAG)
        try:
            yield cipher.decrypt(_nonce(place, last=not after), piece, header)
        except (InvalidTag, ValueError):
            raise _changed(name, place) from None
        if not after:
            return
        piece = after


def chunks_of(file: IO[bytes], size: int = CHUNK) -> Iterator[bytes]:
    while piece := file.read(size):
        yield piece


def _changed(name: str, place: int) -> InvalidInput:
    return InvalidInput(f"{name} was changed or cut off after it was encrypted: its chunk {place + 1} is not what was "
                        "written", field="files")


def _cipher(key: bytes, header: bytes) -> AESGCM:
    salt = header[16:48]
    return AESGCM(HKDF(SHA256(), 32, salt, b"aimass file").derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
