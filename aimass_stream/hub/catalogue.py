"""The catalogue: models, their versions, and finding them. A version's files never change.

What a caller may not see is not there for them: `NotFound`, as for a name that nobody has.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Text, and_, delete, func, insert, or_, select, true, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, Forbidden, InvalidInput, NotFound, Stale
from ..inference import Entry
from ..inference.loader import NAME
from ..ports import Caller
from ..store import Database
from .records import (
    CARD,
    LICENCE,
    TEXT,
    TITLE,
    VISIBILITIES,
    Change,
    File,
    HubModel,
    Search,
    Sort,
    Version,
    Visibility,
    line,
    name_of,
    plain,
    prose,
    tags_of,
)
from .tables import ALIASES, FILES, MODELS, TAGS, VERSIONS

WORDS = 8  # of a search
LETTERS = 100
CHANGED = "the model was changed meanwhile: look at it again"

class Catalogue:
    def __init__(self, database: Database) -> None:
        self._database = database

    # models ----------------------------------------------------------------------------------------

    async def create(self, caller: Caller, name: str, change: Change) -> HubModel:
        """Raises `InvalidInput`, and `Conflict` where the name is taken, whoever has it."""
        now = time.time()
        values = _checked(change) | {
            "id": f"mdl_{secrets.token_urlsafe(12)}", "name": name_of(name), "owner": caller.owner, "built_in": 0,
            "revision": 1, "last": 0, "created": now, "updated": now, "downloads": 0, "stars": 0, "ratings": 0}
        values = {"visibility": "private", "title": name, "task": "", "licence": "", "card": "", "tags": []} | values
        async with self._database.begin() as connection:
            await _added(connection, values)
            return _model((await connection.execute(select(MODELS).where(MODELS.c.name == name))).one())

    async def get(self, caller: Caller, name: str) -> HubModel:
        """Raises `NotFound`."""
        async with self._database.read() as connection:
            return await seen(connection, caller, name)

    async def change(self, caller: Caller, name: str, change: Change, revision: int | None = None) -> HubModel:
        """Raises `Forbidden` for somebody else's, `Stale` where it no longer is of this `revision`."""
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            if revision not in (None, model.revision):
                raise Stale(CHANGED, field="If-Match", revision=model.revision)
            values = _checked(change) | {"revision": model.revision + 1, "updated": time.time()}
            row = (await connection.execute(select(MODELS).where(MODELS.c.id == model.id))).one()._asdict() | values
            values["words"] = _words(row)
            await connection.execute(update(MODELS).where(MODELS.c.id == model.id).values(values))
            if change.tags is not None:
                await connection.execute(delete(TAGS).where(TAGS.c.model == model.id))
                await _tag(connection, model.id, values["tags"])
            return await seen(connection, caller, name)

    async def find(self, caller: Caller, search: Search, limit: int,
                   after: tuple[str | int | float, ...] | None = None) -> list[HubModel]:
        """Those that the caller may see, `limit` at most, that come after a position in this order."""
        columns = ORDERS[search.sort]
        query = select(MODELS).where(_visible(caller), *_conditions(search))
        if after is not None:
            bound = tuple_(*columns)
            query = query.where(bound > tuple_(*after) if search.sort == "name" else bound < tuple_(*after))
        down = search.sort != "name"
        query = query.order_by(*(column.desc() if down else column for column in columns)).limit(limit)
        async with self._database.read() as connection:
            return [_model(row) for row in await connection.execute(query)]

    async def newest(self, models: Sequence[str]) -> dict[str, str]:
        """States of the newest versions, by the models' names; nothing of those without one."""
        query = select(MODELS.c.name, VERSIONS.c.state).join(VERSIONS, and_(
            VERSIONS.c.model == MODELS.c.id, VERSIONS.c.number == MODELS.c.last)).where(MODELS.c.name.in_(models))
        async with self._database.read() as connection:
            return {row.name: row.state for row in await connection.execute(query)}

    async def tags(self, caller: Caller, most: int = 100) -> list[tuple[str, int]]:
        """Of models that the caller may see: how many have each, the most used first."""
        count = func.count().label("models")
        query = (select(TAGS.c.tag, count).join(MODELS, MODELS.c.id == TAGS.c.model).where(_visible(caller))
                 .group_by(TAGS.c.tag).order_by(count.desc(), TAGS.c.tag).limit(most))
        async with self._database.read() as connection:
            return [(row.tag, row.models) for row in await connection.execute(query)]

    async def delete(self, caller: Caller, name: str) -> HubModel:
        """With all that belongs to it. Whether it is in use, the caller has looked at."""
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            if model.built_in:
                raise Conflict(f"{name} is built in: its folder is what can be taken away", field="name")
            await connection.execute(delete(MODELS).where(MODELS.c.id == model.id))
        return model

    async def owned_by(self, owner: str) -> list[HubModel]:
        async with self._database.read() as connection:
            return [_model(row) for row in await connection.execute(select(MODELS).where(
                MODELS.c.owner == owner, MODELS.c.built_in == 0).order_by(MODELS.c.name))]

    async def disown(self, model: str) -> None:
        """It becomes the server's own."""
        async with self._database.begin() as connection:
            await connection.execute(update(MODELS).where(MODELS.c.id == model).values(owner=""))

    async def downloaded(self, model: str) -> None:
        async with self._database.begin() as connection:
            await connection.execute(update(MODELS).where(MODELS.c.id == model).values(
                downloads=MODELS.c.downloads + 1))

    # versions --------------------------------------------------------------------------------------

    async def add_version(self, caller: Caller, name: str, told: dict[str, Any], files: Sequence[File], note: str = "",
                          **known: Any) -> Version:
        """The next version, to be checked, but for what is `known` of it already: its facts, its state... Raises
        `Conflict` for a model that is built in."""
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            if model.built_in:
                raise Conflict(f"{name} is built in and has no other versions", field="name")
            version_id = f"ver_{secrets.token_urlsafe(12)}"
            number = 1 + int(await connection.scalar(select(MODELS.c.last).where(MODELS.c.id == model.id)) or 0)
            await connection.execute(insert(VERSIONS).values({
                "id": version_id, "model": model.id, "number": number, "state": "checking", "reason": "",
                "note": prose(note, TEXT, "note"), "created": time.time(), "creator": caller.user, "format": "",
                "engine": "", "size": sum(file.size for file in files), "told": told, "manifest": {},
                "facts": {}} | known))
            await _keep(connection, version_id, files)
            await connection.execute(update(MODELS).where(MODELS.c.id == model.id).values(
                updated=time.time(), last=number))
            return await version_in(connection, model, number)

    async def versions(self, caller: Caller, name: str) -> list[Version]:
        """The newest first, without their files."""
        async with self._database.read() as connection:
            model = await seen(connection, caller, name)
            rows = await connection.execute(select(VERSIONS).where(VERSIONS.c.model == model.id).order_by(
                VERSIONS.c.number.desc()))
            return [_version(row, model.name, ()) for row in rows]

    async def version(self, caller: Caller, name: str, number: int) -> Version:
        """Raises `NotFound`."""
        async with self._database.read() as connection:
            return await version_in(connection, await seen(connection, caller, name), number)

    async def number(self, caller: Caller, name: str, which: str) -> int:
        """Of "7", of an alias, or of "latest": the newest that is ready. Raises `NotFound`."""
        async with self._database.read() as connection:
            model = await seen(connection, caller, name)
            if which.isdigit() and len(which) < 10:
                return int(which)
            if which == "latest":
                found = await connection.scalar(select(func.max(VERSIONS.c.number)).where(
                    VERSIONS.c.model == model.id, VERSIONS.c.state == "ready"))
            else:
                found = await connection.scalar(select(ALIASES.c.number).where(
                    ALIASES.c.model == model.id, ALIASES.c.alias == plain(which)))
        if found is None:
            raise NotFound(f"{name} has no version {which[:64]!r}", field="version")
        return int(found)

    async def delete_version(self, caller: Caller, name: str, number: int) -> Version:
        """Whether it is in use, the caller has looked at; where an alias leads to it, `Conflict` says which."""
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            version = await version_in(connection, model, number)
            leading = list(await connection.scalars(select(ALIASES.c.alias).where(ALIASES.c.model == model.id, or_(
                ALIASES.c.number == number, ALIASES.c.canary == number, ALIASES.c.shadow == number))))
            if leading or model.built_in:
                raise Conflict(f"{version.served} is in use: by {', '.join(f'the alias {each}' for each in leading)}"
                               if leading else f"{name} is built in", field="version", used_by=leading)
            await connection.execute(delete(VERSIONS).where(VERSIONS.c.id == version.id))
        return version

    async def checking(self) -> list[Version]:
        """Those that wait to be checked, the oldest first."""
        query = select(VERSIONS, MODELS.c.name).join(MODELS, MODELS.c.id == VERSIONS.c.model).where(
            VERSIONS.c.state == "checking").order_by(VERSIONS.c.created)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [_version(row, row.name, await _files(connection, row.id)) for row in rows]

    async def settle(self, version: str, files: Sequence[File] | None, **values: Any) -> bool:
        """What came of the check; with `files`, these are the version's from now on. False if it is gone."""
        async with self._database.begin() as connection:
            found = await connection.execute(update(VERSIONS).where(
                VERSIONS.c.id == version, VERSIONS.c.state == "checking").values(values))
            if not found.rowcount:
                return False
            if files is not None:
                await connection.execute(delete(FILES).where(FILES.c.version == version))
                await _keep(connection, version, files)
            return True

    async def sealed(self) -> list[Version]:
        """All that are encrypted, the oldest first."""
        query = select(VERSIONS, MODELS.c.name).join(MODELS, MODELS.c.id == VERSIONS.c.model).where(
            VERSIONS.c.facts.cast(Text).contains('"sealed"')).order_by(VERSIONS.c.created, VERSIONS.c.id)
        async with self._database.read() as connection:
            rows = [row for row in await connection.execute(query) if row.facts.get("sealed")]
            return [_version(row, row.name, await _files(connection, row.id)) for row in rows]

    async def reseal(self, version: Version, files: Sequence[File], key: str) -> bool:
        """Its files are these from now on, with the key of this id. False if it is gone, or others are its files."""
        async with self._database.begin() as connection:
            row = (await connection.execute(select(VERSIONS).where(VERSIONS.c.id == version.id))).first()
            if row is None or await _files(connection, version.id) != version.files:
                return False
            facts = row.facts | {"sealed": row.facts["sealed"] | {"key": key}}
            await connection.execute(update(VERSIONS).where(VERSIONS.c.id == version.id).values(
                facts=facts, size=sum(file.size for file in files)))
            await connection.execute(delete(FILES).where(FILES.c.version == version.id))
            await _keep(connection, version.id, files)
            await connection.execute(update(MODELS).where(MODELS.c.id == row.model).values(updated=time.time()))
            return True

    async def blobs(self) -> set[str]:
        """What must not be swept away."""
        async with self._database.read() as connection:
            files = await connection.scalars(select(FILES.c.sha256).distinct())
            graphs = await connection.scalars(select(VERSIONS.c.graph).where(VERSIONS.c.graph.is_not(None)))
            return {*files, *(graph for graph in graphs if graph)}

    # what is built in ------------------------------------------------------------------------------

    async def sync(self, entries: Iterable[Entry]) -> None:
        """Have the models in folders in the catalogue, each with one version. A name that people have stays theirs."""
        there = {entry.name: entry for entry in entries if "@" not in entry.name}
        async with self._database.begin() as connection:
            rows = list(await connection.execute(select(MODELS.c.id, MODELS.c.name, MODELS.c.built_in, MODELS.c.words)))
            known = {row.name: row for row in rows}
            gone = [row.id for row in rows if row.built_in and row.name not in there]
            if gone:
                await connection.execute(delete(MODELS).where(MODELS.c.id.in_(gone)))
            for name, entry in there.items():
                values = _of_entry(entry)
                if name not in known:
                    await _built_in(connection, name, values, entry)
                elif known[name].built_in and known[name].words != values["words"]:
                    await connection.execute(update(MODELS).where(MODELS.c.id == known[name].id).values(values))


ORDERS: dict[Sort, tuple[Any, ...]] = {
    "updated": (MODELS.c.updated, MODELS.c.id), "downloads": (MODELS.c.downloads, MODELS.c.id),
    "rating": (MODELS.c.stars, MODELS.c.id), "name": (MODELS.c.name, MODELS.c.id)}


async def seen(connection: AsyncConnection, caller: Caller, name: str) -> HubModel:
    """Raises `NotFound`, also for what the caller may not see."""
    row = None
    if NAME.fullmatch(name):
        row = (await connection.execute(select(MODELS).where(MODELS.c.name == name, _visible(caller)))).first()
    if row is None:
        raise NotFound(f"there is no model {name[:64]!r} in the hub", field="model")
    return _model(row)


async def owned(connection: AsyncConnection, caller: Caller, name: str) -> HubModel:
    model = await seen(connection, caller, name)
    if not caller.owns(model.owner):
        raise Forbidden(f"{name} is somebody else's model")
    return model


async def version_in(connection: AsyncConnection, model: HubModel, number: int) -> Version:
    row = (await connection.execute(select(VERSIONS).where(
        VERSIONS.c.model == model.id, VERSIONS.c.number == number))).first()
    if row is None:
        raise NotFound(f"{model.name} has no version {number}", field="version")
    return _version(row, model.name, await _files(connection, row.id))


async def _files(connection: AsyncConnection, version: str) -> tuple[File, ...]:
    rows = await connection.execute(select(FILES).where(FILES.c.version == version).order_by(FILES.c.path))
    return tuple(File(row.path, row.sha256, row.size) for row in rows)


async def _keep(connection: AsyncConnection, version: str, files: Sequence[File]) -> None:
    await connection.execute(insert(FILES), [
        {"version": version, "path": file.path, "sha256": file.sha256, "size": file.size} for file in files])


async def _added(connection: AsyncConnection, values: dict[str, Any]) -> None:
    values["words"] = _words(values)
    try:
        async with connection.begin_nested():
            await connection.execute(insert(MODELS).values(values))
    except IntegrityError:
        raise Conflict(f"the name {values['name']} is taken", field="name") from None
    await _tag(connection, values["id"], values["tags"])


async def _tag(connection: AsyncConnection, model: str, tags: Sequence[str]) -> None:
    if tags:
        await connection.execute(insert(TAGS), [{"tag": tag, "model": model} for tag in tags])


async def _built_in(connection: AsyncConnection, name: str, values: dict[str, Any], entry: Entry) -> None:
    now = time.time()
    model = f"mdl_{secrets.token_urlsafe(12)}"
    await connection.execute(insert(MODELS).values(values | {
        "id": model, "name": name, "owner": "", "visibility": "public", "built_in": 1, "tags": ["built-in"],
        "card": entry.description, "revision": 1, "last": 1, "created": now, "updated": now, "downloads": 0,
        "stars": 0, "ratings": 0}))
    await _tag(connection, model, ["built-in"])
    await connection.execute(insert(VERSIONS).values(
        id=f"ver_{secrets.token_urlsafe(12)}", model=model, number=1, state="ready", reason="", note="built in",
        created=now, creator="", format="folder", engine=entry.engine, size=sum(file.size for file in entry.files),
        told={}, manifest={}, facts={"version": entry.version}))


def _of_entry(entry: Entry) -> dict[str, Any]:
    values = {"title": entry.title[:TITLE], "task": entry.task, "licence": entry.licence[:LICENCE]}
    return values | {"words": _words(values | {"name": entry.name, "card": entry.description, "tags": ["built-in"]})}


def _visible(caller: Caller) -> ColumnElement[bool]:
    if "admin" in caller.scopes:
        return true()
    mine = [MODELS.c.visibility == "public"]
    teams = {caller.team} if caller.team else set(caller.teams)
    if teams:
        mine.append(and_(MODELS.c.visibility == "team", MODELS.c.owner.in_(teams)))
        mine.append(MODELS.c.owner.in_(teams))
    if caller.user and not caller.team:
        mine.append(MODELS.c.owner == caller.user)
    return or_(*mine)


def _conditions(search: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for word in plain(search.words[:LETTERS]).lower().split()[:WORDS]:
        found.append(MODELS.c.words.contains(word, autoescape=True))
    if search.task:
        found.append(MODELS.c.task == plain(search.task))
    if search.licence:
        found.append(MODELS.c.licence == plain(search.licence))
    if search.tag:
        found.append(MODELS.c.id.in_(select(TAGS.c.model).where(TAGS.c.tag == plain(search.tag).lower())))
    if search.owner is not None:
        found.append(MODELS.c.owner == search.owner)
    if search.built_in is not None:
        found.append(MODELS.c.built_in == int(search.built_in))
    return found


def _checked(change: Change) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.title is not None:
        values["title"] = line(change.title, TITLE, "title")
    if change.task is not None:
        values["task"] = line(change.task, LICENCE, "task").lower()
    if change.licence is not None:
        values["licence"] = line(change.licence, LICENCE, "licence")
    if change.card is not None:
        values["card"] = prose(change.card, CARD, "card")
    if change.tags is not None:
        values["tags"] = list(tags_of(change.tags))
    if change.visibility is not None:
        if change.visibility not in VISIBILITIES:
            raise InvalidInput(f"visibility is one of {', '.join(VISIBILITIES)}", field="visibility")
        values["visibility"] = change.visibility
    return values


def _words(values: dict[str, Any]) -> str:
    parts = (values["name"], values["title"], values["task"], values["licence"], *values["tags"], values["card"][:2000])
    return " ".join(" ".join(parts).lower().split())


def _model(row: Any) -> HubModel:
    return HubModel(row.id, row.name, row.owner, cast(Visibility, row.visibility), bool(row.built_in), row.title,
                    row.task, row.licence, tuple(row.tags), row.card, row.revision, row.created, row.updated,
                    row.downloads, row.stars / row.ratings if row.ratings else None, row.ratings)


def _version(row: Any, name: str, files: tuple[File, ...]) -> Version:
    return Version(row.id, row.model, name, row.number, row.state, row.reason, row.note, row.created, row.creator,
                   row.format, row.engine, row.size, row.told, row.manifest, row.facts, row.graph, files)
