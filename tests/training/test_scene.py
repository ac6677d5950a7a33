"""What samples of styles are painted from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from aimass_stream.clips import draw, read_number
from aimass_stream.training.scene import pixels, scene

SAMPLES = sorted((Path(__file__).parents[2] / "models").glob("style-*/sample.jpg"))


def test_the_same_at_every_size_and_with_texture_everywhere() -> None:
    small, large = scene(160, 120), scene(640, 480)
    assert (small.shape, large.shape) == ((120, 160, 3), (480, 640, 3))
    assert np.array_equal(small, scene(160, 120))
    assert np.abs(cv2.resize(large, (160, 120), interpolation=cv2.INTER_AREA) - small).mean() < 0.1
    fine = np.abs(large - cv2.GaussianBlur(large, (0, 0), 2)).mean(axis=2)
    assert np.quantile(cv2.blur(fine, (60, 60)), 0.02) > 0.002
    assert read_number(pixels(320, 240)) is None


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.parent.name)
def test_no_sample_shows_the_marks_of_the_tests_scene(path: Path) -> None:
    found = cv2.imread(str(path))
    assert found is not None
    shown = np.asarray(found, np.uint8)
    # that of any style shows styles beside what was painted so, twice over
    parts = [shown] if shown.shape[1] == 320 else [shown[240:, left : left + 320] for left in (240, 800)]
    assert [read_number(np.ascontiguousarray(part)) for part in parts] == [None] * len(parts)
    assert read_number(draw(40, 320, 240)) == 40
