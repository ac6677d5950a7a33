"""The hub's tables. Times are s since the epoch; owners are ids of users or teams, "" for the server's own."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ..store.database import METADATA

MODELS = Table(
    "hub_models", METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("owner", String, nullable=False),
    Column("visibility", String, nullable=False),  # private, team, public
    Column("built_in", Integer, nullable=False),
    Column("title", String, nullable=False),
    Column("task", String, nullable=False),
    Column("licence", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("card", Text, nullable=False),  # Markdown
    Column("words", Text, nullable=False),  # what is searched, in small letters
    Column("revision", Integer, nullable=False),  # of what stands here: for ETags
    Column("last", Integer, nullable=False),  # version's number that was given: none is given twice
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("downloads", BigInteger, nullable=False),
    Column("stars", Integer, nullable=False),  # of all ratings together
    Column("ratings", Integer, nullable=False),
    Index("hub_models_by_time", "updated", "id"),
    Index("hub_models_by_owner", "owner"),
)

TAGS = Table(
    "hub_tags", METADATA,
    Column("tag", String, primary_key=True),
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
    Index("hub_tags_by_model", "model"),
)

VERSIONS = Table(
    "hub_versions", METADATA,
    Column("id", String, primary_key=True),
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String, nullable=False),  # checking, ready, refused, quarantined
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("creator", String, nullable=False),
    Column("format", String, nullable=False),
    Column("engine", String, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes of all files
    Column("told", JSON, nullable=False),  # of the manifest, by whoever sent it
    Column("manifest", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("graph", String),  # blob
    UniqueConstraint("model", "number", name="hub_versions_by_number"),
    Index("hub_versions_by_state", "state"),
)

FILES = Table(
    "hub_files", METADATA,
    Column("version", String, ForeignKey("hub_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("path", String, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("hub_files_by_content", "sha256"),
)

ALIASES = Table(
    "hub_aliases", METADATA,
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
    Column("alias", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("canary", Integer),  # another version's number
    Column("share", Integer, nullable=False),  # % of what is new that goes to the canary
    Column("shadow", Integer),  # a version that is asked, too, and not heard
    Column("updated", Float, nullable=False),
)

DEPLOYMENTS = Table(
    "hub_deployments", METADATA,
    Column("id", String, primary_key=True),
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
    Column("alias", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("canary", Integer),
    Column("share", Integer, nullable=False),
    Column("shadow", Integer),
    Column("by", String, nullable=False),
    Column("at", Float, nullable=False),
    Index("hub_deployments_by_model", "model", "alias", "at"),
)

OPINIONS = Table(
    "hub_opinions", METADATA,
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), primary_key=True),
    Column("owner", String, primary_key=True),
    Column("stars", Integer, nullable=False),
    Column("at", Float, nullable=False),
)

COMMENTS = Table(
    "hub_comments", METADATA,
    Column("id", String, primary_key=True),
    Column("model", String, ForeignKey("hub_models.id", ondelete="CASCADE"), nullable=False),
    Column("owner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("hub_comments_by_model", "model", "at", "id"),
)

UPLOADS = Table(
    "hub_uploads", METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("expected", String),  # SHA-256 that the client told
    Column("sha256", String),  # once all of it is here
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Index("hub_uploads_by_owner", "owner", "created"),
    Index("hub_uploads_by_end", "expires"),
)
