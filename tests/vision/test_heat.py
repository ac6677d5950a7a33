"""The map of where things stood, and its painting."""

from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.vision.heat import COLUMNS, MOST, OTHERS, PLAIN, ROWS, Heat, painted

SIZE = (640, 480)


def test_a_place_is_warm_where_somebody_stood() -> None:
    heat = Heat()
    for _ in range(50):
        heat.add("video-0", "person", (160, 360), SIZE, 0.2)
    heat.add("video-0", "dog", (480, 120), SIZE, 0.2)
    assert heat.tracks == ["video-0"]
    assert heat.labels("video-0") == ["dog", "person"]
    everything, people = heat.cells("video-0"), heat.cells("video-0", "person")
    assert everything.shape == (ROWS, COLUMNS)
    assert people[ROWS * 3 // 4, COLUMNS // 4] == pytest.approx(10)
    assert (everything.sum(), people.sum()) == pytest.approx((10.2, 10), rel=1e-3)
    assert not heat.cells("video-1").any()
    made = painted(everything, heat.size("video-0"))
    assert made.shape == (PLAIN * 480 // 640, PLAIN, 3)
    bright = made.astype(int).sum(axis=2)
    assert np.unravel_index(bright.argmax(), bright.shape) == pytest.approx((360, 160), abs=12)
    assert bright[120, 480] > bright[20, 20] + 60  # somebody who only passed can be seen


def test_over_a_picture_it_is_dim_where_nobody_was() -> None:
    heat = Heat()
    heat.add("video-0", "person", (480, 240), SIZE, 1)
    below = np.full((240, 320, 3), 200, np.uint8)
    made = painted(heat.cells("video-0"), SIZE, below)
    assert made.shape == below.shape
    np.testing.assert_allclose(made[:, :160], 90, atol=2)
    assert made[120, 240, 2] > 200  # red at its warmest
    np.testing.assert_array_equal(below, 200)


@pytest.mark.parametrize(("at", "cell"), [((-5, -5), (0, 0)), ((640, 480), (ROWS - 1, COLUMNS - 1)),
                                          ((9999, 0), (0, COLUMNS - 1))])
def test_what_stands_at_the_edge_or_beyond_it(at: tuple[float, float], cell: tuple[int, int]) -> None:
    heat = Heat()
    heat.add("video-0", "person", at, SIZE, 1)
    assert heat.cells("video-0")[cell] == 1


def test_it_is_bounded_and_a_copy_stays_as_it_was() -> None:
    heat = Heat()
    heat.add("video-0", "person", (1, 1), (0, 480), 1)
    assert heat.tracks == []
    for number in range(3 * MOST):
        heat.add("video-0", f"thing {number}", (320, 240), SIZE, 1)
    assert len(heat.labels("video-0")) == MOST
    assert OTHERS not in heat.labels("video-0")
    assert heat.cells("video-0").sum() == 3 * MOST
    copied = heat.copy()
    heat.add("video-0", "thing 0", (320, 240), SIZE, 1)
    assert copied.cells("video-0").sum() == 3 * MOST
    for number in range(200):
        heat.add(f"video-{number}", "person", (320, 240), SIZE, 1)
    assert len(heat.tracks) <= 2 * MOST


@pytest.mark.parametrize("size", [(1, 1), (1, 100_000), (100_000, 1), (640, 480)])
def test_nobody_was_there(size: tuple[int, int]) -> None:
    made = painted(Heat().cells("video-0"), size)
    assert made.shape[1] == PLAIN
    assert 1 <= made.shape[0] <= 4 * PLAIN
    assert made.max() < 20
