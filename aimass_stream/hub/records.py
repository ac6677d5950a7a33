"""What the hub knows, as it is passed around: no database is needed for these."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from ..errors import InvalidInput
from ..inference.loader import NAME

Visibility: TypeAlias = Literal["private", "team", "public"]
State: TypeAlias = Literal["checking", "ready", "refused", "quarantined"]

VISIBILITIES: tuple[Visibility, ...] = ("private", "team", "public")
NAMED = "it is named"  # why a version is taken
PRODUCTION = "production"  # the alias that a bare name stands for
TITLE, LICENCE, TAG, TAGS, CARD, TEXT = 120, 64, 40, 16, 16 * 1024, 4000  # characters
LONGEST = 48  # characters of a name: with a version at its end it is a stage's parameter
RESERVED = frozenset({"auto", "tags", "uploads", "new"})  # names that mean something else


@dataclass(frozen=True, slots=True)
class HubModel:
    id: str
    name: str
    owner: str
    visibility: Visibility
    built_in: bool
    title: str
    task: str
    licence: str
    tags: tuple[str, ...]
    card: str  # Markdown
    revision: int
    created: float  # s since the epoch
    updated: float
    downloads: int
    rating: float | None  # mean of 1 to 5 stars
    ratings: int


@dataclass(frozen=True, slots=True)
class File:
    path: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Version:
    id: str
    model: str  # id
    name: str  # of the model
    number: int
    state: State
    reason: str
    note: str
    created: float
    creator: str
    format: str
    engine: str
    size: int  # bytes
    told: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    graph: str | None = None  # blob
    files: tuple[File, ...] = ()

    @property
    def served(self) -> str:
        """Its name in the inference engine."""
        return f"{self.name}@{self.number}"

    @property
    def sealed(self) -> dict[str, Any]:
        """Of an encrypted version: the `key`'s id, and its plain `files` by path, each with `sha256` and `size`."""
        return dict(self.facts.get("sealed") or {})

    @property
    def plain(self) -> tuple[File, ...]:
        """Its files as they were sent."""
        told = self.sealed.get("files") or {}
        return tuple(replace(file, **told[file.path]) if file.path in told else file for file in self.files)


Sort: TypeAlias = Literal["updated", "downloads", "rating", "name"]


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be another; None: as it is."""

    title: str | None = None
    task: str | None = None
    licence: str | None = None
    card: str | None = None
    tags: tuple[str, ...] | None = None
    visibility: Visibility | None = None


@dataclass(frozen=True, slots=True)
class Search:
    words: str = ""
    task: str = ""
    tag: str = ""
    licence: str = ""
    owner: str | None = None
    built_in: bool | None = None
    sort: Sort = "updated"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where an alias leads."""

    alias: str
    number: int
    canary: int | None = None
    share: int = 0  # % of what is new that goes to the canary
    shadow: int | None = None
    by: str = ""
    at: float = 0.0  # s since the epoch

    @property
    def numbers(self) -> set[int]:
        return {each for each in (self.number, self.canary, self.shadow) if each is not None}


def name_of(name: str) -> str:
    """The name of a model, if it can be one. Raises `InvalidInput`."""
    if not NAME.fullmatch(name) or len(name) > LONGEST or ".." in name or name in RESERVED:
        raise InvalidInput(f"a model's name has small letters, digits, '.', '_' and '-', {LONGEST} at most, and begins "
                           "with a letter or a digit", field="name")
    return name


def line(text: str, most: int, field: str) -> str:
    """Text in one line. Raises `InvalidInput`."""
    text = text.strip()
    if len(text) > most or not text.isprintable():
        raise InvalidInput(f"{field} has at most {most} characters, in one line", field=field)
    return text


def prose(text: str, most: int, field: str) -> str:
    """Text in several lines. Raises `InvalidInput`."""
    if len(text) > most or any(not letter.isprintable() and letter not in "\n\r\t" for letter in text):
        raise InvalidInput(f"{field} has at most {most} characters, and none that control something", field=field)
    return text


def plain(text: str) -> str:
    """What is searched for: a database takes no NUL, and nobody wrote a control character."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def tags_of(tags: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(line(tag, TAG, "tags").lower() for tag in tags))
    if len(found) > TAGS or "" in found:
        raise InvalidInput(f"at most {TAGS} tags, none of them empty", field="tags")
    return found
