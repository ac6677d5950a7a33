"""What is seen: hands, people, writing, things in zones and over lines, movement, and what rules make of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .registry import EventData


class HandGesture(EventData):
    """A hand shows something else than before, for some pictures in a row."""

    type = "hand.gesture"
    hand: int = Field(description="the same for as long as this hand is followed")
    side: Literal["left", "right"]
    gesture: Literal["none", "open", "fist", "point", "thumb", "victory"] = Field(
        description="none also when the hand is gone")


class HandDigit(EventData):
    """A hand signs another digit than before, and has done so for a moment."""

    type = "hand.digit"
    hand: int = Field(description="the same for as long as this hand is followed")
    side: Literal["left", "right"]
    digit: int | None = Field(ge=0, le=9, description="null when it shows none any more, or is gone")


class PersonArrived(EventData):
    """Somebody who is enrolled was recognised by a stage `faces`, and was not there before."""

    type = "person.arrived"
    person: str = Field(description="id, as GET /v1/faces lists it")
    name: str
    at: float = Field(description="s of media time: when their face was first seen")


class PersonLeft(EventData):
    """Nobody has seen their face for as long as the stage waits."""

    type = "person.left"
    person: str
    name: str = Field(description="empty for somebody who was deleted meanwhile")
    at: float = Field(description="s of media time: when they were last seen")
    stayed: float = Field(description="s")


class TextRead(EventData):
    """A stage `ocr` read a line: once, and again when the same line says something else."""

    type = "text.read"
    line: int = Field(description="the same for as long as the line is followed, as in the results of this track")
    text: str
    score: float = Field(description="0 to 1")
    box: list[float] = Field(description="x, y, width and height in px of the picture that was looked at, upright")


class ZoneEntered(EventData):
    """Something that a stage `detect` follows came into one of its zones, or is in it at first sight."""

    type = "zone.entered"
    zone: str
    id: int = Field(description="of the thing, as in the results of this track")
    label: str
    model: str = Field(description="which detector found it")


class ZoneLeft(EventData):
    """It went out of the zone, or is seen no longer."""

    type = "zone.left"
    zone: str
    id: int = Field(description="of the thing, as in the results of this track")
    label: str
    model: str = Field(description="which detector found it")
    dwell: float = Field(description="s from when it came until it was last seen there")


class LineCrossed(EventData):
    """Something that a stage `detect` follows went over one of its lines."""

    type = "line.crossed"
    line: str
    id: int = Field(description="of the thing, as in the results of this track")
    label: str
    model: str = Field(description="which detector found it")
    direction: Literal["in", "out"] = Field(
        description="in: to the right-hand side of who looks from the line's start to its end")


class DetectorReady(EventData):
    """Which detector a stage `detect` looks with from now on, and why that one."""

    type = "detector.ready"
    model: str
    title: str
    tier: str = Field(description="no-weights: it works without fetched weights, and gives way to one that has some")
    ap50: float | None = Field(None, description="average precision that its card says, 0 to 1; null if it says none")
    measured: str = Field("", description="what else its card says of how well it finds things")
    reason: str


class MotionStarted(EventData):
    """Something moves that a stage `motion` looks at, for some pictures in a row."""

    type = "motion.started"
    zone: str = Field(description="empty: anywhere in the picture")
    share: float = Field(description="of the zone or picture that moves, 0 to 1")


class MotionStopped(EventData):
    """Nothing has moved there for as long as the stage waits."""

    type = "motion.stopped"
    zone: str = Field(description="empty: anywhere in the picture")
    duration: float = Field(description="s that something moved")


class RuleFired(EventData):
    """What a stage `rule` waits for has been there for long enough."""

    type = "rule.fired"
    rule: str = Field(description="what the stage calls it")
    when: str
    zone: str = Field(description="empty: anywhere in the picture")
    count: int = Field(description="things that are there for long enough")
    ids: list[int] = Field(description="of those that have one")
    seconds: float = Field(description="s that it has been so")
    webhook: str = Field("", description="where this event is posted, too")


class RuleOver(EventData):
    """What was told by `rule.fired` is so no longer."""

    type = "rule.over"
    rule: str
    zone: str
    seconds: float = Field(description="s that it was so")


class WebhookFailed(EventData):
    """An event could not be posted, and will not be tried again."""

    type = "webhook.failed"
    url: str
    detail: str
    attempts: int
