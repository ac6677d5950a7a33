"""Users, their keys, cookie sessions, invitations, teams, and the log of who did what.

Rows carry the `version` of the change that made them what they are, counted in `VERSIONS`: a process that keeps them
in memory asks for what is newer than what it has. The audit log can only be added to: triggers refuse the rest, and let
go what is older than `AUDIT_LEAST`.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    event,
)

from ..store.database import METADATA

AUDIT_LEAST = 30 * 86400  # s

VERSIONS = Table(
    "versions", METADATA,
    Column("name", String, primary_key=True),
    Column("value", Integer, nullable=False),
)
USERS = Table(
    "users", METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),  # to sign in with
    Column("title", String, nullable=False, default=""),  # for people
    Column("password", String),  # argon2's string; none until an invitation is taken
    Column("role", String, nullable=False),
    Column("state", String, nullable=False),  # invited, active, disabled, erased
    Column("quotas", JSON, nullable=False),
    Column("created", Float, nullable=False),  # s since the epoch, as all times here
    Column("seen", Float),  # the last time of signing in
    Column("version", Integer, nullable=False, index=True),
)
TEAMS = Table(
    "teams", METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("title", String, nullable=False, default=""),
    Column("state", String, nullable=False),  # active, erased
    Column("quotas", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("version", Integer, nullable=False, index=True),
)
MEMBERS = Table(
    "members", METADATA,
    Column("team", ForeignKey("teams.id"), primary_key=True),
    Column("user", ForeignKey("users.id"), primary_key=True, index=True),
    Column("role", String, nullable=False),  # owner, member
    Column("since", Float, nullable=False),
)
KEYS = Table(
    "keys", METADATA,
    Column("id", String, primary_key=True),
    Column("prefix", String, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),  # SHA-256 of the secret
    Column("title", String, nullable=False, default=""),
    Column("user", ForeignKey("users.id"), index=True),  # none: the server's own
    Column("team", ForeignKey("teams.id"), index=True),
    Column("scopes", JSON, nullable=False),
    Column("quotas", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
    Column("used", Float),
    Column("version", Integer, nullable=False, index=True),
)
SIGN_INS = Table(
    "sign_ins", METADATA,
    Column("id", String, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of the cookie
    Column("user", ForeignKey("users.id"), nullable=False, index=True),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("ended", Float),
    Column("version", Integer, nullable=False, index=True),
)
INVITATIONS = Table(
    "invitations", METADATA,
    Column("hash", LargeBinary, primary_key=True),  # SHA-256 of what is in the link
    Column("user", ForeignKey("users.id"), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
AUDIT = Table(
    "audit", METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),  # a user's id, or what else may act: api-key, anyone
    Column("key", String, nullable=False),  # the id of the key or cookie session that was shown
    Column("address", String, nullable=False),
    Column("what", String, nullable=False),  # as key.revoked
    Column("object", String, nullable=False),  # an id
    Column("details", JSON, nullable=False),
    Index("audit_by_who", "who", "id"),
    Index("audit_by_what", "what", "id"),
    Index("audit_by_object", "object", "id"),
    Index("audit_by_time", "at"),
    sqlite_autoincrement=True,  # a number is never given twice
)

SQLITE_TRIGGERS = (
    "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit "
    f"WHEN OLD.at > CAST(strftime('%s', 'now') AS REAL) - {AUDIT_LEAST} "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)
POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF TG_OP = 'DELETE' AND OLD.at <= extract(epoch FROM now()) - {AUDIT_LEAST} THEN RETURN OLD; END IF; "
    "RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays()",
)
for _dialect, _triggers in (("sqlite", SQLITE_TRIGGERS), ("postgresql", POSTGRESQL_TRIGGERS)):
    for _trigger in _triggers:
        # "%" is DDL's own sign
        event.listen(AUDIT, "after_create",
                     DDL(_trigger.replace("%", "%%")).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
