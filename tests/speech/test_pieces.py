from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.speech.pieces import LONGEST, Pieces, sentences

from ..support.hearing import spoken

STEP = 0.032


def cut(speech: list[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    pieces = Pieces(STEP)
    found = []
    for number in range(round(seconds / STEP)):
        middle = (number + 0.5) * STEP
        found.append(pieces.feed(0.9 if any(begin <= middle < end for begin, end in speech) else 0.02))
    return [piece for piece in [*found, pieces.finish()] if piece is not None]


def test_silence_has_no_pieces() -> None:
    assert cut([], 120) == []


def test_a_word_is_one_piece_with_a_little_around_it() -> None:
    ((begin, end),) = cut([(5.0, 5.5)], 10)
    assert begin == pytest.approx(4.7, abs=0.05)
    assert end == pytest.approx(5.8, abs=0.05)


def test_short_pauses_stay_inside_and_long_ones_end_a_piece() -> None:
    assert len(cut([(1.0, 3.0), (4.0, 6.0)], 12)) == 1
    assert len(cut([(1.0, 3.0), (6.0, 8.0)], 12)) == 2
    assert len(cut([(1.0, 12.0), (13.0, 15.0)], 20)) == 2  # long enough already


def test_talk_without_a_pause_is_cut_where_the_voice_is_weakest() -> None:
    pieces = Pieces(STEP)
    found = []
    for number in range(round(60 / STEP)):
        weak = abs(number * STEP - 19.0) < STEP
        found.append(pieces.feed(0.55 if weak else 0.95))
    cuts = [piece for piece in [*found, pieces.finish()] if piece is not None]
    assert cuts[0][1] == pytest.approx(19.0, abs=0.1)
    assert all(before[1] == after[0] for before, after in pairwise(cuts))


@given(st.lists(st.floats(0, 1), max_size=3000))
def test_whatever_the_probabilities_pieces_are_in_order_and_short(probabilities: list[float]) -> None:
    pieces = Pieces(STEP)
    found = [piece for piece in [*map(pieces.feed, probabilities), pieces.finish()] if piece is not None]
    last = 0.0
    for begin, end in found:
        assert last <= begin < end <= len(probabilities) * STEP + 1e-6
        assert end - begin <= LONGEST + 0.7
        last = end


def test_segments_end_with_sentences_pauses_and_length() -> None:
    words = (*spoken("One two. Three four", start=0.0), *spoken("five", start=8.0))
    assert [" ".join(word.text for word in group) for group in sentences(words)] == ["One two.", "Three four", "five"]
    assert all(len(group) < 60 for group in sentences(spoken("word " * 200)))
