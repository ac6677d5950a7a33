"""An app centre on a database of its own, people who use it, and an app."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401  its import takes a while: not inside a test

import aimass_stream.api.apps
import aimass_stream.hub.hub
import aimass_stream.usage  # noqa: F401
from aimass_stream.accounts.audit import Audit
from aimass_stream.apps.apps import Apps, Rules
from aimass_stream.ports import ROLES, Caller
from aimass_stream.stages import Registry
from aimass_stream.store.database import METADATA, Database

ADA = Caller("ada", user="usr_ada", role="developer", scopes=ROLES["developer"])
BOB = Caller("bob", user="usr_bob", scopes=ROLES["user"])
REVIEWER = Caller("rita", user="usr_rita", role="reviewer", scopes=ROLES["reviewer"])
ADMIN = Caller("admin", user="usr_admin", role="admin", scopes=ROLES["admin"])
TEAM = Caller("carl", user="usr_carl", team="team_1", role="reviewer", scopes=ROLES["reviewer"],
              teams=frozenset({"team_1"}))
STAGES = Registry()
STAGES.load()

MANIFEST: dict[str, Any] = {
    "name": "Soft focus", "summary": "A softer picture", "tags": ["Camera"],
    "pipeline": [{"stage": "blur", "id": "soft", "sigma": 4}, {"stage": "text", "id": "label", "text": "hello"}],
    "parameters": {"softness": {"path": "soft.sigma", "title": "How soft", "minimum": 1, "maximum": 20},
                   "words": {"path": "label.text", "max_length": 12}},
    "permissions": ["camera"],
    "example": {"input": {"picture": {"draw": "EXIT"}, "count": 3}, "expect": {"video": 2, "changed": True}},
}


def manifest(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(MANIFEST) | changes


@dataclass(frozen=True, slots=True)
class Centre:
    apps: Apps
    audit: Audit
    database: Database

    async def steps(self, app: str) -> list[str]:
        """What was written down of it, the oldest first."""
        return [entry.what for entry in reversed(await self.audit.find(object=app))]


@asynccontextmanager
async def opened(place: Path | str, rules: Rules | None = None,
                 clock: Callable[[], float] = time.time) -> AsyncIterator[Centre]:
    """In a folder, with tables made as they are declared; or at a URL, where migrations make them."""
    made = Database(place) if isinstance(place, str) else Database(place / "apps.db", migrations=[METADATA.create_all])
    async with made as database:
        audit = Audit(database)
        yield Centre(Apps(database, STAGES, audit, rules, clock), audit, database)


async def published(apps: Apps, caller: Caller = ADA, reviewer: Caller = REVIEWER, slug: str | None = None,
                    **changes: Any) -> str:
    """An app that everybody may use; its id."""
    app, version = await apps.catalogue.create(caller, manifest(**changes), slug)
    await apps.review.submit(caller, app.id, version.number)
    await apps.review.approve(reviewer, app.id, version.number)
    await apps.review.publish(caller, app.id, version.number)
    return app.id
