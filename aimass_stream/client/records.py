"""What a server tells of models, people, keys, jobs: one dataclass each, made from its JSON.

What a newer server tells besides is left out; what an older one does not tell is as its default says. Times are in
seconds since the epoch, sizes in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .reading import read as read

State = Literal["checking", "ready", "refused", "quarantined"]


# models -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    name: str
    title: str = ""
    task: str = ""
    licence: str = ""
    tags: list[str] = field(default_factory=list)
    visibility: str = "private"
    owner: str = ""  # of a user or a team; empty: the server's own
    mine: bool = False  # whether one may change it
    built_in: bool = False
    created: float = 0
    updated: float = 0
    downloads: int = 0
    rating: float | None = None  # mean of 1 to 5 stars
    ratings: int = 0
    deployed: dict[str, int] = field(default_factory=dict)  # versions by alias
    card: str = ""  # Markdown; of one that was asked for by its name
    revision: int = 0  # of what stands here, for `change`


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    name: str
    number: int
    model: str  # as a pipeline or a request names it: name@number
    state: State
    reason: str = ""
    progress: float | None = None  # 0 to 1, while it is being checked
    message: str = ""
    note: str = ""
    created: float = 0
    format: str = ""
    engine: str = ""
    size: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)  # of one that was asked for by its number, as the manifest
    manifest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A version that is code; its `reason` says what it would call."""

    version: Version
    title: str = ""
    owner: str = ""  # id of a user or a team
    creator: str = ""  # id of the user who sent it
    owner_name: str = ""
    creator_name: str = ""
    own: bool = False  # the caller's: another admin has to decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    id: str
    name: str
    size: int
    offset: int  # bytes that are there
    sha256: str | None = None  # once it is whole
    created: float = 0
    expires: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    alias: str
    version: int
    canary: int | None = None  # the version that gets `share` % of what is new
    share: int = 0
    shadow: int | None = None  # the version that is asked, too, and not heard
    at: float = 0
    by: str = ""
    by_name: str = ""  # of the history


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    model: str
    asked: int = 0
    agreed: int = 0
    failed: int = 0
    left_out: int = 0
    difference: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aliases:
    aliases: list[Deployment]
    shadows: list[Shadow] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    output: dict[str, Any]
    ms: float
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A kind of it."""

    kind: str
    description: str
    takes: list[dict[str, Any]] = field(default_factory=list)  # format, here, install
    options: list[dict[str, Any]] = field(default_factory=list)  # name, type, default, description, choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A format that becomes ONNX when it is uploaded."""

    format: str
    files: str
    here: bool = True
    install: str = ""  # the command to be run on the server before


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    name: str
    model: str
    reason: str
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    rating: float | None
    ratings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    id: str
    name: str
    text: str
    at: float
    mine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    model: str
    version: str
    title: str = ""
    task: str = ""
    input: dict[str, Any] = field(default_factory=dict)  # JSON Schema
    output: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    output: Any
    model: str  # name@version that answered
    reason: str = ""  # why it was taken, of `auto`


# people -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: str
    name: str
    title: str = ""
    role: str = "user"
    state: str = "active"  # or invited, disabled, erased
    quotas: dict[str, int] = field(default_factory=dict)
    created: float = 0
    seen: float | None = None
    token: str = ""  # of an invitation or a link, right after it was made


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    name: str
    user: User | None = None  # None: the server's own key, or nobody in particular
    role: str = "user"
    scopes: list[str] = field(default_factory=list)
    team: str = ""
    teams: list[Membership] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A browser."""

    id: str
    address: str = ""
    agent: str = ""
    created: float = 0
    expires: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    limit: int | None
    used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    id: str
    prefix: str
    title: str = ""
    user: str = ""
    user_name: str = ""  # in lists
    team: str = ""
    scopes: list[str] = field(default_factory=list)
    quotas: dict[str, int] = field(default_factory=dict)
    created: float = 0
    expires: float | None = None
    revoked: float | None = None
    used: float | None = None
    key: str = field(default="", repr=False)  # right after it was made, and never again


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    user: str
    name: str
    title: str = ""
    role: str = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    id: str
    name: str
    title: str = ""
    quotas: dict[str, int] = field(default_factory=dict)
    created: float = 0
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Of the audit log."""

    id: int
    at: float
    who: str
    name: str = ""
    key: str = ""
    address: str = ""
    what: str = ""
    object: str = ""
    details: dict[str, Any] = field(default_factory=dict)


# jobs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    name: str
    media_type: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    kind: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    waiting: int = 0
    progress: float = 0  # 0 to 1
    message: str = ""
    eta: float | None = None  # s
    preview: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None  # the problem, of one that failed
    result: Result | None = None
    attempts: int = 0
    created: float = 0
    expires: float | None = None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


# batches ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFile:
    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str  # batch, or batch_output
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    id: str
    endpoint: str
    input_file_id: str
    status: Literal["validating", "in_progress", "completed", "failed", "cancelling", "cancelled"]
    created_at: int
    job: str  # its id in `client.jobs`
    request_counts: dict[str, int] = field(default_factory=dict)  # total, completed, failed
    errors: dict[str, Any] | None = None
    output_file_id: str | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    metadata: dict[str, str] | None = None


# usage --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """ms."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    value: str  # which key, app or model, or when it began
    title: str = ""  # what people call the key or the app
    requests: int = 0
    errors: int = 0
    latency: Percentiles | None = None
    sessions: int = 0
    session_minutes: float = 0
    drops: int = 0
    frame_latency: Percentiles | None = None
    first_words_latency: Percentiles | None = None


# how versions of models do ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackGiven:
    id: str
    verdict: str
    sample: bool = False  # whether what was sent with it is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFeedback:
    id: str
    name: str  # who said it
    verdict: str  # right or wrong
    comment: str = ""
    sample: dict[str, Any] | None = None  # input, expected
    at: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    id: str
    metric: str  # error_rate, p95_ms, drift_psi or wrong_share
    above: float
    over_s: int = 300
    min_requests: int = 10
    version: int | None = None  # None: all of the model's
    webhook: str = ""
    state: str = "well"  # or firing
    value: float | None = None  # when the state began
    since: float = 0
    detail: str = ""  # why the webhook could not be reached


# apps ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    id: str
    slug: str
    name: str
    summary: str = ""
    tags: list[str] = field(default_factory=list)
    permissions: list[str] = field(default_factory=list)
    owner: str = ""
    mine: bool = False
    state: str = "draft"  # submitted, approved, rejected, published, retired, suspended
    version: int = 1  # the one shown
    live: int | None = None  # the one that is published
    featured: bool = False
    used: int = 0
    created: float = 0
    updated: float = 0
    published: float | None = None
    description: str = ""  # Markdown; of one that was asked for by its name, as what follows
    pipeline: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)  # JSON Schema of what can be set
    example: dict[str, Any] | None = None
    embed: list[str] = field(default_factory=list)
    latency_ms: int = 0
    reason: str = ""  # of a rejection or a suspension


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVersion:
    app_id: str
    version: int
    state: str
    manifest: dict[str, Any] = field(default_factory=dict)
    revision: int = 0
    author: str = ""
    submitter: str = ""
    reviewer: str = ""
    reason: str = ""
    created: float = 0
    submitted: float | None = None
    decided: float | None = None
    published: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of the operator."""

    id: str
    kind: str  # model, quota or other
    subject: str
    text: str = ""
    user: str = ""  # who asks
    user_name: str = ""  # in lists
    owner: str = ""  # for whom: a user or a team
    state: str = "open"  # or granted, declined
    answer: str = ""
    answered_by: str = ""
    created: float = 0
    answered: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """For a reviewer."""

    app: App
    version: AppVersion
    own: bool = False  # another one has to decide
