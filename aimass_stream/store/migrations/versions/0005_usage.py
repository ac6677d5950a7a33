"""Use by hour and by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_usage"
down_revision = "0004_apps"


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("span", sa.String, primary_key=True),
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("by", sa.String, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("value", sa.String, primary_key=True),
        sa.Column("what", sa.String, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("drops", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        *(sa.Column(f"b{number}", sa.BigInteger, nullable=False) for number in range(32)),
    )
