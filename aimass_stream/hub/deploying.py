"""Which version a name means: aliases, canaries, shadows, and going back.

``fish`` is ``fish@production``; ``fish@7`` is that version and no other. What is deployed is known in memory, so that a
session's start and a REST call wait for no database. What was once resolved stays: sessions hold ``fish@7``.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, InvalidInput, NotFound, Stale
from ..inference import Entry
from ..ports import Caller
from ..store import Database
from .catalogue import owned, version_in
from .places import Places
from .records import NAMED, PRODUCTION, Deployment, HubModel, Version, Visibility, line, plain
from .tables import ALIASES, DEPLOYMENTS, MODELS, VERSIONS

log = logging.getLogger(__name__)

SEEN = 2.0  # s in which what another process changed is noticed
MOST_ALIASES = 16  # of a model
ALIAS = 32  # characters


@dataclass(slots=True)
class Deployed:
    """A model as it is served."""

    name: str
    owner: str
    visibility: Visibility
    task: str
    aliases: dict[str, Deployment] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)  # by version, of those that are laid out
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)  # by alias: how often, for the canary's share


@dataclass(frozen=True, slots=True)
class Choice:
    """A version, as the engine calls it, and why it is this one."""

    served: str  # "fish@7"
    name: str
    number: int
    reason: str


class Deployments:
    def __init__(self, database: Database, places: Places, load: Callable[[str], Awaitable[None]]) -> None:
        """`load` makes the engine ready for a version before anybody is sent to it."""
        self._database, self.places, self._load = database, places, load
        self.models: dict[str, Deployed] = {}

    async def start(self) -> None:
        """Lay out all that is deployed."""
        async with self._database.read() as connection:
            names = list(await connection.scalars(select(MODELS.c.name).join(
                ALIASES, ALIASES.c.model == MODELS.c.id).distinct()))
        for name in names:
            await self.refresh(name)

    async def follow(self) -> None:
        """Have what other processes deploy or change here as well. Runs until it is cancelled."""
        before = await self._stamp()
        while True:
            await asyncio.sleep(SEEN)
            try:
                seen = await self._stamp()
                if seen != before:
                    await self.catch_up()
                before = seen
            except Exception:  # a database that is away for a while comes back
                log.exception("what is deployed could not be looked at")

    async def catch_up(self) -> None:
        gone = set(self.models)
        await self.start()
        for name in gone:
            await self.refresh(name)

    async def _stamp(self) -> tuple[Any, ...]:
        async with self._database.read() as connection:
            aliases = (await connection.execute(select(func.count(), func.max(ALIASES.c.updated)))).one()
            return (*aliases, await connection.scalar(select(func.max(MODELS.c.updated))))

    async def refresh(self, name: str) -> None:
        """Look at the database again: for what somebody changed, in this process or another."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(MODELS).where(MODELS.c.name == name))).first()
            found = [] if row is None else list(await connection.execute(
                select(ALIASES).where(ALIASES.c.model == row.id)))
            versions = [] if row is None else list(await connection.execute(
                select(VERSIONS.c.number, VERSIONS.c.facts).where(VERSIONS.c.model == row.id)))
        if row is None or not found:
            self.models.pop(name, None)
            return
        before = self.models.get(name)
        deployed = Deployed(name, row.owner, row.visibility, row.task, asked=before.asked if before else {})
        deployed.aliases = {each.alias: Deployment(each.alias, each.number, each.canary, each.share, each.shadow,
                                                   at=each.updated) for each in found}
        facts = {each.number: each.facts for each in versions}
        for number in sorted(set().union(*(each.numbers for each in deployed.aliases.values()))):
            deployed.entries[number] = await self._laid_out(name, number)
            deployed.facts[number] = facts[number]
        if before is not None:  # whoever holds an older version goes on
            deployed.entries = before.entries | deployed.entries
            deployed.facts = before.facts | deployed.facts
            deployed.entries = {number: entry for number, entry in deployed.entries.items() if number in facts}
        self.models[name] = deployed

    async def _laid_out(self, name: str, number: int) -> Entry:
        async with self._database.read() as connection:
            row = (await connection.execute(select(MODELS).where(MODELS.c.name == name))).one()
            version = await version_in(connection, _of_row(row), number)
        return await self.places.lay_out(version)

    # changing --------------------------------------------------------------------------------------

    async def deploy(self, caller: Caller, name: str, wanted: Deployment, seen: int | None = None) -> Deployment:
        """Have an alias lead there. Everything is loaded before the first caller is sent to it.

        `seen`: the `moment` of what it led to when the caller looked; `Stale` where it is another.

        Raises `Conflict` for a version that is not ready, `NotFound` for one that is not there, and what loading it
        raises: then nothing has changed.
        """
        alias = line(wanted.alias, ALIAS, "alias")
        if not alias.isidentifier() or alias == "latest":
            raise InvalidInput("an alias is one word of letters, digits and _, and not 'latest'", field="alias")
        if not 0 <= wanted.share <= 100 or (wanted.share > 0) != (wanted.canary is not None):
            raise InvalidInput("a canary gets 1 to 100 % of what is new", field="share")
        async with self._database.read() as connection:
            model = await owned(connection, caller, name)
            versions = [await version_in(connection, model, number) for number in sorted(wanted.numbers)]
        for version in versions:
            if version.state != "ready" or model.built_in:
                raise Conflict(f"{version.served} is {version.state}" if not model.built_in else f"{name} is built in",
                               field="version")
            await self.places.lay_out(version)
        if wanted.canary is not None or wanted.shadow is not None:
            _alike({version.number: version for version in versions}, wanted)
        for version in versions:
            await self._load(version.served)
        now = time.time()
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            await _still(connection, model, alias, seen)
            for number in wanted.numbers:  # somebody may have deleted one meanwhile
                await version_in(connection, model, number)
            await _write(connection, model, wanted, caller.user, now)
        await self.refresh(name)
        return self.models[name].aliases[wanted.alias]

    @staticmethod
    def moment(deployed: Deployment) -> int:
        """µs since the epoch: what tells one deployment of an alias from the next."""
        return round(deployed.at * 1e6)

    async def roll_back(self, caller: Caller, name: str, alias: str = PRODUCTION) -> Deployment:
        """To what the alias led to before; a canary or a shadow ends first. Raises `Conflict` where nothing was."""
        history = await self.history(caller, name, alias)
        if not history:
            raise NotFound(f"{name} has no alias {alias[:64]!r}", field="alias")
        if history[0].canary is not None or history[0].shadow is not None:
            return await self.deploy(caller, name, Deployment(alias, history[0].number))
        line_of: list[int] = []
        for each in reversed(history):  # going back takes the last one away
            if len(line_of) > 1 and line_of[-2] == each.number:
                line_of.pop()
            elif not line_of or line_of[-1] != each.number:
                line_of.append(each.number)
        if len(line_of) < 2:
            raise Conflict(f"{name}@{alias} has nothing earlier to go back to")
        return await self.deploy(caller, name, Deployment(alias, line_of[-2]))

    async def withdraw(self, caller: Caller, name: str, alias: str) -> None:
        """Have the alias lead nowhere."""
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            found = await connection.execute(delete(ALIASES).where(
                ALIASES.c.model == model.id, ALIASES.c.alias == plain(alias)))
            if not found.rowcount:
                raise NotFound(f"{name} has no alias {alias[:64]!r}", field="alias")
        await self.refresh(name)

    async def history(self, caller: Caller, name: str, alias: str) -> list[Deployment]:
        """The newest first."""
        async with self._database.read() as connection:
            model = await owned(connection, caller, name)
            rows = await connection.execute(select(DEPLOYMENTS).where(
                DEPLOYMENTS.c.model == model.id, DEPLOYMENTS.c.alias == plain(alias)).order_by(
                    DEPLOYMENTS.c.at.desc(), DEPLOYMENTS.c.id).limit(200))
            return [Deployment(row.alias, row.number, row.canary, row.share, row.shadow, row.by, row.at)
                    for row in rows]

    # asking ----------------------------------------------------------------------------------------

    def names(self, caller: Caller | None = None) -> list[str]:
        return [name for name, model in self.models.items() if _may_use(model, caller)]

    def resolve(self, name: str, caller: Caller | None = None) -> Choice:
        """What ``fish``, ``fish@staging`` or ``fish@7`` is now; each call may be the canary's. Raises `NotFound`."""
        base, _, which = name.partition("@")
        model = self.models.get(base)
        if model is None or not _may_use(model, caller):
            raise NotFound(f"there is no deployed model {base[:64]!r}", field="model")
        if which.isdigit():
            number = int(which[:9])
            if number not in model.entries:
                raise NotFound(f"{base} has no version {which[:32]} that is deployed", field="version")
            return Choice(f"{base}@{number}", base, number, NAMED)
        alias = model.aliases.get(which or PRODUCTION)
        if alias is None:
            raise NotFound(f"{base} has no alias {(which or PRODUCTION)[:32]!r}; there are: {', '.join(model.aliases)}",
                           field="version")
        if alias.canary is not None:
            asked = model.asked[alias.alias] = model.asked.get(alias.alias, 0) + 1
            if asked * alias.share // 100 > (asked - 1) * alias.share // 100:
                return Choice(f"{base}@{alias.canary}", base, alias.canary, f"canary of {alias.alias}, {alias.share} %")
        return Choice(f"{base}@{alias.number}", base, alias.number, alias.alias)

    def entry(self, served: str) -> Entry:
        """Raises `NotFound`."""
        base, _, number = served.partition("@")
        model = self.models.get(base)
        if model is None or not number.isdigit() or int(number) not in model.entries:
            raise NotFound(f"{served[:80]} is not deployed", field="model")
        return model.entries[int(number)]

    def shadow(self, served: str) -> str | None:
        """The version that is to be asked beside this one."""
        base, _, number = served.partition("@")
        model = self.models.get(base)
        for alias in model.aliases.values() if model is not None else ():
            if alias.shadow is not None and str(alias.number) == number:
                return f"{base}@{alias.shadow}"
        return None

    def deployed(self) -> Collection[str]:
        """All that an alias leads to, as the engine calls it."""
        return {f"{name}@{number}" for name, model in self.models.items() for alias in model.aliases.values()
                for number in alias.numbers}

    def forget(self, name: str, number: int | None = None) -> None:
        """It was deleted."""
        if number is None:
            self.models.pop(name, None)
        elif name in self.models:
            self.models[name].entries.pop(number, None)
        if number is not None:
            asyncio.get_running_loop().run_in_executor(None, self.places.take_away, f"{name}@{number}")


async def _still(connection: AsyncConnection, model: HubModel, alias: str, seen: int | None) -> None:
    if seen is None:
        return
    at = await connection.scalar(select(ALIASES.c.updated).where(ALIASES.c.model == model.id, ALIASES.c.alias == alias))
    if at is None or round(at * 1e6) != seen:
        raise Stale(f"somebody else deployed {model.name} meanwhile: look at it again", field="If-Match")


def _of_row(row: Any) -> HubModel:
    from .catalogue import _model

    return _model(row)


def _alike(versions: dict[int, Version], wanted: Deployment) -> None:
    """Whoever is sent to the canary sends what the other takes."""
    def takes(number: int) -> list[tuple[str, str, int]]:
        return sorted((each["name"], each.get("dtype", "float32"), len(each["shape"]))
                      for each in versions[number].manifest.get("inputs", []))

    for number in wanted.numbers - {wanted.number}:
        if versions[number].manifest.get("capabilities", {}).get("slots"):
            raise Conflict(f"version {number} keeps states, which two versions can't share", field="version")
        if takes(number) != takes(wanted.number):
            raise Conflict(f"version {number} takes other inputs than version {wanted.number}", field="version")


async def _write(connection: AsyncConnection, model: HubModel, wanted: Deployment, by: str, now: float) -> None:
    others = list(await connection.scalars(select(ALIASES.c.alias).where(
        ALIASES.c.model == model.id, ALIASES.c.alias != wanted.alias)))
    if len(others) >= MOST_ALIASES:
        raise Conflict(f"{model.name} has {MOST_ALIASES} aliases already", field="alias")
    values = {"number": wanted.number, "canary": wanted.canary, "share": wanted.share, "shadow": wanted.shadow}
    await connection.execute(delete(ALIASES).where(ALIASES.c.model == model.id, ALIASES.c.alias == wanted.alias))
    await connection.execute(insert(ALIASES).values(model=model.id, alias=wanted.alias, updated=now, **values))
    await connection.execute(insert(DEPLOYMENTS).values(
        id=f"dep_{secrets.token_urlsafe(12)}", model=model.id, alias=wanted.alias, by=by, at=now, **values))


def _may_use(model: Deployed, caller: Caller | None) -> bool:
    """None stands for everybody."""
    if model.visibility == "public":
        return True
    return caller is not None and caller.owns(model.owner)
