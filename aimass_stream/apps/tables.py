"""Apps, their versions, what came of their sessions by day, and what people ask the operator for."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from ..store.database import METADATA

APPS = Table(
    "apps", METADATA,
    Column("id", String, primary_key=True),
    Column("slug", String, nullable=False, unique=True),
    Column("owner", String, nullable=False, index=True),  # a user's or a team's id, "" for the server's own
    Column("author", String, nullable=False),  # who made it: a user's id, or anyone, api-key
    Column("last", Integer, nullable=False),  # number of the newest version
    Column("live", Integer),  # of the one that is published
    Column("featured", Integer, nullable=False),
    Column("name", String, nullable=False),  # of what is published, else of the newest version; likewise `words`
    Column("words", Text, nullable=False),  # what is searched through, in small letters
    Column("created", Float, nullable=False),  # s since the epoch, as all times here
    Column("updated", Float, nullable=False),
    Column("published", Float),  # the first time
    Column("suspended", Float),
    Column("reason", Text, nullable=False),  # of the suspension
    Column("used", BigInteger, nullable=False),  # sessions and runs, ever
    Index("apps_by_time", "published", "id"),
    Index("apps_by_use", "used", "id"),
)
VERSIONS = Table(
    "app_versions", METADATA,
    Column("app", ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String, nullable=False, index=True),  # draft, submitted, approved, rejected, published, retired
    Column("manifest", JSON, nullable=False),
    Column("revision", Integer, nullable=False),  # of the manifest while it is a draft
    Column("author", String, nullable=False),  # who changed it last
    Column("submitter", String, nullable=False),
    Column("reviewer", String, nullable=False),
    Column("reason", Text, nullable=False),  # of the rejection, or a word with the approval
    Column("created", Float, nullable=False),
    Column("submitted", Float),
    Column("decided", Float),
    Column("published", Float),
)
DAYS = Table(
    "app_days", METADATA,
    Column("app", ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True),  # days since the epoch, UTC
    Column("sessions", Integer, nullable=False),
    Column("runs", Integer, nullable=False),  # by REST
    Column("probes", Integer, nullable=False),
    Column("failed", Integer, nullable=False),  # of all three
    Column("seconds", Float, nullable=False),  # of sessions
    Column("latencies", JSON, nullable=False),  # sessions by their median latency, in the buckets of health.BUCKETS
)
PROBES = Table(
    "app_probes", METADATA,
    Column("app", ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Float, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("seconds", Float, nullable=False),
)
REQUESTS = Table(
    "requests", METADATA,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False, index=True),  # who asks: a user's id, or anyone, api-key
    Column("owner", String, nullable=False),  # for whom
    Column("kind", String, nullable=False),  # model, quota, other
    Column("subject", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String, nullable=False),  # open, granted, declined
    Column("answer", Text, nullable=False),
    Column("answered_by", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("answered", Float),
    Index("requests_by_time", "created", "id"),
)
