"""Known faces: who is whose, and how often a stranger would be taken for somebody."""

from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.seeing.gallery import ALLOWED, Gallery, Match, gathered, unit
from aimass_stream.vision.boxes import Floats

WIDTH = 64


def crowd(people: int, pictures: int = 8, spread: float = 0.3, seed: int = 0) -> list[tuple[str, Floats]]:
    """Vectors about a middle of each person's own."""
    chance = np.random.default_rng(seed)
    return [(f"p{number}", np.asarray(unit(chance.normal(size=WIDTH).astype(np.float32))
                                      + spread * chance.normal(size=(pictures, WIDTH)) / WIDTH**0.5, np.float32))
            for number in range(people)]


def test_people_are_told_apart_and_strangers_are_unknown() -> None:
    groups = crowd(6)
    gallery = gathered([(person, vectors[:-1]) for person, vectors in groups]).measured(None)
    assert gallery.trust.answers
    assert gallery.trust.accepted <= ALLOWED * gallery.trust.strangers
    assert gallery.trust.known > 0.9
    for person, vectors in groups:
        assert gallery.identify(unit(vectors[-1])).person == person
    for _, vectors in crowd(20, seed=5):
        assert gallery.identify(unit(vectors[0])).person == ""


@pytest.mark.parametrize(("people", "pictures"), [(0, 8), (1, 40), (2, 20), (3, 7), (23, 1)])
def test_without_a_card_nobody_is_named_before_there_is_enough_to_measure_on(people: int, pictures: int) -> None:
    groups = crowd(people, pictures)
    gallery = gathered(groups).measured(None)
    assert not gallery.trust.answers
    for _, vectors in groups:
        assert gallery.identify(unit(vectors[0])).person == ""


def test_the_card_names_people_at_once_and_is_overruled_where_it_is_too_kind() -> None:
    one = gathered(crowd(1)).measured(0.4)
    assert one.trust.threshold == 0.4
    assert one.identify(one.vectors[0]).person == "p0"
    alike = crowd(6, spread=0.2)
    alike = [(person, vectors + 3) for person, vectors in alike]  # all much alike
    many = gathered(alike).measured(0.4)
    assert many.trust.threshold > 0.9
    assert many.trust.accepted <= ALLOWED * many.trust.strangers


def test_who_can_not_be_told_apart_is_not_recognised() -> None:
    gallery = gathered([(person, np.ones((8, WIDTH), np.float32)) for person in "abcd"]).measured(None)
    assert gallery.trust.threshold > 1
    assert gallery.trust.known == 0
    assert gallery.identify(gallery.vectors[0]).person == ""


def test_one_in_a_hundred_may_be_wrong_and_no_more() -> None:
    groups = crowd(30, 10)
    groups[3][1][0] = groups[4][1][0] = np.arange(WIDTH)  # the same picture of neither
    gallery = gathered(groups).measured(None)
    assert gallery.trust.strangers == 300
    assert 0 < gallery.trust.accepted <= 3
    assert gallery.trust.known > 0.9


def test_adding_and_taking_away() -> None:
    groups = crowd(4)
    gallery = Gallery()
    for person, vectors in groups:
        gallery = gallery.with_person(person, vectors)
    np.testing.assert_array_equal(gallery.vectors, gathered(groups).vectors)
    left = gallery.without("p1")
    np.testing.assert_array_equal(left.vectors, gathered([groups[0], *groups[2:]]).vectors)
    np.testing.assert_array_equal(left.starts, [0, 8, 16])
    assert left.without("nobody") is left
    for person in ("p0", "p2", "p3"):
        left = left.without(person)
    assert (left.people, len(left.vectors)) == ((), 0)
    assert left.measured(0.5).identify(unit(groups[0][1][0])) == Match()


@pytest.mark.parametrize("vector", [np.full(WIDTH, np.nan), np.zeros(WIDTH - 1), np.zeros((1, WIDTH)), np.zeros(WIDTH)])
def test_what_is_no_vector_of_a_face_is_nobody(vector: Floats) -> None:
    assert gathered(crowd(4)).measured(0.5).identify(vector.astype(np.float32)).person == ""


def test_thousands_of_faces() -> None:
    groups = crowd(2000, 3, seed=3)
    gallery = gathered(groups).measured(None)
    assert gallery.trust.strangers == 1000  # as many as are looked at
    assert gallery.trust.accepted <= 10
    found = [gallery.identify(unit(vectors[0] + vectors[1])).person == person for person, vectors in groups[::100]]
    assert sum(found) >= 19
