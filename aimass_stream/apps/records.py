"""What is known of an app, as it is passed around."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import InvalidInput, NotFound
from ..ports import SCOPES, Caller

VersionState: TypeAlias = Literal["draft", "submitted", "approved", "rejected", "published", "retired"]
State: TypeAlias = Literal["draft", "submitted", "approved", "rejected", "published", "retired", "suspended"]
Sort: TypeAlias = Literal["new", "used", "featured", "name"]

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_SLUG = 48
RESERVED = frozenset({"new", "queue", "mine", "requests", "api", "app", "featured", "search"})
REASON = 2000  # characters


SERVER = Caller("server", role="admin", scopes=SCOPES)  # who probes, and suspends what fails


class Book(Protocol):
    """Where each step is written down, in the transaction that does it: `accounts.audit.Audit`."""

    async def add(self, connection: AsyncConnection, caller: Caller, what: str, object: str = "",
                  **details: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class App:
    id: str
    slug: str
    owner: str  # a user's or a team's id, "" for the server's own
    author: str
    name: str
    last: int  # number of the newest version
    live: int | None  # of the one that is published
    featured: bool
    created: float  # s since the epoch
    updated: float
    published: float | None
    suspended: float | None
    reason: str  # of the suspension
    used: int

    @property
    def open(self) -> bool:
        """Whether everybody may use it."""
        return self.live is not None and self.suspended is None


@dataclass(frozen=True, slots=True)
class Version:
    app: str  # id
    number: int
    state: VersionState
    manifest: dict[str, Any]
    revision: int
    author: str
    submitter: str
    reviewer: str
    reason: str
    created: float
    submitted: float | None
    decided: float | None
    published: float | None


def app_of(row: Row[Any]) -> App:
    return App(row.id, row.slug, row.owner, row.author, row.name, row.last, row.live, bool(row.featured), row.created,
               row.updated, row.published, row.suspended, row.reason, row.used)


def version_of(row: Row[Any]) -> Version:
    return Version(row.app, row.number, row.state, row.manifest, row.revision, row.author, row.submitter, row.reviewer,
                   row.reason, row.created, row.submitted, row.decided, row.published)


def who(caller: Caller) -> str:
    """As the audit log names them."""
    return caller.user or caller.name


def sees(caller: Caller, app: App) -> bool:
    return app.open or works_on(caller, app) or "apps:review" in caller.scopes


def works_on(caller: Caller, app: App) -> bool:
    """Whether they may look at drafts of it and change them."""
    return caller.owns(app.owner)


def is_own(caller: Caller, app: App, version: Version | None = None) -> bool:
    """Whether it is theirs to make, and so not theirs to judge: also for an admin."""
    makers = {app.author} | ({version.author, version.submitter} if version is not None else set())
    return who(caller) in makers or (app.owner != "" and app.owner in (caller.user, caller.team, *caller.teams))


def slug_of(text: str) -> str:
    """As it stands in addresses. Raises `InvalidInput`."""
    if len(text) > LONGEST_SLUG or not SLUG.fullmatch(text) or text in RESERVED or text.startswith("app_"):
        raise InvalidInput(f"a slug has small letters and digits with '-' between them, {LONGEST_SLUG} at most",
                           field="slug")
    return text


def slug_from(name: str) -> str:
    """What an app of this name may be found under."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: LONGEST_SLUG - 8].strip("-")
    return words if words and words not in RESERVED else f"a-{secrets.token_hex(4)}"


def missing(ref: str) -> NotFound:
    return NotFound(f"there is no app {ref[:64]!r}", field="app_id")
