"""Files at rest: they open as they were, and only with their key; whatever is changed in them is noticed."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.signing import sealing_keys
from aimass_stream.store.sealed import HEADER, MAGIC, TAG, Keys, chunks_of, is_sealed, key_id, opened, seal
from tests.support.options import settings

KEY, OTHER = bytes(range(32)), bytes(32)
CHUNK = 64


def closed(content: bytes, key: bytes = KEY) -> bytes:
    made = io.BytesIO()
    seal(chunks_of(io.BytesIO(content), CHUNK), made, key, CHUNK)
    return made.getvalue()


def plain(sealed: bytes, *keys: bytes) -> bytes:
    return b"".join(opened(io.BytesIO(sealed), Keys(keys or (KEY,)), "m.onnx"))


@given(st.integers(0, 4 * CHUNK + 1))
def test_what_was_sealed_opens(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    sealed = closed(content)
    assert plain(sealed) == content
    assert plain(sealed, OTHER, KEY) == content
    chunks = max(1, -(-size // CHUNK))
    assert len(sealed) == HEADER.size + size + TAG * chunks
    assert size < 16 or content[:16] not in sealed


def test_no_two_files_are_alike() -> None:
    assert closed(b"the same") != closed(b"the same")


@given(st.integers(0, len(closed(b"x" * 200)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, flip: int) -> None:
    sealed = bytearray(closed(b"x" * 200))
    sealed[place] ^= flip
    with pytest.raises((InvalidInput, Unavailable)):
        plain(bytes(sealed))


@pytest.mark.parametrize("cut", [1, TAG, CHUNK + TAG, 8 + TAG, 3 * CHUNK])
def test_a_file_that_was_cut_off(cut: int) -> None:
    """Also where it ends with a whole chunk: 200 bytes are three of them, and 8."""
    sealed = closed(b"x" * 200)
    with pytest.raises(InvalidInput, match="changed or cut off"):
        plain(sealed[:-cut])


def test_chunks_that_changed_places_or_files() -> None:
    sealed = closed(b"a" * CHUNK + b"b" * CHUNK + b"c")
    size, begin = CHUNK + TAG, HEADER.size
    first, second = sealed[begin : begin + size], sealed[begin + size : begin + 2 * size]
    with pytest.raises(InvalidInput, match="its chunk 1"):
        plain(sealed[:begin] + second + first + sealed[begin + 2 * size :])
    other = closed(b"d" * CHUNK + b"e" * CHUNK + b"f")
    with pytest.raises(InvalidInput, match="its chunk 2"):
        plain(sealed[: begin + size] + other[begin + size :])
    with pytest.raises(InvalidInput, match="its chunk 4"):
        plain(closed(b"a" * 4 * CHUNK) + b"more of it")


def test_without_the_key() -> None:
    sealed = closed(b"secret")
    with pytest.raises(Unavailable, match=f"with the key {key_id(KEY).hex()}, and here is {key_id(OTHER).hex()}"):
        plain(sealed, OTHER)
    with pytest.raises(Unavailable, match="there is none here: AIMASS_MODEL_KEY"):
        list(opened(io.BytesIO(sealed), Keys(), "m.onnx"))
    with pytest.raises(Unavailable, match="openssl rand -base64 32"):
        Keys().current()


def test_what_is_not_encrypted(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"AIM")
    assert not is_sealed(tmp_path / "plain")
    (tmp_path / "sealed").write_bytes(closed(b""))
    assert is_sealed(tmp_path / "sealed")
    for content in (b"", MAGIC, b"x" * 100):
        with pytest.raises(InvalidInput, match="is not encrypted"):
            plain(content)


def test_keys_are_told_as_base64_or_hex() -> None:
    words = [KEY.hex(), base64.b64encode(OTHER).decode(), base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("=")]
    assert sealing_keys(", ".join(words)) == (KEY, OTHER, b"\xff" * 32)
    assert settings(model_key=words[0]).model_key == words[0]
    for wrong in ("", "short", KEY.hex()[:-2], "no base64 at all!", f"{words[0]},"):
        with pytest.raises(ValueError, match="32 random bytes"):
            sealing_keys(wrong)
    with pytest.raises(ValueError, match="32 random bytes"):
        settings(model_key="short")
