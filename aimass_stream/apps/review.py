"""The way of a version: submitted, approved or rejected by somebody else, published, suspended, each step audited."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, Forbidden, InvalidInput, InvalidPipeline
from ..ports import Caller
from .catalogue import Catalogue, found, one, workable
from .manifests import Manifest, prose
from .records import REASON, App, Version, VersionState, is_own, who
from .tables import APPS, VERSIONS

EVERYBODY = Caller("everybody")


class Review:
    """Raises `NotFound`, `Forbidden` where it is not theirs to do, and `Conflict` where the state rules it out."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._database, self._book, self._clock = catalogue.database, catalogue.book, catalogue.clock

    # its makers ------------------------------------------------------------------------------------

    async def submit(self, caller: Caller, ref: str, number: int) -> Version:
        """Raises `InvalidInput` without an example, which probes need, and `InvalidPipeline` with a model that not
        everybody may use."""
        async with self._database.begin() as connection:
            app, version = await self._mine(connection, caller, ref, number, "draft", "rejected")
            if self._open(caller, version).example is None:
                raise InvalidInput("an app that is submitted has an example: what goes in, what has to come out",
                                   field="example")
            return await self._set(connection, caller, app, version, "submitted", "app.submitted",
                                   submitter=who(caller), submitted=self._clock(), reason="", reviewer="", decided=None)

    async def withdraw(self, caller: Caller, ref: str, number: int) -> Version:
        """Make it a draft again."""
        async with self._database.begin() as connection:
            app, version = await self._mine(connection, caller, ref, number, "submitted", "approved")
            return await self._set(connection, caller, app, version, "draft", "app.withdrawn", reviewer="",
                                   decided=None)

    async def publish(self, caller: Caller, ref: str, number: int) -> Version:
        """In place of the one that is published now, which is retired: sessions that it began go on."""
        async with self._database.begin() as connection:
            app, version = await self._mine(connection, caller, ref, number, "approved")
            manifest = self._open(caller, version)
            await self._retire(connection, app)
            moment = self._clock()
            await connection.execute(update(APPS).where(APPS.c.id == app.id).values(
                live=number, name=manifest.name, words=f"{app.slug} {manifest.words}", updated=moment,
                published=moment if app.published is None else app.published))
            return await self._set(connection, caller, app, version, "published", "app.published", published=moment)

    async def unpublish(self, caller: Caller, ref: str) -> App:
        """Take back what is published."""
        async with self._database.begin() as connection:
            app = await workable(connection, caller, ref)
            if app.live is None:
                raise Conflict(f"{app.slug} is not published", field="app_id")
            await self._retire(connection, app)
            await connection.execute(update(APPS).where(APPS.c.id == app.id).values(
                live=None, featured=0, updated=self._clock()))
            await self._book.add(connection, caller, "app.unpublished", app.id, version=app.live)
            return await found(connection, caller, app.id)

    # reviewers -------------------------------------------------------------------------------------

    async def approve(self, caller: Caller, ref: str, number: int, reason: str = "") -> Version:
        return await self._decide(caller, ref, number, "approved", reason)

    async def reject(self, caller: Caller, ref: str, number: int, reason: str) -> Version:
        """With what there is to change."""
        return await self._decide(caller, ref, number, "rejected", _reason(reason))

    async def _decide(self, caller: Caller, ref: str, number: int, state: VersionState, reason: str) -> Version:
        caller.need("apps:review")
        reason = prose(reason, REASON, "reason")
        async with self._database.begin() as connection:
            app = await found(connection, caller, ref)
            version = await one(connection, app, number)
            if is_own(caller, app, version):
                raise Forbidden("nobody decides on what is their own: another reviewer has to")
            _needs(version, "submitted")
            return await self._set(connection, caller, app, version, state, f"app.{state}", reviewer=who(caller),
                                   decided=self._clock(), reason=reason)

    async def suspend(self, caller: Caller, ref: str, reason: str) -> App:
        """Nobody can use it until it is resumed; for reviewers, and the server itself."""
        caller.need("apps:review")
        reason = _reason(reason)
        async with self._database.begin() as connection:
            app = await found(connection, caller, ref)
            if app.live is None or app.suspended is not None:
                raise Conflict(f"{app.slug} is {'not published' if app.live is None else 'suspended already'}",
                               field="app_id")
            await self._change(connection, caller, app, "app.suspended", reason, suspended=self._clock(),
                               reason=reason)
            return await found(connection, caller, app.id)

    async def resume(self, caller: Caller, ref: str, reason: str = "") -> App:
        """By a reviewer whose own it is not."""
        caller.need("apps:review")
        reason = prose(reason, REASON, "reason")
        async with self._database.begin() as connection:
            app = await found(connection, caller, ref)
            if app.suspended is None:
                raise Conflict(f"{app.slug} is not suspended", field="app_id")
            version = await one(connection, app, app.live if app.live is not None else app.last)
            if is_own(caller, app, version):
                raise Forbidden("nobody decides on what is their own: another reviewer has to")
            await self._change(connection, caller, app, "app.resumed", reason, suspended=None, reason="")
            return await found(connection, caller, app.id)

    async def feature(self, caller: Caller, ref: str, featured: bool) -> App:
        """Show it first. By a reviewer whose own it is not."""
        caller.need("apps:review")
        async with self._database.begin() as connection:
            app = await found(connection, caller, ref)
            if app.live is None:
                raise Conflict(f"{app.slug} is not published", field="app_id")
            if is_own(caller, app):
                raise Forbidden("nobody puts forward what is their own")
            await self._change(connection, caller, app, "app.featured" if featured else "app.unfeatured", "",
                               featured=int(featured))
            return await found(connection, caller, app.id)

    # ----------------------------------------------------------------------------------------------

    def _open(self, caller: Caller, version: Version) -> Manifest:
        """With models that whoever uses the app may use, too. Raises `InvalidInput` or `InvalidPipeline`."""
        self._catalogue.read(caller, version.manifest)  # says what else is wrong in its maker's words
        try:
            return self._catalogue.read(EVERYBODY, version.manifest)
        except InvalidPipeline as error:
            raise InvalidPipeline(f"{error.detail}: an app for everybody has models that everybody may use",
                                  field=error.field) from None

    async def _mine(self, connection: AsyncConnection, caller: Caller, ref: str, number: int,
                    *states: VersionState) -> tuple[App, Version]:
        app = await workable(connection, caller, ref)
        version = await one(connection, app, number)
        _needs(version, *states)
        return app, version

    async def _set(self, connection: AsyncConnection, caller: Caller, app: App, version: Version, state: VersionState,
                   what: str, **values: Any) -> Version:
        await connection.execute(update(VERSIONS).where(
            VERSIONS.c.app == app.id, VERSIONS.c.number == version.number).values(state=state, **values))
        told = {"reason": values["reason"]} if values.get("reason") else {}
        await self._book.add(connection, caller, what, app.id, version=version.number, slug=app.slug, **told)
        return await one(connection, app, version.number)

    async def _change(self, connection: AsyncConnection, caller: Caller, app: App, what: str, told: str,
                      **values: Any) -> None:
        await connection.execute(update(APPS).where(APPS.c.id == app.id).values(updated=self._clock(), **values))
        await self._book.add(connection, caller, what, app.id, slug=app.slug, **({"reason": told} if told else {}))

    async def _retire(self, connection: AsyncConnection, app: App) -> None:
        await connection.execute(update(VERSIONS).where(
            VERSIONS.c.app == app.id, VERSIONS.c.state == "published").values(state="retired"))


def _needs(version: Version, *states: VersionState) -> None:
    if version.state not in states:
        raise Conflict(f"version {version.number} is {version.state}, not {' or '.join(states)}", field="version",
                       state=version.state)


def _reason(text: str) -> str:
    """Raises `InvalidInput`."""
    reason = prose(text, REASON, "reason").strip()
    if not reason:
        raise InvalidInput("say why", field="reason")
    return reason
