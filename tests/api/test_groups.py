"""Every route of the interface is in one of its three groups."""

from __future__ import annotations

from pathlib import Path

from aimass_stream.server import create_app
from tests.support.options import settings


def test_each_tag_is_in_one_group(tmp_path: Path) -> None:
    described = create_app(settings(data_dir=tmp_path)).openapi()
    groups = {group["name"]: group["tags"] for group in described["x-tagGroups"]}
    assert list(groups) == ["front", "service", "admin"]
    grouped = [tag for tags in groups.values() for tag in tags]
    assert len(grouped) == len(set(grouped))
    used = [operation.get("tags") for methods in described["paths"].values() for operation in methods.values()]
    assert all(tags and len(tags) == 1 for tags in used)
    assert {tag for tags in used for tag in tags} == set(grouped)
