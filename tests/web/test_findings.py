"""What hands, classes and attributes look like on the page, where they come as data only; and the digit's badge."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.browser import Visitor

pytestmark = pytest.mark.browser

POINTS = [[10.0 * number, 200 - 7.0 * number] for number in range(21)]
FRAME = {"width": 640, "height": 480}


def drawable(visitor: Visitor, note: Any) -> Any:
    return visitor.page.evaluate("""async (note) => {
      const { drawable } = await import("/web/js/findings.js");
      return drawable(note);
    }""", note)


def test_hands_have_bones_and_say_what_they_show(visitor: Visitor) -> None:
    hand = {"hand": 3, "score": 0.9, "gesture": "victory", "digit": 2, "points": POINTS}
    [found] = drawable(visitor, FRAME | {"hands": [hand, {"hand": 4, "points": POINTS[:5]}, None]})["detections"]
    assert (found["label"], found["id"], found["box"]) == ("digit 2, victory", 3, [0, 60, 200, 140])
    assert len(found["bones"]) == 20
    assert {point for bone in found["bones"] for point in bone} == set(range(21))
    assert [5, 6] in found["bones"]
    assert [0, 17] in found["bones"]
    del hand["digit"]
    [plain] = drawable(visitor, FRAME | {"hands": [hand | {"gesture": "none"}]})["detections"]
    assert plain["label"] == "hand"


def test_classes_and_notes_of_other_kinds(visitor: Visitor) -> None:
    note = drawable(visitor, FRAME | {"classes": [{"label": "beach", "score": 0.9}, {"label": 3}, None]})
    assert (note["detections"], note["classes"]) == ([], [{"label": "beach", "score": 0.9}])
    odds: list[Any] = [None, 3, "x", [], {"detections": 4}, {"hands": 3}]
    for odd in odds:
        assert drawable(visitor, odd) == odd


def test_attributes_stand_behind_the_label(visitor: Visitor) -> None:
    words = visitor.page.evaluate("""async (all) => {
      const { wordsOf } = await import("/web/js/findings.js");
      return all.map(wordsOf);
    }""", [{"label": "person", "score": 0.912, "attributes": {"clothing": [{"label": "hat"}], "odd": [None, 3]}},
           {"label": "face", "name": "Ada", "score": 1, "likeness": 0.87},
           {"label": "face", "name": "Bo", "score": 1}])  # of which only the finder's score is known
    assert words == ["person 91 %, hat", "Ada 87 %", "Bo"]


def test_the_badge_of_a_digit(visitor: Visitor) -> None:
    shown = visitor.page.evaluate("""async () => {
      const { SignBadge } = await import("/web/js/sign-badge.js");
      const box = document.createElement("figure");
      const signs = new SignBadge(box);
      const seen = [];
      const look = () => seen.push([...box.querySelectorAll("b")].map((each) => each.textContent).join(" "));
      for (const [hand, digit] of [[1, 7], [2, 0], [1, 3], [2, null]]) {
        signs.show({ hand, side: "left", digit });
        look();
      }
      signs.clear();
      look();
      return seen;
    }""")
    assert shown == ["7", "7 0", "0 3", "3", ""]


def test_they_are_drawn_on_the_picture(visitor: Visitor) -> None:
    """With bones there is no box; each class has a plate of its own."""
    drawn = visitor.page.evaluate("""async ([hands, classes]) => {
      const { bare } = await import("/web/js/results.js");
      return [bare({ hands }).length, bare({ hands: { ...hands, drawn: true } }).length, bare({ classes }).length];
    }""", [FRAME | {"hands": [{"hand": 1, "score": 1, "points": POINTS}]},
           FRAME | {"classes": [{"label": "beach", "score": 0.9}]}])
    assert drawn == [1, 0, 1]
