"""Apps and their versions: who sees which, drafts and their changes, lists."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Select, and_, delete, desc, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, Forbidden, NotFound, Stale
from ..ports import Caller
from ..spec import PipelineSpec
from ..store.database import Database
from .manifests import Manifest, Stages, manifest_of, manifest_read
from .records import App, Book, Sort, Version, app_of, missing, sees, slug_from, slug_of, version_of, who, works_on
from .tables import APPS, VERSIONS

MOST_VERSIONS = 1000  # of one app
OPEN = ("draft", "submitted", "approved", "rejected")  # states of a version that is still on its way


@dataclass(frozen=True, slots=True)
class Search:
    words: str = ""
    mine: bool = False
    sort: Sort = "new"


class Catalogue:
    def __init__(self, database: Database, stages: Stages, book: Book, clock: Callable[[], float] = time.time) -> None:
        self.database, self.stages, self.book, self.clock = database, stages, book, clock
        self.pin: Callable[[Caller, PipelineSpec], PipelineSpec] = lambda caller, spec: spec  # as `Node.pin`

    # looking ---------------------------------------------------------------------------------------

    async def get(self, caller: Caller, ref: str) -> App:
        """By id or slug, if they may see it. Raises `NotFound`."""
        async with self.database.read() as connection:
            return await found(connection, caller, ref)

    async def version(self, caller: Caller, ref: str, number: int | None = None) -> tuple[App, Version]:
        """That one, or else what is published, or else, for those who work on it, the newest. Raises `NotFound`."""
        async with self.database.read() as connection:
            app = await found(connection, caller, ref)
            insider = works_on(caller, app) or "apps:review" in caller.scopes
            wanted = number if number is not None else app.live if app.live is not None else app.last
            if not insider and wanted != app.live:
                raise NotFound(f"{app.slug} has no version {wanted} that you may see", field="version")
            return app, await one(connection, app, wanted)

    async def versions(self, caller: Caller, ref: str) -> tuple[App, list[Version]]:
        """The newest first; to the public, what is published."""
        async with self.database.read() as connection:
            app = await found(connection, caller, ref)
            query = select(VERSIONS).where(VERSIONS.c.app == app.id).order_by(VERSIONS.c.number.desc())
            if not (works_on(caller, app) or "apps:review" in caller.scopes):
                query = query.where(VERSIONS.c.number == app.live)
            return app, [version_of(row) for row in await connection.execute(query)]

    async def find(self, caller: Caller, search: Search, limit: int, after: tuple[Any, ...] | None = None) -> list[App]:
        """`search.sort`: the newest, the most used, by name, or the newest of those that are featured."""
        query = select(APPS)
        if search.mine:
            query = query.where(_whose(caller))
        else:
            query = query.where(APPS.c.live.is_not(None), APPS.c.suspended.is_(None))
        for word in _plain(search.words).lower().split():
            query = query.where(APPS.c.words.contains(word, autoescape=True))
        if search.sort == "featured":
            query = query.where(APPS.c.featured == 1)
        query = _sorted(query, search, after)
        async with self.database.read() as connection:
            return [app_of(row) for row in await connection.execute(query.limit(limit))]

    async def with_versions(self, apps: list[App]) -> list[tuple[App, Version]]:
        """Each with what is published of it, or else its newest."""
        wanted = [(app.id, app.live if app.live is not None else app.last) for app in apps]
        query = select(VERSIONS).where(tuple_(VERSIONS.c.app, VERSIONS.c.number).in_(wanted))
        async with self.database.read() as connection:
            versions = {row.app: version_of(row) for row in await connection.execute(query)}
        return [(app, versions[app.id]) for app in apps if app.id in versions]

    async def called(self, caller: Caller, ids: Collection[str]) -> dict[str, str]:
        """What people call those of these apps that the caller may see, by their ids; with its slug where that does
        not follow from the name, as of two that are called alike."""
        if not ids:
            return {}
        async with self.database.read() as connection:
            apps = [app_of(row) for row in await connection.execute(select(APPS).where(APPS.c.id.in_(ids)))]
        return {app.id: app.name if slug_from(app.name) == app.slug else f"{app.name} ({app.slug})"
                for app in apps if sees(caller, app)}

    async def queue(self, limit: int = 200) -> list[tuple[App, Version]]:
        """What waits for a reviewer, the oldest first."""
        query = select(VERSIONS).where(VERSIONS.c.state == "submitted").order_by(VERSIONS.c.submitted).limit(limit)
        async with self.database.read() as connection:
            versions = [version_of(row) for row in await connection.execute(query)]
            rows = await connection.execute(select(APPS).where(APPS.c.id.in_({each.app for each in versions})))
            apps = {row.id: app_of(row) for row in rows}
        return [(apps[each.app], each) for each in versions]

    async def live(self) -> list[App]:
        """All that everybody may use."""
        async with self.database.read() as connection:
            rows = await connection.execute(select(APPS).where(APPS.c.live.is_not(None), APPS.c.suspended.is_(None))
                                            .order_by(APPS.c.id))
            return [app_of(row) for row in rows]

    def read(self, caller: Caller, manifest: object) -> Manifest:
        """Checked whole, with models as they are called by what this caller may use. Raises `InvalidInput` or
        `InvalidPipeline`, also where a stage that it needs is no longer installed."""
        checked = manifest_of(manifest, self.stages, partial(self.pin, caller))
        if checked.example is not None:
            spec = self.pin(caller, checked.with_values(checked.pipeline, checked.example.parameters))
            spec.validate(self.stages.params, self.stages.names)
        return checked

    def kept(self, version: Version) -> Manifest:
        """As it was when it was checked, whatever is installed now."""
        return manifest_read(version.manifest)

    # drafts ----------------------------------------------------------------------------------------

    async def create(self, caller: Caller, manifest: object, slug: str | None = None) -> tuple[App, Version]:
        """A draft that only its owner, a person or the team of a key, and reviewers see.

        Raises `InvalidInput`, or `Conflict` where the slug is taken.
        """
        checked = self.read(caller, manifest)
        app, moment = f"app_{secrets.token_urlsafe(12)}", self.clock()
        async with self.database.begin() as connection:
            chosen = await _free(connection, slug, checked.name)
            await connection.execute(insert(APPS).values(
                id=app, slug=chosen, owner=caller.owner, author=who(caller), last=1, live=None, featured=0,
                name=checked.name, words=f"{chosen} {checked.words}", created=moment, updated=moment, published=None,
                suspended=None, reason="", used=0))
            await connection.execute(insert(VERSIONS).values(
                app=app, number=1, **_fresh(caller, checked.json(), moment)))
            await self.book.add(connection, caller, "app.created", app, slug=chosen)
        return await self.version(caller, app, 1)

    async def revise(self, caller: Caller, ref: str, number: int, manifest: object,
                     revision: int | None = None) -> Version:
        """Change a draft, or what was rejected, which is then a draft again. Raises `Conflict` for others, and
        `Stale` where somebody else changed `revision` meanwhile."""
        checked = self.read(caller, manifest)
        async with self.database.begin() as connection:
            app = await workable(connection, caller, ref)
            version = await one(connection, app, number)
            if version.state not in ("draft", "rejected"):
                raise Conflict(f"version {number} is {version.state}: only drafts are changed", field="version")
            if revision is not None and revision != version.revision:
                raise Stale("somebody else changed this meanwhile", field="If-Match")
            await connection.execute(update(VERSIONS).where(
                VERSIONS.c.app == app.id, VERSIONS.c.number == number).values(
                manifest=checked.json(), revision=version.revision + 1, state="draft", author=who(caller)))
            await self._renamed(connection, app, checked)
            await self.book.add(connection, caller, "app.changed", app.id, version=number)
            return await one(connection, app, number)

    async def begin_version(self, caller: Caller, ref: str, manifest: object = None) -> Version:
        """A further draft, while another version is published. Raises `Conflict` while one is on its way."""
        checked = None if manifest is None else self.read(caller, manifest)
        async with self.database.begin() as connection:
            app = await workable(connection, caller, ref)
            last = await one(connection, app, app.last)
            if last.state in OPEN:
                raise Conflict(f"version {last.number} is {last.state}: one at a time", field="version")
            if app.last >= MOST_VERSIONS:
                raise Conflict(f"an app has at most {MOST_VERSIONS} versions", field="version")
            number, content = app.last + 1, last.manifest if checked is None else checked.json()
            await connection.execute(insert(VERSIONS).values(
                app=app.id, number=number, **_fresh(caller, content, self.clock())))
            await connection.execute(update(APPS).where(APPS.c.id == app.id).values(last=number, updated=self.clock()))
            await self.book.add(connection, caller, "app.version", app.id, version=number)
            return await one(connection, app, number)

    async def delete(self, caller: Caller, ref: str) -> App:
        """With all its versions; sessions that it began go on. Raises `Conflict` while it is published."""
        async with self.database.begin() as connection:
            app = await workable(connection, caller, ref)
            if app.live is not None:
                raise Conflict(f"{app.slug} is published: take it back first", field="app_id")
            for table in (VERSIONS, APPS):
                column = VERSIONS.c.app if table is VERSIONS else APPS.c.id
                await connection.execute(delete(table).where(column == app.id))
            await self.book.add(connection, caller, "app.deleted", app.id, slug=app.slug)
            return app

    async def _renamed(self, connection: AsyncConnection, app: App, manifest: Manifest) -> None:
        """Until it is published, its draft's name is what it is called."""
        if app.live is None:
            await connection.execute(update(APPS).where(APPS.c.id == app.id).values(
                name=manifest.name, words=f"{app.slug} {manifest.words}", updated=self.clock()))


async def found(connection: AsyncConnection, caller: Caller, ref: str) -> App:
    """Raises `NotFound`, also for what they may not see."""
    ref = _plain(ref)
    row = (await connection.execute(select(APPS).where(
        APPS.c.id == ref if ref.startswith("app_") else APPS.c.slug == ref))).first()
    if row is None or not sees(caller, app_of(row)):
        raise missing(ref)
    return app_of(row)


async def workable(connection: AsyncConnection, caller: Caller, ref: str) -> App:
    """Raises `NotFound` or `Forbidden`."""
    app = await found(connection, caller, ref)
    if not works_on(caller, app):
        raise Forbidden("this is somebody else's app")
    return app


async def one(connection: AsyncConnection, app: App, number: int) -> Version:
    """Raises `NotFound`."""
    row = (await connection.execute(select(VERSIONS).where(
        VERSIONS.c.app == app.id, VERSIONS.c.number == number))).first()
    if row is None:
        raise NotFound(f"{app.slug} has no version {number}", field="version")
    return version_of(row)


async def _free(connection: AsyncConnection, slug: str | None, name: str) -> str:
    """Raises `Conflict` where the one that was asked for is taken."""
    wanted = slug_from(name) if slug is None else slug_of(slug)
    for candidate in (wanted, *(f"{wanted}-{secrets.token_hex(2)}" for _ in range(3))):
        taken = (await connection.execute(select(APPS.c.id).where(APPS.c.slug == candidate))).first()
        if taken is None:
            return candidate
        if slug is not None:
            break
    raise Conflict(f"the slug {wanted!r} is taken", field="slug")


def _fresh(caller: Caller, manifest: dict[str, Any], moment: float) -> dict[str, Any]:
    return {"state": "draft", "manifest": manifest, "revision": 1, "author": who(caller), "submitter": "",
            "reviewer": "", "reason": "", "created": moment, "submitted": None, "decided": None, "published": None}


def _whose(caller: Caller) -> Any:
    if caller.team:
        return APPS.c.owner == caller.team
    if not caller.user:
        return and_(APPS.c.owner == "", APPS.c.author == who(caller))
    return or_(APPS.c.owner == caller.user, APPS.c.owner.in_(caller.teams))


def _sorted(query: Select[Any], search: Search, after: tuple[Any, ...] | None) -> Select[Any]:
    column = {"used": APPS.c.used, "name": APPS.c.name}.get(
        search.sort, APPS.c.updated if search.mine else APPS.c.published)
    if search.sort == "name":
        if after is not None:
            query = query.where(tuple_(column, APPS.c.id) > tuple_(*after))
        return query.order_by(column, APPS.c.id)
    if after is not None:
        query = query.where(tuple_(column, APPS.c.id) < tuple_(*after))
    return query.order_by(desc(column), desc(APPS.c.id))


def _plain(text: str) -> str:
    """A database takes no NUL, and nobody wrote a control character."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
