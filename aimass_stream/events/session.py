"""What happens to a session: its course, its stages, its latency, and the models of its server."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from .registry import EventData


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


EndedBy: TypeAlias = Literal["client", "request", "server"]


class SessionEnded(EventData):
    type = "session.ended"
    reason: str
    by: EndedBy = Field(description="its own client; a request over HTTP by who may; or the server, which stops, has "
                                    "failed, or has waited in vain for the client")


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
    kept: bool | None = Field(description="null where nothing can be said of a track: too little came out of it lately")
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
