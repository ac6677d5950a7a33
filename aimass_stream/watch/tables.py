"""What is counted of a version, what its inputs are like, what people say of its answers, and who is told when."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from ..store.database import METADATA
from ..usage.meter import BUCKETS

COUNTS = Table(
    "watch_counts", METADATA,
    Column("version", String, ForeignKey("hub_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("span", String, primary_key=True),  # minute, day
    Column("start", BigInteger, primary_key=True),  # s since the epoch
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    *(Column(f"b{number}", BigInteger, nullable=False) for number in range(BUCKETS)),
    Index("watch_counts_by_time", "span", "start"),
)

BASELINES = Table(
    "watch_baselines", METADATA,
    Column("version", String, ForeignKey("hub_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("since", Float, nullable=False),  # s since the epoch, as all times here: its first request
    Column("until", Float, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("features", Text, nullable=False),  # JSON, read in a thread: by name, as `histogram.Histogram`
)

HOURS = Table(
    "watch_hours", METADATA,
    Column("version", String, ForeignKey("hub_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("samples", BigInteger, nullable=False),
    Column("features", Text, nullable=False),
    Index("watch_hours_by_time", "start"),
)

WISHES = Table(
    "watch_wishes", METADATA,  # of a model's owner
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
    Column("collect_samples", Integer, nullable=False),
)

FEEDBACK = Table(
    "watch_feedback", METADATA,
    Column("id", String, primary_key=True),
    Column("version", String, ForeignKey("hub_versions.id", ondelete="CASCADE"), nullable=False),
    Column("owner", String, nullable=False),  # a user's id, "" where nobody signed in
    Column("name", String, nullable=False),  # of who said it, as they were called then
    Column("verdict", String, nullable=False),  # right, wrong
    Column("comment", Text, nullable=False),
    Column("sample", Text),  # JSON: input, expected
    Column("size", Integer, nullable=False),  # bytes of the sample
    Column("at", Float, nullable=False),
    Index("watch_feedback_by_version", "version", "at", "id"),
    Index("watch_feedback_by_owner", "owner"),
    Index("watch_feedback_by_time", "at"),
)

ALERTS = Table(
    "watch_alerts", METADATA,
    Column("id", String, primary_key=True),
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
    Column("place", Integer, nullable=False),  # among the model's
    Column("version", Integer),  # its number; null: all of them together
    Column("metric", String, nullable=False),  # error_rate, p95_ms, drift_psi, wrong_share
    Column("above", Float, nullable=False),
    Column("over_s", Integer, nullable=False),
    Column("min_requests", Integer, nullable=False),
    Column("webhook", String, nullable=False),
    Column("state", String, nullable=False),  # well, firing
    Column("value", Float),  # when the state began
    Column("since", Float, nullable=False),
    Column("told", Integer, nullable=False),  # whether the webhook was, or there is none
    Column("detail", Text, nullable=False),  # why it could not be told
    Index("watch_alerts_by_model", "model", "place"),
)
