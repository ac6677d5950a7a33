"""Every event that leaves a session, with its JSON Schema; the JavaScript types are generated from here.

On the wire (data channel, websocket) an event is one JSON object::

    {"type": "stage.failed", "seq": 17, "pts": 12.345, "track": "video-0", "data": {...}}

`seq` counts from 1 in each session without gaps and never repeats, also over a reconnection; `pts` is the
media time in seconds of the frame it speaks of, or null. Adding an event is one class here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

EVENTS: dict[str, type[EventData]] = {}


class EventData(BaseModel):
    """Base of all event payloads; a subclass names its `type` and registers itself."""

    type: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        EVENTS[cls.type] = cls


@dataclass(slots=True, frozen=True)
class Event:
    """One event, numbered."""

    type: str
    seq: int  # from 1, no gaps in a session
    pts: float | None  # s, media time
    track: str | None
    data: dict[str, Any]

    def json(self) -> dict[str, Any]:
        return {"type": self.type, "seq": self.seq, "pts": self.pts, "track": self.track, "data": self.data}


class SessionCreated(EventData):
    """The first event of a session. `resume_token` brings its holder back after a cut connection."""

    type = "session.created"
    session_id: str
    resume_token: str
    pipeline: list[dict[str, Any]]
    sync: Literal["lowest", "lips"]
    latency_ms: int | None = Field(None, description="ms, the promised bound; null: none")


class SessionUpdated(EventData):
    """The pipeline, the way of syncing or the promised latency changed."""

    type = "session.updated"
    pipeline: list[dict[str, Any]]
    sync: Literal["lowest", "lips"]
    latency_ms: int | None = Field(None, description="ms, the promised bound; null: none")
    request_id: str | None = Field(None, description="the id of the control message that asked for it")


class SessionClosing(EventData):
    """The server is going down: the session ends in `seconds` at the latest."""

    type = "session.closing"
    reason: str
    seconds: float = Field(description="seconds left")


class SessionEnded(EventData):
    type = "session.ended"
    reason: str


class ErrorEvent(EventData):
    """A control message was refused; nothing of it was applied."""

    type = "error"
    status: int
    title: str
    detail: str
    field: str | None = None
    request_id: str | None = None


class StageFailed(EventData):
    """A stage raised; the frame went on untouched."""

    type = "stage.failed"
    index: int = Field(description="place in the pipeline, from 0")
    stage: str
    detail: str
    failures: int = Field(description="in a row")


class StageBypassed(EventData):
    """A stage failed too often in a row and is passed by until its parameters or the pipeline change."""

    type = "stage.bypassed"
    index: int
    stage: str
    detail: str


class StageReloaded(EventData):
    """The file of a stage under development changed and was loaded again, or could not be."""

    type = "stage.reloaded"
    stage: str
    ok: bool
    detail: str = ""


class FrameResult(EventData):
    """What stages found out about the frame with this pts, by stage name."""

    type = "frame.result"
    notes: dict[str, Any]


class AudioLevel(EventData):
    """Loudness of the last piece of sound."""

    type = "audio.level"
    rms: float = Field(description="dBFS, at most 0")
    peak: float = Field(description="dBFS, at most 0")


class HopStats(BaseModel):
    """Latency of one hop in ms over the last seconds."""

    p50: float
    p95: float
    count: int


class RungStats(BaseModel):
    """A stage that works with less than it could, so that a promised latency is kept."""

    index: int | None = Field(description="place in the pipeline, from 0; null: the track's frame rate")
    stage: str
    track: str
    rung: int = Field(description="of the stage's ladder, from 0, which is all of it")
    name: str
    says: str = Field(description="what that means, in a few words")


class LatencyStats(BaseModel):
    """How a promised latency is kept: for 95 of 100 frames of each track, from their arrival until they leave."""

    latency_ms: int
    p95_ms: float | None = Field(description="of the slowest track in the last seconds; null before that is known")
    kept: bool
    stages: list[RungStats]


class SessionStats(EventData):
    """Sent once a second: latency per hop (ms), drops by reason, bitrates (bit/s)."""

    type = "session.stats"
    hops: dict[str, dict[str, HopStats]] = Field(description="track, then hop in the order of the journey")
    drops: dict[str, int] = Field(description="'<track>/<reason>', counted since the session began")
    transport: dict[str, Any] = Field(description="what the transport measures: bitrate, jitter, loss, rtt")
    latency: LatencyStats | None = Field(None, description="where a latency is promised")


class GovernorStepped(EventData):
    """A stage works with less from now on, or with more again, so that the promised latency is kept."""

    type = "governor.stepped"
    index: int | None = Field(description="place in the pipeline, from 0; null: the track's frame rate")
    stage: str
    down: bool = Field(description="with less than before")
    before: str = Field(description="the rung's name")
    after: str = Field(description="the rung's name")
    says: str = Field(description="what that means, in a few words")
    why: str
    p95_ms: float = Field(description="what 95 of 100 frames of this track stayed below")
    latency_ms: int = Field(description="ms, the promised bound")


class LatencyMissed(EventData):
    """The promised latency can't be kept: no stage can do with less. Told once; the session goes on."""

    type = "latency.missed"
    why: str
    p95_ms: float = Field(description="what 95 of 100 frames of this track stay below")
    latency_ms: int = Field(description="ms, the promised bound")


class BitrateChanged(EventData):
    type = "bitrate.changed"
    bits_per_second: int
    reason: str


class MediaDropped(EventData):
    """The way to the client is too slow and media was dropped up to the next key frame."""

    type = "media.dropped"
    frames: int
    reason: str


class MediaRefused(EventData):
    """Something the client sent can't be used; the session goes on without it."""

    type = "media.refused"
    reason: str
    detail: str


# seeing ---------------------------------------------------------------------------------------------


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


# hearing --------------------------------------------------------------------------------------------


class SpeechStarted(EventData):
    """Somebody speaks, from `at` on."""

    type = "speech.started"
    at: float = Field(description="s of media time")


class SpeechStopped(EventData):
    """Nobody has spoken for as long as the endpointing waits."""

    type = "speech.stopped"
    at: float = Field(description="s of media time: where the speech ended, not where that was noticed")
    duration: float = Field(description="s")


class SpokenWord(BaseModel):
    text: str
    start: float = Field(description="s of media time")
    end: float = Field(description="s of media time")
    confidence: float | None = Field(None, description="0 to 1, null if the engine does not say")


class TranscriptPartial(EventData):
    """What the end of the utterance sounds like so far: replaces the last partial of this utterance."""

    type = "transcript.partial"
    utterance: str = Field(description="the same for all events of one utterance")
    text: str
    words: list[SpokenWord]
    engine: str = Field(description="which engine made it")
    language: str


class TranscriptCommitted(EventData):
    """Words that stay: appended to what this utterance already has, never changed again."""

    type = "transcript.committed"
    utterance: str
    text: str
    words: list[SpokenWord]
    engine: str
    model: str
    language: str
    speaker: str = Field(description="the track, or the name that the stage was given")
    final: bool = Field(description="true with the last words of the utterance; they may be none")


class HearingReady(EventData):
    """Which recogniser hears this track, and why that one."""

    type = "hearing.ready"
    engine: str
    model: str
    reason: str
    languages: list[str]


class InstalledModel(BaseModel):
    name: str
    title: str
    task: str = Field(description="what it is for, such as style-transfer")


class ModelsChanged(EventData):
    """Models came or went while the server runs; `GET /v1/stages` offers those that are here now."""

    type = "models.changed"
    added: list[InstalledModel]
    changed: list[InstalledModel] = Field(description="other files under the same name")
    removed: list[str] = Field(description="names")


class DownloadProgress(EventData):
    """Weights are on their way from a hub."""

    type = "download.progress"
    name: str
    done: int = Field(description="bytes")
    total: int | None = Field(None, description="bytes")
    state: Literal["running", "ready", "failed"]
    detail: str = ""


# speaking -------------------------------------------------------------------------------------------


class SpeechSpoken(EventData):
    """A clause begins to be heard; the times of its words are media times of the returned sound."""

    type = "speech.spoken"
    text: str
    voice: str
    engine: str
    words: list[SpokenWord]


# conversing -----------------------------------------------------------------------------------------


class AssistantState(EventData):
    type = "assistant.state"
    state: Literal["listening", "thinking", "speaking"]


class AssistantReply(EventData):
    """A piece of the reply's text, as the brain gives it."""

    type = "assistant.reply"
    turn: str
    delta: str
    final: bool = False


class AssistantInterrupted(EventData):
    """The user spoke: the reply stopped. `heard` is what of it reached the user; only that is remembered."""

    type = "assistant.interrupted"
    turn: str
    heard: str


class AssistantResumed(EventData):
    """That was a cough or an "mhm": the reply goes on."""

    type = "assistant.resumed"
    turn: str


class AssistantUnderstood(EventData):
    """An utterance is taken for a command, which it was heard as by its grammar; its transcript stays as it is."""

    type = "assistant.understood"
    utterance: str
    text: str = Field(description="the command as its phrase is said")


class AssistantAction(EventData):
    """A skill or a tool was used."""

    type = "assistant.action"
    name: str
    arguments: dict[str, Any]
    result: str
    ok: bool


class TurnLatency(EventData):
    """Where the time of one turn went, in ms from the end of the user's speech."""

    type = "turn.latency"
    turn: str
    endpoint: float = Field(description="ms until the turn was taken for over")
    recognition: float = Field(description="ms more until its words were final")
    brain: float = Field(description="ms more until the first words of the reply")
    voice: float = Field(description="ms more until the first sound of it")
    wire: float = Field(description="ms more until that left for the client")
    total: float = Field(description="ms, the sum")


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of every event's `data`, by type."""
    return {name: data.model_json_schema() for name, data in sorted(EVENTS.items())}
