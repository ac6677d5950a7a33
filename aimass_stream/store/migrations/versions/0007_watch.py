"""How versions of models do: requests, inputs, feedback, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_watch"
down_revision = "0006_repeats"


def upgrade() -> None:
    op.create_table(
        "watch_counts",
        _version(),
        sa.Column("span", sa.String, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        *(sa.Column(f"b{number}", sa.BigInteger, nullable=False) for number in range(32)),
    )
    op.create_index("watch_counts_by_time", "watch_counts", ["span", "start"])
    op.create_table(
        "watch_baselines",
        _version(),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("features", sa.Text, nullable=False),
    )
    op.create_table(
        "watch_hours",
        _version(),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("features", sa.Text, nullable=False),
    )
    op.create_index("watch_hours_by_time", "watch_hours", ["start"])
    op.create_table(
        "watch_wishes",
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("collect_samples", sa.Integer, nullable=False),
    )
    op.create_table(
        "watch_feedback",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("version", sa.String, sa.ForeignKey("hub_versions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("sample", sa.Text),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("watch_feedback_by_version", "watch_feedback", ["version", "at", "id"])
    op.create_index("watch_feedback_by_owner", "watch_feedback", ["owner"])
    op.create_index("watch_feedback_by_time", "watch_feedback", ["at"])
    op.create_table(
        "watch_alerts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("metric", sa.String, nullable=False),
        sa.Column("above", sa.Float, nullable=False),
        sa.Column("over_s", sa.Integer, nullable=False),
        sa.Column("min_requests", sa.Integer, nullable=False),
        sa.Column("webhook", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("watch_alerts_by_model", "watch_alerts", ["model", "place"])


def _version() -> sa.Column[str]:
    return sa.Column("version", sa.String, sa.ForeignKey("hub_versions.id", ondelete="CASCADE"), primary_key=True)
