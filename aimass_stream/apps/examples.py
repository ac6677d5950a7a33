"""An app's example: what goes in, and what has to come out. Probes run it, and so does whoever looks at the app.

    {"input": {"text": ["hello"]}, "expect": {"events": [{"type": "assistant.reply"}]}}
    {"input": {"picture": {"draw": "EXIT 12"}, "count": 3}, "expect": {"video": 3, "changed": true}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidInput
from ..painting.inline import checked

MOST_SECONDS = 60.0
MOST_FRAMES = 300
MOST_SOUND = 20.0  # s
MOST_TEXTS, MOST_TEXT = 16, 2000
MOST_EVENTS = 16
EVENT = re.compile(r"[a-z_]{1,32}(\.[a-z_]{1,32}){0,2}")
INPUT = frozenset({"text", "picture", "sound", "count", "fps"})
EXPECT = frozenset({"video", "audio", "text", "changed", "events", "says"})


@dataclass(frozen=True, slots=True)
class Input:
    """`picture`: ``{"draw": TEXT}`` or ``{"url": "data:..."}``; `sound`: ``{"tone": Hz, "seconds": s}``."""

    text: tuple[str, ...] = ()
    picture: Mapping[str, Any] | None = None
    sound: Mapping[str, Any] | None = None
    count: int = 5  # times that the picture is sent
    fps: float = 10.0

    @classmethod
    def parse(cls, value: object, where: str = "input") -> Input:
        """Raises `InvalidInput`."""
        given = _object(value, INPUT, where)
        texts = given.get("text", [])
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or len(texts) > MOST_TEXTS or not all(
                isinstance(each, str) and 0 < len(each) <= MOST_TEXT for each in texts):
            raise InvalidInput(f"at most {MOST_TEXTS} texts of 1 to {MOST_TEXT} characters", field=f"{where}.text")
        made = cls(tuple(texts), _picture(given.get("picture"), f"{where}.picture"),
                   _sound(given.get("sound"), f"{where}.sound"),
                   int(number(given.get("count", 5), 1, MOST_FRAMES, f"{where}.count")),
                   number(given.get("fps", 10), 1, 30, f"{where}.fps"))
        if not texts and made.picture is None and made.sound is None:
            raise InvalidInput("an input has text, a picture or sound", field=where)
        return made

    def json(self) -> dict[str, Any]:
        kept = {"text": list(self.text), "picture": self.picture, "sound": self.sound}
        return {key: value for key, value in kept.items() if value} | (
            {"count": self.count, "fps": self.fps} if self.picture else {})


@dataclass(frozen=True, slots=True)
class Expected:
    """The least that has to come back: frames of each kind, events with words in them, words said or shown."""

    frames: Mapping[str, int] = field(default_factory=dict)
    changed: bool = False  # the pictures differ from what was sent
    events: tuple[tuple[str, str], ...] = ()  # type, and what its data's JSON has in it
    says: str = ""  # in some text or event, small letters or large

    @classmethod
    def parse(cls, value: object, where: str = "expect") -> Expected:
        """Raises `InvalidInput`."""
        given = _object(value, EXPECT, where)
        frames: dict[str, int] = {kind: int(number(given[kind], 1, MOST_FRAMES * 50, f"{where}.{kind}"))
                  for kind in ("video", "audio", "text") if kind in given}
        events, said, changed = given.get("events", []), given.get("says", ""), given.get("changed", False)
        if not isinstance(events, list) or len(events) > MOST_EVENTS:
            raise InvalidInput(f"at most {MOST_EVENTS} events", field=f"{where}.events")
        if not isinstance(said, str) or len(said) > MOST_TEXT or not isinstance(changed, bool):
            raise InvalidInput("'says' is text, 'changed' true or false", field=where)
        made = cls(frames, changed, tuple(_event(each, f"{where}.events") for each in events), said)
        if made == cls():
            raise InvalidInput("an example says what has to come out", field=where)
        return made

    def json(self) -> dict[str, Any]:
        events = [{"type": kind} | ({"has": has} if has else {}) for kind, has in self.events]
        return {**self.frames, **({"changed": True} if self.changed else {}), **({"events": events} if events else {}),
                **({"says": self.says} if self.says else {})}


@dataclass(frozen=True, slots=True)
class Example:
    input: Input
    expect: Expected
    parameters: Mapping[str, Any] = field(default_factory=dict)
    within: float = 20.0  # s

    @classmethod
    def parse(cls, value: object) -> Example:
        """Raises `InvalidInput`."""
        given = _object(value, frozenset({"input", "expect", "parameters", "within"}), "example")
        parameters = given.get("parameters", {})
        if not isinstance(parameters, dict):
            raise InvalidInput("'parameters' is an object", field="example.parameters")
        return cls(Input.parse(given.get("input"), "example.input"),
                   Expected.parse(given.get("expect"), "example.expect"), parameters,
                   number(given.get("within", 20), 0.1, MOST_SECONDS, "example.within"))

    def json(self) -> dict[str, Any]:
        return {"input": self.input.json(), "expect": self.expect.json(), "parameters": dict(self.parameters),
                "within": self.within}


def number(value: object, least: float, most: float, where: str) -> float:
    """Raises `InvalidInput`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidInput(f"a number from {least:g} to {most:g}", field=where)
    return value


def _object(value: object, keys: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= keys:
        raise InvalidInput(f"an object with some of {', '.join(sorted(keys))}", field=where)
    return value


def _picture(value: object, where: str) -> dict[str, Any] | None:
    if value is None:
        return None
    given = _object(value, frozenset({"draw", "url"}), where)
    drawn, url = given.get("draw"), given.get("url")
    if (drawn is None) == (url is None):
        raise InvalidInput("a picture is 'draw' with words to draw, or 'url' with a data: URL", field=where)
    if drawn is not None and (not isinstance(drawn, str) or len(drawn) > 80):
        raise InvalidInput("at most 80 characters to draw", field=f"{where}.draw")
    if url is not None:
        try:
            checked(url if isinstance(url, str) else "")
        except ValueError as error:
            raise InvalidInput(str(error), field=f"{where}.url") from None
    return given


def _sound(value: object, where: str) -> dict[str, Any] | None:
    if value is None:
        return None
    given = _object(value, frozenset({"tone", "seconds", "speech"}), where)
    if "speech" in given:
        if not isinstance(given["speech"], str) or not 0 < len(given["speech"]) <= 200 or len(given) > 1:
            raise InvalidInput("'speech' is 1 to 200 characters to be said", field=f"{where}.speech")
        return given
    number(given.get("tone", 440), 20, 20_000, f"{where}.tone")
    number(given.get("seconds", 1), 0.02, MOST_SOUND, f"{where}.seconds")
    return given


def _event(value: object, where: str) -> tuple[str, str]:
    given = _object(value, frozenset({"type", "has"}), where)
    kind, has = given.get("type"), given.get("has", "")
    if not isinstance(kind, str) or not EVENT.fullmatch(kind) or not isinstance(has, str) or len(has) > 200:
        raise InvalidInput("an event is its 'type', and perhaps words that it 'has'", field=where)
    return kind, has
