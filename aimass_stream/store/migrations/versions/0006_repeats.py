"""Answers to requests with an idempotency key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_repeats"
down_revision = "0005_usage"


def upgrade() -> None:
    op.create_table(
        "repeats",
        sa.Column("who", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.JSON),
        sa.Column("body", sa.LargeBinary),
        sa.Column("begun", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_index("repeats_by_expiry", "repeats", ["expires"])
    op.create_index("repeats_by_owner", "repeats", ["owner"])
