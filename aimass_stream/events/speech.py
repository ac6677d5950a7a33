"""What is heard and said, and the conversation that comes of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from .registry import EventData


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


class SpeechSpoken(EventData):
    """A clause begins to be heard; the times of its words are media times of the returned sound."""

    type = "speech.spoken"
    text: str
    voice: str
    engine: str
    words: list[SpokenWord]


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
