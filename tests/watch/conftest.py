"""The same tests on each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new database can be."""
    return tmp_path / "kept.db" if request.param == "sqlite" else postgres.emptied()
