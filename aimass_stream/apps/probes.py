"""Each published app's example, run through a real session now and then, and its answer checked."""

from __future__ import annotations

import asyncio
import logging

from ..errors import AimassError, Busy, Unavailable
from ..node import Node
from ..ports import AppCall, Caller
from .catalogue import Catalogue
from .health import Health
from .records import SERVER, App, Version
from .running import run

log = logging.getLogger(__name__)

LOAD = 0.5  # share of the processor above which no probe begins: people come first


class Probes:
    def __init__(self, node: Node, catalogue: Catalogue, health: Health, every: float) -> None:
        """`every` in s, between rounds; 0: there are none."""
        self.node, self._catalogue, self._health, self.every = node, catalogue, health, every

    async def rounds(self) -> None:
        while self.every:
            await asyncio.sleep(self.every)
            try:
                await self.round()
            except Exception:  # of a database that will be there again
                log.exception("apps were not probed")

    async def round(self) -> int:
        """All that are published, one after the other; answers how many were probed."""
        done = 0
        for app, version in await self._catalogue.with_versions(await self._catalogue.live()):
            if self.busy:
                log.info("probes of apps wait: sessions need the processor")
                return done
            passed = await self.probe(app, version)
            done += passed is not None
        return done

    @property
    def busy(self) -> bool:
        node = self.node
        return (node.draining or node.full() is not None or node.load > LOAD
                or any(session.promise is not None for session in node.sessions()))

    async def probe(self, app: App, version: Version) -> bool | None:
        """Whether it did what its example says, which is kept; None where there was no room for a session."""
        try:
            passed, detail, seconds = await self.look(SERVER, app, version)
        except (Busy, Unavailable) as error:
            log.info("app %s was not probed: %s", app.slug, error.detail)
            return None
        if not passed:
            log.warning("app %s failed its probe: %s", app.slug, detail)
        await self._health.probed(app.id, passed, detail, seconds)
        return passed

    async def look(self, caller: Caller, app: App, version: Version) -> tuple[bool, str, float]:
        """Run the example of any version; nothing is kept. Raises `Busy` or `Unavailable`."""
        example = self._catalogue.kept(version).example
        if example is None:
            return False, "there is no example", 0.0
        call = AppCall(f"{app.id}@{version.number}", dict(example.parameters))
        try:
            came, missing = await run(self.node, caller, call, example.input, example.expect,
                                      within=example.within, transport="probe")
        except (Busy, Unavailable):
            raise
        except AimassError as error:
            return False, error.detail, 0.0
        return not missing, missing, came.seconds
