"""The apps to start from: files, which go the way of every app, by an author and a reviewer of the server's own."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from ..errors import AimassError, NotFound
from ..ports import Caller, Role
from .catalogue import Catalogue
from .records import App, Version
from .review import Review

log = logging.getLogger(__name__)

AUTHOR, REVIEWER = "aimass-author", "aimass-reviewer"  # accounts that nobody can sign in to

# the account of that name and role, made where there is none; None where the name is somebody else's
People = Callable[[str, Role, str], Awaitable[Caller | None]]


def builtin() -> dict[str, dict[str, Any]]:
    """Manifests by slug, and whether each is `featured`. Reads files: in a thread."""
    folder = files(__package__) / "builtin"
    return {each.name.removesuffix(".toml"): tomllib.loads(each.read_text(encoding="utf-8"))
            for each in sorted(folder.iterdir(), key=lambda each: each.name) if each.name.endswith(".toml")}


class Seeds:
    """What is published already stays so; a newer manifest becomes a further version. What an operator took back,
    suspended or gave another slug's owner is left alone."""

    def __init__(self, catalogue: Catalogue, review: Review, people: People) -> None:
        self._catalogue, self._review, self._people = catalogue, review, people

    async def sow(self, given: dict[str, dict[str, Any]]) -> list[str]:
        """Answers the slugs of what was published just now."""
        author = await self._people(AUTHOR, "developer", "AI Mass Stream: apps to start from")
        reviewer = await self._people(REVIEWER, "reviewer", "AI Mass Stream: review of those")
        if author is None or reviewer is None:
            log.warning("the apps to start from are left out: their author's name is somebody's")
            return []
        done = []
        for slug, manifest in given.items():
            try:
                if await self._one(author, reviewer, slug, dict(manifest)):
                    done.append(slug)
            except AimassError as error:
                log.warning("the app %s is left out: %s", slug, error.detail)
        return done

    async def _one(self, author: Caller, reviewer: Caller, slug: str, manifest: dict[str, Any]) -> bool:
        featured = manifest.pop("featured", False)
        found = await self._draft(author, slug, manifest)
        if found is None:
            return False
        app, version = found
        if version.state in ("draft", "rejected"):
            version = await self._review.submit(author, app.id, version.number)
        if version.state == "submitted":
            version = await self._review.approve(reviewer, app.id, version.number, "comes with the server")
        await self._review.publish(author, app.id, version.number)
        if featured and app.live is None:
            await self._review.feature(reviewer, app.id, True)
        return True

    async def _draft(self, author: Caller, slug: str, manifest: dict[str, Any]) -> tuple[App, Version] | None:
        """What is still on its way, from now or from a start that was cut off; None: there is nothing to do."""
        catalogue = self._catalogue
        try:
            app = await catalogue.get(author, slug)
        except NotFound:
            return await catalogue.create(author, manifest, slug)
        if app.owner != author.owner:
            log.warning("the app %s is left out: somebody else's is called so", slug)
            return None
        app, last = await catalogue.version(author, app.id, app.last)
        same = json.loads(json.dumps(catalogue.read(author, manifest).json())) == last.manifest
        if last.state in ("published", "retired"):
            if same or not app.open:
                return None
            return app, await catalogue.begin_version(author, app.id, manifest)
        if not same and last.state in ("draft", "rejected"):
            last = await catalogue.revise(author, app.id, last.number, manifest)
        return app, last
