"""The setting `origins`: what is no origin would be allowed to nobody, in silence."""

from __future__ import annotations

import pytest

from aimass_stream.settings import EXTENSION

from .support.options import settings


def test_they_are_kept_as_browsers_write_them() -> None:
    given = f"http://localhost:9801/, https://EXAMPLE.com,https://shop.example:443,http://[::1]:9801, {EXTENSION}"
    kept = ["http://localhost:9801", "https://example.com", "https://shop.example", "http://[::1]:9801", EXTENSION]
    made = settings(origins=given)
    assert made.origins == kept
    assert all(made.allows_origin(each, "127.0.0.1:8000") for each in kept)
    assert not made.allows_origin("https://example.org", "127.0.0.1:8000")


@pytest.mark.parametrize("wrong", [
    "localhost:9801", "*", "null", "https://*.example", "https://example.com/help", "https://example.com//", "file:///",
    "https://ada@example.com", "https://example.com; script-src *", "chrome-extension://short", "http://", "http://a:b"])
def test_what_is_no_origin_is_refused_with_a_sentence(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no web origin; give each as http") as told:
        settings(origins=["http://localhost:9000", wrong])
    assert wrong in str(told.value)
