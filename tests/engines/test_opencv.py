"""OpenCV's own finders as models: what a manifest can get wrong. What they find is in tests/seeing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aimass_stream.engines import ENGINES
from aimass_stream.engines.opencv import OpenCvFinder
from aimass_stream.errors import InvalidInput
from aimass_stream.inference import CpuDevice, installed
from aimass_stream.inference.loader import _engine


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def test_the_table_leads_to_the_engine() -> None:
    assert _engine(ENGINES["opencv"]) is OpenCvFinder


@pytest.mark.parametrize(("options", "told"), [
    ({}, "finder must be one of cascade, people, codes"),
    ({"finder": "dragons"}, "finder must be one of"),
    ({"finder": "cascade"}, "carries no cascade"),
    ({"finder": "cascade", "file": "haarcascade_dragon.xml"}, "carries no cascade haarcascade_dragon.xml"),
    ({"finder": "cascade", "file": "../__init__.py"}, "carries no cascade"),
    ({"finder": "cascade", "file": "/etc/passwd"}, "carries no cascade"),
])
def test_a_finder_that_opencv_does_not_have(device: CpuDevice, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        OpenCvFinder(replace(installed().get("opencv-faces"), options=options), device)


@pytest.mark.parametrize("name", ["opencv-faces", "opencv-people", "opencv-codes"])
def test_outputs_have_the_shapes_of_the_manifest_with_and_without_a_find(device: CpuDevice, name: str) -> None:
    model = installed().open(name, device)
    for picture in (np.zeros((240, 320), np.uint8), np.random.default_rng(2).integers(0, 255, (240, 320), np.uint8)):
        answer = model.run({"picture": picture})
        count = len(answer["scores"])
        assert answer["boxes"].shape == (count, 4)
        assert len(answer["points"]) == count
        assert answer["boxes"].dtype == answer["scores"].dtype == np.float32
    model.close()
