"""Whatever a style is called, it is found; and what is none is not."""

from __future__ import annotations

import pytest

from aimass_stream.painting.names import Named, listing, named, resolve
from aimass_stream.painting.paintings import paintings

CHOICES = [*(painting.named for painting in paintings().values()), named("style-grandma", "Grandma's quilt", ["被子"])]

SAID = {
    "starry-night": ["starry-night", "style-starry-night", "Starry Night", "THE STARRY NIGHT", "stary nite",
                     "starrynight", "starry", "van Gogh", "Vincent van Gogh", "vangogh", "星空", "星月夜", "星夜",
                     "梵高", "星空风格", "梵高的星空"],
    "great-wave": ["great wave", "the grate wave", "Hokusai", "wave", "神奈川冲浪里", "冲浪里", "神奈川沖浪裏", "北斋"],
    "scream": ["The Scream", "screem", "munch", "呐喊", "吶喊", "蒙克的呐喊"],
    "composition-vii": ["Composition VII", "composition 7", "compositon vii", "kandinski", "康定斯基"],
    "shipwreck": ["Shipwreck of the Minotaur", "ship wreck", "turner", "沉船", "透纳"],
    "udnie": ["Udnie", "udni", "Picabia", "乌德妮"],
    "grandma": ["Grandma", "grandmas quilt", "被子", "grandma's kilt"],
}


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, all_said in SAID.items() for said in all_said])
def test_what_people_say(name: str, said: str) -> None:
    found = resolve(said, CHOICES)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("said", ["", "  ", "?!", "the", "cubism", "Mona Lisa", "蒙娜丽莎", "x", "n" * 5000,
                                  "\0"])
def test_what_is_none_of_them(said: str) -> None:
    assert resolve(said, CHOICES) is None


def test_what_there_is_is_told() -> None:
    assert listing(CHOICES).endswith("udnie, grandma")
    assert listing([]) == "none"
    assert resolve("anything", []) is None
    assert resolve("two", [Named("one"), Named("two")]) == Named("two")
