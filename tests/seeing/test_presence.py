"""Names for faces that are followed, and who came and left."""

from __future__ import annotations

from dataclasses import replace

from aimass_stream.seeing.detector import Thing
from aimass_stream.seeing.gallery import Match
from aimass_stream.seeing.presence import AGAIN, AGREE, Presence, Visit

KNOWN = {"a": "Ada", "b": "Bob"}


def face(number: int, side: float = 80) -> Thing:
    return Thing("face", 0.9, (10, 10, 10 + side, 10 + side), id=number)


def seen(presence: Presence, things: list[Thing], seconds: float, who: dict[int, str] | None = None,
         known: dict[str, str] | None = None) -> list[Visit]:
    """What one picture says, all looks that are due being done."""
    for thing in presence.due(things, seconds, 32, 2):
        presence.look(thing.id, Match((who or {}).get(thing.id, ""), 0.9), seconds)
    return presence.update(things, seconds, 2, KNOWN if known is None else known)


def test_a_name_needs_looks_that_agree_and_is_told_from_the_first_sight() -> None:
    presence = Presence()
    told = [seen(presence, [face(7)], 1 + number / 10, {7: "a"}) for number in range(6)]
    assert [visits for visits in told if visits] == [[Visit("came", "a", 1.0)]]
    assert told[AGREE - 1] != []
    assert presence.who(7) == ("a", 0.9)
    assert presence.here == {"a": 1.0}


def test_one_look_that_differs_changes_nothing() -> None:
    presence = Presence()
    for number, who in enumerate("aaabaab"):
        seen(presence, [face(7)], number, {7: who})
        assert presence.who(7)[0] == ("a" if number >= 2 else "")


def test_who_is_not_seen_left_and_comes_again() -> None:
    presence = Presence()
    for number in range(5):
        seen(presence, [face(1)], number / 10, {1: "a"})
    assert seen(presence, [], 1.0) == []
    assert seen(presence, [], 2.5) == [Visit("left", "a", 0.4, 0.4)]
    for number in range(5):
        visits = seen(presence, [face(2)], 10 + number / 10, {2: "a"})
        assert visits == ([Visit("came", "a", 10.0)] if number == 2 else [])


def test_a_face_that_is_lost_for_a_moment_stays() -> None:
    presence = Presence()
    told = []
    for number in range(40):  # another number every second: the follower had lost it
        told += seen(presence, [face(1 + number // 10)], number / 10, dict.fromkeys(range(9), "b"))
    assert told == [Visit("came", "b", 0.0)]


def test_looks_are_few_and_go_to_those_without_a_name_first() -> None:
    presence = Presence()
    crowd = [face(number) for number in range(1, 6)]
    assert len(presence.due(crowd, 0, 32, 2)) == 2
    for number in range(50):
        seen(presence, crowd, number / 100, {1: "a"})
    assert presence.due(crowd, 0.5, 32, 2) == []
    assert {thing.id for thing in presence.due([*crowd, face(9)], 0.6 + AGAIN, 32, 2)} & {9}
    assert presence.due([face(20, side=20)], 0, 32, 2) == []
    assert presence.due([replace(face(21), predicted=True), face(0)], 0, 32, 2) == []


def test_who_is_deleted_is_nobody_from_the_next_picture_on() -> None:
    presence = Presence()
    for number in range(5):
        seen(presence, [face(1), face(2)], number / 10, {1: "a", 2: "b"})
    [left] = seen(presence, [face(1), face(2)], 0.5, known={"b": "Bob"})
    assert (left.what, left.person) == ("left", "a")
    assert (presence.who(1)[0], presence.who(2)[0]) == ("", "b")
    assert presence.leave() == [Visit("left", "b", 0.5, 0.5)]
    assert presence.here == {}
