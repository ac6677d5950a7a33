"""Jobs, and the blobs that they are given and make."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_jobs"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("blob", sa.String),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("idempotency_key", sa.String),
        sa.Column("webhook", sa.String),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("worker", sa.String),
        sa.Column("lease", sa.String),
        sa.Column("cancelling", sa.Integer, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("begun", sa.Float),
        sa.Column("ended", sa.Float),
        sa.Column("expires", sa.Float),
        sa.Column("due", sa.Float, nullable=False),
        sa.UniqueConstraint("owner", "idempotency_key", name="jobs_by_key"),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "due"])
    op.create_index("jobs_by_owner", "jobs", ["owner", "created"])
    op.create_table(
        "job_blobs",
        sa.Column("job", sa.String, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.String, primary_key=True),
    )
    op.create_index("job_blobs_by_content", "job_blobs", ["sha256"])
