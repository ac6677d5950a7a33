"""Versions that are code: they wait until an admin has looked at them, and run in a cell of their own after that.

An approval is of exactly the files that lie there: their SHA-256 are kept with it, and what the check makes of other
files is refused.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select, tuple_, update

from ..errors import Conflict, Forbidden, InvalidInput
from ..inference.loader import MANIFEST
from ..ports import Caller
from ..store import Database
from .catalogue import _files, _model, _version, seen, version_in
from .records import TEXT, File, HubModel, Version, prose
from .tables import MODELS, VERSIONS

NAMED = 16  # files that an approval names; of more it has the digest of all


@dataclass(frozen=True, slots=True)
class Waiting:
    model: HubModel
    version: Version
    own: bool  # another admin has to decide


class Quarantine:
    def __init__(self, database: Database, wake: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        """`wake` has what was approved tried."""
        self._database, self._wake, self._clock = database, wake, clock

    async def waiting(self, caller: Caller, limit: int, after: tuple[Any, ...] | None = None) -> list[Waiting]:
        """The longest first, after a position in time and id. Raises `Forbidden`."""
        caller.need("admin")
        query = select(VERSIONS, MODELS.c.name.label("called")).join(MODELS, MODELS.c.id == VERSIONS.c.model).where(
            VERSIONS.c.state == "quarantined").order_by(VERSIONS.c.created, VERSIONS.c.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(VERSIONS.c.created, VERSIONS.c.id) > tuple_(*after))
        async with self._database.read() as connection:
            found = []
            for row in list(await connection.execute(query)):
                model = _model((await connection.execute(select(MODELS).where(MODELS.c.id == row.model))).one())
                version = _version(row, model.name, await _files(connection, row.id))
                found.append(Waiting(model, version, is_own(caller, model, version)))
            return found

    async def approve(self, caller: Caller, name: str, number: int, reason: str) -> Version:
        """Have it tried in its cell; then it is ready, or refused. What was decided before may be thought over.

        Raises `Forbidden` for one's own, `Conflict` for what is no code.
        """
        return await self._decide(caller, name, number, reason, True)

    async def reject(self, caller: Caller, name: str, number: int, reason: str) -> Version:
        """It is refused, and its owner reads the reason."""
        return await self._decide(caller, name, number, reason, False)

    async def _decide(self, caller: Caller, name: str, number: int, reason: str, yes: bool) -> Version:
        caller.need("admin")
        reason = prose(reason, TEXT, "reason").strip()
        if not reason:
            raise InvalidInput("say why", field="reason")
        async with self._database.begin() as connection:
            model = await seen(connection, caller, name)
            version = await version_in(connection, model, number)
            known = dict(version.facts.get("code") or {})
            if version.state != "quarantined" and not (version.state == "refused" and known):
                raise Conflict(f"{version.served} is {version.state}: what is quarantined is decided on",
                               field="version", state=version.state)
            if is_own(caller, model, version):
                raise Forbidden("nobody decides on what is their own: another admin has to")
            why, by, at = known.get("why") or version.reason, caller.user or caller.name, self._clock()
            code = {"why": why, "reason": reason} | (
                {"approved_by": by, "approved": at, "files": digest(version.files)} if yes else
                {"rejected_by": by, "rejected": at})
            told = "" if yes else f"an admin rejected it: {reason}"
            facts, state = version.facts | {"code": code}, "checking" if yes else "refused"
            await connection.execute(update(VERSIONS).where(VERSIONS.c.id == version.id).values(
                state=state, reason=told, facts=facts))
        if yes:
            self._wake()
        return replace(version, state="checking" if yes else "refused", reason=told, facts=facts)


def is_own(caller: Caller, model: HubModel, version: Version) -> bool:
    """Whether they have made it. On a machine without accounts there is but its owner, who may decide on all."""
    if caller.name == "anyone" and not caller.id and not caller.user:
        return False
    theirs = (caller.user, caller.team, *caller.teams)
    return version.creator == caller.user or (model.owner != "" and model.owner in theirs)


def digest(files: Sequence[File]) -> str:
    """SHA-256 of a version's files, their names with it; the manifest is ours to write and does not count."""
    lines = "".join(f"{file.sha256} {file.path}\n" for file in sorted(files, key=lambda each: each.path)
                    if file.path != MANIFEST)
    return hashlib.sha256(lines.encode()).hexdigest()


def told(version: Version) -> dict[str, Any]:
    """Of its files, for the audit log."""
    named = {file.path[:120]: file.sha256 for file in version.files[:NAMED]}
    return {"files": named, "digest": digest(version.files)}


def approved(version: Version) -> bool:
    """Whether an admin has approved of just these files. Raises `Conflict` where they are others."""
    code = version.facts.get("code") or {}
    if "approved" not in code:
        return False
    if code["files"] != digest(version.files):
        raise Conflict("its files are not those that were approved", field="files")
    return True
