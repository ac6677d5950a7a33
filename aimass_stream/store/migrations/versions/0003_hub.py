"""Models of the hub, their versions, files and aliases, what people think of them, and uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_hub"
down_revision = "0002_accounts"


def upgrade() -> None:
    op.create_table(
        "hub_models",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("visibility", sa.String, nullable=False),
        sa.Column("built_in", sa.Integer, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("licence", sa.String, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("downloads", sa.BigInteger, nullable=False),
        sa.Column("stars", sa.Integer, nullable=False),
        sa.Column("ratings", sa.Integer, nullable=False),
    )
    op.create_index("hub_models_by_owner", "hub_models", ["owner"])
    op.create_index("hub_models_by_time", "hub_models", ["updated", "id"])
    op.create_table(
        "hub_tags",
        sa.Column("tag", sa.String, primary_key=True),
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("hub_tags_by_model", "hub_tags", ["model"])
    op.create_table(
        "hub_versions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("creator", sa.String, nullable=False),
        sa.Column("format", sa.String, nullable=False),
        sa.Column("engine", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("told", sa.JSON, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("graph", sa.String),
        sa.UniqueConstraint("model", "number", name="hub_versions_by_number"),
    )
    op.create_index("hub_versions_by_state", "hub_versions", ["state"])
    op.create_table(
        "hub_files",
        sa.Column("version", sa.String, sa.ForeignKey("hub_versions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("path", sa.String, primary_key=True),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("hub_files_by_content", "hub_files", ["sha256"])
    op.create_table(
        "hub_aliases",
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("alias", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("canary", sa.Integer),
        sa.Column("share", sa.Integer, nullable=False),
        sa.Column("shadow", sa.Integer),
        sa.Column("updated", sa.Float, nullable=False),
    )
    op.create_table(
        "hub_deployments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("alias", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("canary", sa.Integer),
        sa.Column("share", sa.Integer, nullable=False),
        sa.Column("shadow", sa.Integer),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("hub_deployments_by_model", "hub_deployments", ["model", "alias", "at"])
    op.create_table(
        "hub_opinions",
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("stars", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table(
        "hub_comments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("model", sa.String, sa.ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("hub_comments_by_model", "hub_comments", ["model", "at", "id"])
    op.create_table(
        "hub_uploads",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("expected", sa.String),
        sa.Column("sha256", sa.String),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_index("hub_uploads_by_end", "hub_uploads", ["expires"])
    op.create_index("hub_uploads_by_owner", "hub_uploads", ["owner", "created"])
