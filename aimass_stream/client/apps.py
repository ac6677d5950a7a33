"""Apps: saved pipelines with a name, and their way to being published (docs/api/apps.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .connection import Connection, part
from .records import App, AppVersion, Waiting, read

RUN = 90.0  # s that one request in place of a session may take


class Apps:
    """`Client.apps`. An app goes by its id or its slug."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, words: str = "", *, mine: bool = False, sort: str = "new", most: int = 1000) -> list[App]:
        """What is published; `mine`: one's own, drafts as well. `sort`: new, used, featured or name."""
        rows = await self._connection.pages("/v1/apps", "apps", most, q=words, mine=mine or None, sort=sort)
        return [read(App, row) for row in rows]

    async def show(self, app: str, version: int | None = None) -> App:
        return read(App, await self._connection.request("GET", _of(app), query={"version": version}))

    async def versions(self, app: str) -> list[AppVersion]:
        """The newest first; to the public, what is published."""
        told = await self._connection.request("GET", f"{_of(app)}/versions")
        return [read(AppVersion, each) for each in told["versions"]]

    async def create(self, manifest: Mapping[str, Any], slug: str | None = None) -> AppVersion:
        """A draft."""
        body = {"manifest": dict(manifest)} | ({"slug": slug} if slug else {})
        return read(AppVersion, await self._connection.request("POST", "/v1/apps", body))

    async def begin(self, app: str, manifest: Mapping[str, Any] | None = None) -> AppVersion:
        """The next draft, while what is published stays so."""
        body = {} if manifest is None else {"manifest": dict(manifest)}
        return read(AppVersion, await self._connection.request("POST", f"{_of(app)}/versions", body))

    async def change(self, app: str, version: int, manifest: Mapping[str, Any]) -> AppVersion:
        """A draft, or what was rejected."""
        path = f"{_of(app)}/versions/{version}"
        return read(AppVersion, await self._connection.request("PUT", path, {"manifest": dict(manifest)}))

    async def submit(self, app: str, version: int) -> AppVersion:
        return await self._step(app, version, "submit")

    async def withdraw(self, app: str, version: int) -> AppVersion:
        """A draft again."""
        return await self._step(app, version, "withdraw")

    async def publish(self, app: str, version: int) -> AppVersion:
        """What was approved."""
        return await self._step(app, version, "publish")

    async def approve(self, app: str, version: int, reason: str = "") -> AppVersion:
        """By a reviewer whose own it is not."""
        return await self._step(app, version, "approve", {"reason": reason})

    async def reject(self, app: str, version: int, reason: str) -> AppVersion:
        """Likewise."""
        return await self._step(app, version, "reject", {"reason": reason})

    async def queue(self) -> list[Waiting]:
        """What waits for a reviewer, the longest first."""
        return [read(Waiting, each) for each in (await self._connection.request("GET", "/v1/apps/queue"))["waiting"]]

    async def unpublish(self, app: str) -> App:
        return read(App, await self._connection.request("POST", f"{_of(app)}/unpublish"))

    async def suspend(self, app: str, reason: str) -> App:
        """By a reviewer: nobody can use it until it is resumed."""
        return read(App, await self._connection.request("POST", f"{_of(app)}/suspend", {"reason": reason}))

    async def resume(self, app: str, reason: str = "") -> App:
        return read(App, await self._connection.request("POST", f"{_of(app)}/resume", {"reason": reason}))

    async def feature(self, app: str, featured: bool = True) -> App:
        """Show it first, or no longer."""
        return read(App, await self._connection.request("PUT", f"{_of(app)}/featured", {"featured": featured}))

    async def delete(self, app: str) -> None:
        """`Conflict` while it is published."""
        await self._connection.request("DELETE", _of(app))

    async def run(self, app: str, given: Mapping[str, Any], parameters: Mapping[str, Any] | None = None
                  ) -> dict[str, Any]:
        """One request in place of a session; `given` is as the input of an example. Answers `texts`, `frames`,
        `picture`, `events`, `seconds`, `failures`."""
        body = {"input": dict(given), "parameters": dict(parameters or {})}
        return dict(await self._connection.request("POST", f"{_of(app)}/run", body, seconds=RUN))

    async def health(self, app: str, days: int = 30) -> dict[str, Any]:
        """Sessions, failures, latency, together and by day; the last probe."""
        return dict(await self._connection.request("GET", f"{_of(app)}/health", query={"days": days}))

    async def probe(self, app: str, version: int | None = None) -> dict[str, Any]:
        """Run the example of a version now: `passed`, `detail`, `seconds`."""
        return dict(await self._connection.request("POST", f"{_of(app)}/probe", query={"version": version},
                                                   seconds=RUN))

    async def _step(self, app: str, version: int, step: str, body: Mapping[str, str] | None = None) -> AppVersion:
        path = f"{_of(app)}/versions/{version}/{step}"
        return read(AppVersion, await self._connection.request("POST", path, body))


def _of(app: str) -> str:
    return f"/v1/apps/{part(app)}"
