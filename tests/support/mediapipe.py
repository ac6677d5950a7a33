"""MediaPipe's models, for tests that need the npm packages."""

from __future__ import annotations

import pytest

from aimass_stream.errors import Unavailable
from aimass_stream.inference import installed
from aimass_stream.weights import npm


def needs(*names: str) -> None:
    """Skips the test where npm did not install what these models lie in."""
    for name in names:
        wanted = installed().get(name).npm
        assert wanted is not None
        try:
            npm.read(wanted.package, wanted.version, wanted.path, wanted.member)
        except Unavailable as missing:
            pytest.skip(missing.detail)
