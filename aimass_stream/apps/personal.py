"""A person's apps and requests, for who wants to have or erase what is theirs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from ..store.database import Database
from .tables import APPS, REQUESTS, VERSIONS


class AppsOfPeople:
    """Implements `ports.Personal`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def export(self, user: str) -> Any:
        async with self._database.read() as connection:
            apps = (await connection.execute(select(APPS).where(APPS.c.owner == user).order_by(APPS.c.created))).all()
            versions = (await connection.execute(select(VERSIONS).where(
                VERSIONS.c.app.in_([app.id for app in apps])).order_by(VERSIONS.c.number))).all()
            asked = (await connection.execute(select(REQUESTS).where(REQUESTS.c.user == user)
                                              .order_by(REQUESTS.c.created))).all()
        return {
            "apps": [{"id": app.id, "slug": app.slug, "created": app.created, "published": app.published,
                      "versions": [{"version": row.number, "state": row.state, "manifest": row.manifest,
                                    "reason": row.reason} for row in versions if row.app == app.id]} for app in apps],
            "requests": [{"id": row.id, "kind": row.kind, "subject": row.subject, "text": row.text,
                          "state": row.state, "answer": row.answer, "created": row.created} for row in asked]}

    async def erase(self, user: str) -> None:
        """Their apps, published ones as well; a team's stay. Sessions that they began go on."""
        async with self._database.begin() as connection:
            await connection.execute(delete(APPS).where(APPS.c.owner == user))
            await connection.execute(delete(REQUESTS).where(REQUESTS.c.user == user))
