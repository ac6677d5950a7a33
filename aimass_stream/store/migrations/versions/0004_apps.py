"""Apps, their versions, what came of their sessions, and what people ask the operator for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_apps"
down_revision = "0003_hub"


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("slug", sa.String, nullable=False, unique=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("live", sa.Integer),
        sa.Column("featured", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("published", sa.Float),
        sa.Column("suspended", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_apps_owner", "apps", ["owner"])
    op.create_index("apps_by_time", "apps", ["published", "id"])
    op.create_index("apps_by_use", "apps", ["used", "id"])
    op.create_table(
        "app_versions",
        sa.Column("app", sa.String, sa.ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("submitter", sa.String, nullable=False),
        sa.Column("reviewer", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("submitted", sa.Float),
        sa.Column("decided", sa.Float),
        sa.Column("published", sa.Float),
    )
    op.create_index("ix_app_versions_state", "app_versions", ["state"])
    op.create_table(
        "app_days",
        sa.Column("app", sa.String, sa.ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("probes", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("latencies", sa.JSON, nullable=False),
    )
    op.create_table(
        "app_probes",
        sa.Column("app", sa.String, sa.ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("answered_by", sa.String, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("answered", sa.Float),
    )
    op.create_index("ix_requests_user", "requests", ["user"])
    op.create_index("requests_by_time", "requests", ["created", "id"])
