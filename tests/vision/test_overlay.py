from __future__ import annotations

import numpy as np

from aimass_stream.frames import Picture
from aimass_stream.vision.overlay import PALETTE, Mark, drawn


def grey(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height * 3 // 2, width), 128, np.uint8)


def test_a_box_is_drawn_where_it_is_and_nothing_else_changes() -> None:
    before = grey(320, 240)
    after = drawn(before, [Mark((100, 60, 200, 160), colour=2)])
    assert (before == 128).all()
    luma = after[:240]
    assert luma[110, 100] == PALETTE[2][0]
    assert luma[160, 150] == PALETTE[2][0]
    changed = np.argwhere(luma != 128)
    assert changed.min(axis=0).tolist() >= [57, 97]
    assert changed.max(axis=0).tolist() <= [163, 203]
    assert (luma[64:157, 104:197] == 128).all()
    shown = Picture.from_i420(after).bgr[110, 100].astype(int)
    assert np.ptp(shown) > 60  # it has a colour, not only brightness


def test_what_is_doubtful_is_dashed() -> None:
    box = (100, 60, 200, 160)
    before = grey(320, 240)
    sure, doubtful = (drawn(before, [Mark(box, sure=which)])[:240] != 128 for which in (True, False))
    assert 0.35 * sure.sum() < (sure & doubtful).sum() < 0.75 * sure.sum()
    assert (doubtful & ~sure).sum() < 0.05 * sure.sum()
    for inside in (doubtful[64:156, 104:196], doubtful[:50], doubtful[170:]):
        assert not inside.any()
    assert drawn(before, [Mark((-40, -40, 900, 900), sure=False)]).shape == before.shape


def test_labels_and_points_anywhere_and_of_any_script() -> None:
    for width, height in ((320, 240), (16, 16), (2, 2), (640, 16)):
        marks = [Mark((-50, -50, 5, 5), "person 98 %"), Mark((0, 0, width, height), "猫", 3),
                 Mark((width - 2, height - 2, width + 90, height + 90), "x" * 200, 11,
                      ((0, 0), (width + 5, -7)))]
        assert drawn(grey(width, height), marks).shape == (height * 3 // 2, width)
    plain = drawn(grey(320, 240), [Mark((100, 60, 200, 160))])
    labelled = drawn(grey(320, 240), [Mark((100, 60, 200, 160), "face")])
    different = np.argwhere(plain[:240] != labelled[:240])
    assert len(different) > 100
    assert different.max(axis=0)[0] <= 62  # above the box
