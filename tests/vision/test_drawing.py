from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.vision.drawing import COLOURS, marked
from aimass_stream.vision.overlay import Mark


@pytest.mark.parametrize(("width", "height"), [(321, 241), (1, 1), (2, 900), (900, 3)])
def test_marks_in_pictures_of_any_size(width: int, height: int) -> None:
    before = np.full((height, width, 3), 128, np.uint8)
    marks = [Mark((-50, -50, 5, 5), "person 98 %"), Mark((0, 0, width, height), "猫", 3),
             Mark((width - 2, height - 2, width + 90, height + 90), "x" * 900 + "\n\0\ud800", 11,
                  ((0, 0), (width + 5, -7)), ((0, 1),), framed=False)]
    after = marked(before, marks)
    assert after.shape == before.shape
    assert (before == 128).all()


def test_a_box_is_drawn_where_it_is_and_nothing_else_changes() -> None:
    before = np.full((241, 321, 3), 128, np.uint8)
    after = marked(before, [Mark((100, 60, 200, 160), colour=2)])
    assert after[110, 100].tolist() == list(COLOURS[2][::-1])  # BGR
    rows, columns = np.nonzero((after != 128).any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (60, 160, 100, 200)
    assert (after[64:157, 104:197] == 128).all()


def test_letters_stand_above_the_box_where_there_is_room() -> None:
    before = np.full((240, 320, 3), 128, np.uint8)
    plain, labelled = (marked(before, [Mark((100, 60, 200, 160), text)]) for text in ("", "Gesicht 98 %"))
    rows, _ = np.nonzero((plain != labelled).any(axis=2))
    assert len(rows) > 100
    assert rows.min() > 30
    assert rows.max() <= 62
    high = marked(before, [Mark((100, 2, 200, 160), "Gesicht")])
    assert np.nonzero((high != 128).any(axis=2))[0].min() == 2
