"""Lines followed from look to look: which are read, and when again."""

from __future__ import annotations

import numpy as np
import pytest

from aimass_stream import fonts
from aimass_stream.frames import Pixels
from aimass_stream.seeing.lines import ALIKE, AT_ONCE, GONE, TRIES, Lines, alike, grey_of
from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.text import strip

from ..support.writing import put

fonts.available()
PAPER = np.full((120, 480, 3), 225, np.uint8)


def at(x: float, y: float, width: float = 200, height: float = 40) -> Floats:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def words(text: str, shift: float = 0) -> Pixels:
    """The strip that a finder would cut, a little off."""
    return strip(put(PAPER, text, 20, 30, 28), at(14 + shift, 26 + shift / 2, 260, 44))


OPEN, SHUT = words("Open at 9:30"), words("Shut at 9:30")


def test_the_same_writing_is_alike_and_other_writing_is_not() -> None:
    noisy = np.clip(OPEN.astype(int) + np.random.default_rng(1).normal(0, 8, OPEN.shape), 0, 255).astype(np.uint8)
    for same in (OPEN, words("Open at 9:30", 2), noisy, (OPEN * 0.7).astype(np.uint8)):
        assert alike(grey_of(OPEN), grey_of(same)) > ALIKE + 0.1
    for other in (SHUT, words("Open from 9"), words("Over it 9:30"), 255 - OPEN):
        assert alike(grey_of(OPEN), grey_of(other)) < ALIKE
    assert alike(grey_of(OPEN), grey_of(OPEN[:, :100])) == -1
    assert alike(np.full((24, 90), 9, np.uint8), np.full((24, 90), 9, np.uint8)) == 0


def test_a_line_is_read_once_wherever_it_moves() -> None:
    lines = Lines()
    [first] = lines.place(at(0, 0)[None], [OPEN], 1.0, 60)
    first.read("Open at 9:30", 0.97, 1.0)
    for step in range(1, 20):
        assert lines.place(at(10 * step, 3 * step)[None], [words("Open at 9:30", step % 3)], 1 + step, 60) == []
        [seen] = lines.seen(0.5)
        assert (seen.number, seen.text, seen.polygon[0, 0]) == (first.number, "Open at 9:30", 10 * step)


def test_other_words_at_the_same_place_are_read() -> None:
    lines = Lines()
    [first] = lines.place(at(0, 0)[None], [OPEN], 1.0, 60)
    first.read("Open at 9:30", 0.97, 1.0)
    [second] = lines.place(at(0, 0)[None], [SHUT], 2.0, 60)
    assert second.number != first.number
    assert lines.seen(0.5) == []
    second.read("Shut at 9:30", 0.95, 2.0)
    assert [line.text for line in lines.seen(0.5)] == ["Shut at 9:30"]


def test_a_line_that_was_hidden_for_a_look_keeps_its_number_and_one_that_went_is_forgotten() -> None:
    lines, none = Lines(), np.zeros((0, 4, 2), np.float32)
    [first] = lines.place(at(0, 0)[None], [OPEN], 1.0, 60)
    first.read("Open", 0.97, 1.0)
    for _ in range(GONE):
        lines.place(none, [], 2.0, 60)
        assert lines.seen(0.5) == []
    assert lines.place(at(0, 0)[None], [OPEN], 3.0, 60) == []
    for _ in range(GONE + 1):
        lines.place(none, [], 4.0, 60)
    [new] = lines.place(at(0, 0)[None], [OPEN], 5.0, 60)
    assert new.number != first.number


def test_a_line_that_can_hardly_be_read_is_tried_a_few_times_and_the_surest_counts() -> None:
    lines, tries = Lines(), 0
    for moment, score in enumerate((0.5, 0.7, 0.6, 0.8, 0.9)):
        for line in lines.place(at(0, 0)[None], [OPEN], 1.0 + moment, 60):
            line.read(f"reading {score}", score, 1.0 + moment)
            tries += 1
    assert tries == TRIES
    assert [line.text for line in lines.seen(0.5)] == ["reading 0.7"]
    assert lines.seen(0.75) == []


def test_after_a_while_a_line_is_read_again_and_then_the_new_reading_counts() -> None:
    lines = Lines()
    [line] = lines.place(at(0, 0)[None], [OPEN], 10.0, 5)
    line.read("mistaken", 0.99, 10.0)
    assert lines.place(at(0, 0)[None], [OPEN], 14.9, 5) == []
    [due] = lines.place(at(0, 0)[None], [OPEN], 15.0, 5)
    due.read("Open at 9:30", 0.92, 15.0)
    assert lines.seen(0.5)[0].text == "Open at 9:30"
    assert lines.place(at(0, 0)[None], [OPEN], 16.0, 5) == []


def test_no_look_reads_more_than_so_many_and_none_is_left_out() -> None:
    lines = Lines()
    count = AT_ONCE + 7
    polygons = np.stack([at(0, 1000 * row) for row in range(count)])
    strips = [words(f"{row} {row * 7919 % 997}") for row in range(count)]
    read: list[int] = []
    for moment in (1.0, 2.0, 3.0):
        for line in lines.place(polygons, strips, moment, 60):
            line.read("text", 0.95, moment)
            read.append(line.number)
    assert len(read) == len(set(read)) == count


@pytest.mark.parametrize("score", [0.0, 0.49])
def test_what_is_not_sure_enough_is_not_told(score: float) -> None:
    lines = Lines()
    [line] = lines.place(at(0, 0)[None], [OPEN], 1.0, 60)
    line.read("perhaps", score, 1.0)
    assert lines.seen(0.5) == []
