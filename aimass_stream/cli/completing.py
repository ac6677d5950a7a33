"""What the shell is told when somebody presses Tab: names that a server knows. Nothing, where none answers at once.

What was told is kept for some seconds in a file that nobody else may read, apart for each server and each key.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from . import logins

if TYPE_CHECKING:
    from ..client import Client

SECONDS = 0.8  # that a server may take
FRESH = 20.0  # s that an answer is kept; also that there was none
MOST = 500  # names

Asking: TypeAlias = "Callable[[Client], Awaitable[list[str]]]"


def _names(kind: str, asking: Asking) -> Callable[[typer.Context, str], list[str]]:
    """For `autocompletion`: those that begin with what is typed."""
    def names(context: typer.Context, incomplete: str) -> list[str]:
        return [name for name in _known(kind, asking, context.params) if name.startswith(incomplete)]

    return names


def _known(kind: str, asking: Asking, given: dict[str, Any]) -> list[str]:
    from .common import URL, server_of

    url = server_of(str(given.get("url") or os.environ.get("AIMASS_URL") or logins.server() or URL))
    key = given.get("api_key") or os.environ.get("AIMASS_API_KEY") or logins.key(url)
    place = f"{kind} {hashlib.sha256(f'{url} {key}'.encode()).hexdigest()[:24]}"
    kept = _read()
    found = kept.get(place)
    if isinstance(found, dict) and 0 <= time.time() - float(found.get("at", 0)) < FRESH:
        return [str(name) for name in found.get("names", [])]
    names = _asked(asking, url, None if key is None else str(key), bool(given.get("no_verify")))
    now = time.time()
    fresh = {name: each for name, each in kept.items() if isinstance(each, dict) and now - each.get("at", 0) < FRESH}
    _write(fresh | {place: {"at": now, "names": names}})
    return names


def _asked(asking: Asking, url: str, key: str | None, no_verify: bool) -> list[str]:
    from ..client import Client
    from ..errors import AimassError

    async def ask() -> list[str]:
        async with asyncio.timeout(SECONDS), Client(url, key, verify=not no_verify, timeout=SECONDS) as client:
            return await asking(client)

    try:
        return asyncio.run(ask())
    except (AimassError, TimeoutError):
        return []


def _path() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aimass" / "completion.json"


def _read() -> dict[str, Any]:
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(kept: dict[str, Any]) -> None:
    """As a whole or not at all; who can't write is asked anew each time."""
    try:
        logins.write_own(_path(), json.dumps(kept))
    except OSError:
        return


async def _models(client: Client) -> list[str]:
    return [model.name for model in await client.models.find(most=MOST)]


async def _apps(client: Client) -> list[str]:
    own, published = await asyncio.gather(client.apps.find(mine=True, most=MOST), client.apps.find(most=MOST))
    return sorted({app.slug for app in (*own, *published)})


async def _keys(client: Client) -> list[str]:
    return [key.prefix for key in await client.keys.find(most=MOST) if not key.revoked]


async def _users(client: Client) -> list[str]:
    return [user.name for user in await client.users.find(most=MOST)]


async def _teams(client: Client) -> list[str]:
    return [team.name for team in await client.teams.find()]


async def _jobs(client: Client) -> list[str]:
    return [job.id for job in await client.jobs.find()]


async def _batches(client: Client) -> list[str]:
    return [each.id for each in await client.batches.find(most=MOST)]


async def _requests(client: Client) -> list[str]:
    return [each.id for each in await client.requests.find(most=MOST)]


async def _sessions(client: Client) -> list[str]:
    return [str(session["id"]) for session in await client.sessions()]


async def _faces(client: Client) -> list[str]:
    return [str(person["id"]) for person in (await client.faces.find())["people"]]


async def _stages(client: Client) -> list[str]:
    return [str(stage["name"]) for stage in await client.stages()]


async def _uploads(client: Client) -> list[str]:
    return [each.id for each in await client.uploads.find()]


async def _versions(client: Client, model: str) -> list[str]:
    versions, aliases = await asyncio.gather(client.models.versions(model), client.models.aliases(model))
    return [*(each.alias for each in aliases.aliases), *(str(each.number) for each in versions)]


def versioned(context: typer.Context, incomplete: str) -> list[str]:
    """``fish``, and after an @ its aliases and versions."""
    name, at, which = incomplete.partition("@")
    if not at:
        return models(context, incomplete)
    known = _known(f"versions of {name}", lambda client: _versions(client, name), context.params)
    return [f"{name}@{each}" for each in known if each.startswith(which)]


models, apps, keys = _names("models", _models), _names("apps", _apps), _names("keys", _keys)
users, teams, jobs = _names("users", _users), _names("teams", _teams), _names("jobs", _jobs)
requests, sessions = _names("requests", _requests), _names("sessions", _sessions)
batches, faces = _names("batches", _batches), _names("faces", _faces)
stages, uploads = _names("stages", _stages), _names("uploads", _uploads)
