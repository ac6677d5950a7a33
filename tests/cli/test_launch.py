"""What a server is not started with: a sentence says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import here


@pytest.mark.parametrize(("name", "value", "told"), [
    ("DATABASE", "mysql://host/name", "there are: sqlite, postgresql"),
    ("DATABASE", "postgresql://me:secret@127.0.0.1:1/name", "can't be opened"),
    ("DATA_DIR", "/proc/nothing", "can't be made"),
], ids=["kind", "nobody there", "no folder"])
def test_a_database_that_can_not_be_used(name: str, value: str, told: str, tmp_path: Path) -> None:
    done = here("serve", "--port", "0", **{"AIMASS_DATA_DIR": str(tmp_path), f"AIMASS_{name}": value})
    said = " ".join(done.err.replace("│", " ").split())
    assert (done.code, told in said) == (2, True), done
    assert "AIMASS_DATABASE" in said
    assert "secret" not in said
