"""Which style somebody means: names in English and Chinese, painters, and what is nearly one of them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ALIKE, WORD_ALIKE = 0.7, 0.8  # least likeness of what was said and a name, or one of its words, 0 to 1
WORD = 5  # letters
PREFIX = "style-"  # of the models' names


@dataclass(frozen=True, slots=True)
class Named:
    """A style and what people call it."""

    name: str  # as it is written in a pipeline: "starry-night"
    title: str = ""
    also: tuple[str, ...] = ()  # other names, the painter's among them

    @property
    def known(self) -> set[str]:
        return {_key(text) for text in (self.name, self.title, *self.also)} - {""}

    @property
    def words(self) -> set[str]:
        """The longer ones of all its names: people remember one of them."""
        return {_key(word) for text in (self.name, self.title, *self.also) for word in re.split(r"[\W_]+", text)
                if len(word) >= WORD}


# what the paintings of our own styles are called besides
ALSO = {
    "starry-night": ("The Starry Night", "De sterrennacht", "Vincent van Gogh", "星空", "星月夜", "星夜", "梵高",
                     "梵谷"),
    "great-wave": ("The Great Wave off Kanagawa", "Katsushika Hokusai", "神奈川冲浪里", "神奈川沖浪裏", "巨浪", "海浪",
                   "葛饰北斋", "北斋"),
    "scream": ("The Scream", "Skrik", "Edvard Munch", "呐喊", "吶喊", "尖叫", "蒙克"),
    "composition-vii": ("Composition 7", "Composition seven", "Wassily Kandinsky", "构成第七号", "构图七号", "作曲七号",
                        "康定斯基"),
    "shipwreck": ("The Shipwreck of the Minotaur", "Joseph Mallord William Turner", "海难", "沉船",
                  "米诺陶洛斯号的沉没", "透纳"),
    "udnie": ("Udnie, Young American Girl", "Francis Picabia", "乌德妮", "乌德尼", "皮卡比亚"),
}


def named(name: str, title: str = "", also: Iterable[str] = ()) -> Named:
    """Of a model's name, with everything that is known of it."""
    short = name.removeprefix(PREFIX)
    return Named(short, title, (*ALSO.get(short, ()), *also))


def resolve(said: str, choices: Sequence[Named]) -> Named | None:
    """The style that is meant: the one of that name, else the only one with it as a part, else the most alike."""
    wanted = _key(said)
    if not wanted:
        return None
    for choice in choices:
        if wanted in choice.known:
            return choice
    least = 2 if not wanted.isascii() else 4
    having = [choice for choice in choices
              if any((wanted in key and len(wanted) >= least) or (key in wanted and len(key) >= least)
                     for key in choice.known)]
    if len(having) == 1:
        return having[0]
    return (_most_alike(wanted, {choice: choice.known for choice in choices}, ALIKE)
            or _most_alike(wanted, {choice: choice.words for choice in choices}, WORD_ALIKE))


def exact(said: str, choices: Sequence[Named]) -> bool:
    """Whether that is one's very name."""
    return any(_key(said) in choice.known for choice in choices)


def _most_alike(wanted: str, keys: Mapping[Named, set[str]], least: float) -> Named | None:
    likeness = {choice: max((difflib.SequenceMatcher(None, wanted, key).ratio() for key in found), default=0.0)
                for choice, found in keys.items()}
    best = max(likeness, key=lambda choice: likeness[choice], default=None)
    return best if best is not None and likeness[best] >= least else None


def listing(choices: Sequence[Named]) -> str:
    """For whoever named one that there isn't."""
    return ", ".join(choice.name for choice in choices) or "none"


def _key(text: str) -> str:
    """Without case, accents, signs, and the words that say nothing."""
    plain = unicodedata.normalize("NFKD", text[:200]).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = [word for word in re.split(r"[\W_]+", plain) if word not in ("", "the", "a", "style", "of")]
    return "".join(words).removesuffix("风格").removesuffix("風格")
