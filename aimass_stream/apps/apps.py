"""The app centre as a whole: `app.state.apps`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import Forbidden, InvalidInput, InvalidPipeline, Unavailable
from ..node import Node
from ..ports import AppCall, Caller
from ..spec import PipelineSpec
from ..store.database import Database
from .catalogue import Catalogue, Search
from .examples import Input
from .health import Health
from .manifests import Manifest, Stages, schema_of
from .personal import AppsOfPeople
from .probes import Probes
from .records import App, Book, Sort, Version, is_own, who, works_on
from .requests import Requests
from .review import Review
from .running import Came, run, shown
from .seeds import People, Seeds, builtin

log = logging.getLogger(__name__)

FLUSH = 5.0  # s between notes of what became of sessions


@dataclass(frozen=True, slots=True)
class Rules:
    error_rate: float = 0.5  # of sessions that fail, from which an app is suspended; 0: never
    least: int = 10  # sessions within an hour
    probe_seconds: float = 0.0  # between probes of all apps; 0: there are none


@dataclass(frozen=True, slots=True)
class Started:
    """A `ports.Application`: what a session is of."""

    id: str
    version: int
    manifest: Manifest
    published: bool

    def set(self, spec: PipelineSpec, parameters: object) -> PipelineSpec:
        if not isinstance(parameters, dict) or not all(isinstance(name, str) for name in parameters):
            raise InvalidInput("'parameters' is an object", field="parameters")
        return self.manifest.with_values(spec, parameters)


class Apps:
    """Made when the database is open."""

    def __init__(self, database: Database, stages: Stages, book: Book, rules: Rules | None = None,
                 clock: Callable[[], float] = time.time) -> None:
        """`stages` is what pipelines may be built of, `book` where steps are written down."""
        rules = rules or Rules()
        self.catalogue = Catalogue(database, stages, book, clock)
        self.review = Review(self.catalogue)
        self.requests = Requests(database, book, clock)
        self.health = Health(database, self.review, error_rate=rules.error_rate, least=rules.least, clock=clock)
        self.personal = AppsOfPeople(database)
        self.probes: Probes | None = None
        self._rules = rules
        self._tasks: list[asyncio.Task[None]] = []

    def open(self, node: Node) -> None:
        """Let sessions of this node begin by apps, count what becomes of them, and probe apps on it."""
        node.app = self.start
        self.catalogue.pin = lambda caller, spec: node.pin(spec, caller, PipelineSpec())
        node.ended.append(self.health.ended)
        self.probes = Probes(node, self.catalogue, self.health, self._rules.probe_seconds)
        self._tasks = [asyncio.create_task(self._flush(), name="health of apps"),
                       asyncio.create_task(self.probes.rounds(), name="probes of apps")]

    async def sow(self, people: People) -> list[str]:
        """Publish the apps to start from, with the accounts that `people` gives."""
        given = await asyncio.to_thread(builtin)
        return await Seeds(self.catalogue, self.review, people).sow(given)

    async def close(self) -> None:
        """When the node has ended its sessions."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.health.flush()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH)
            try:
                await self.health.flush()
            except Exception:  # of a database that will be there again
                log.exception("what became of apps' sessions was not written")

    async def start(self, caller: Caller, call: AppCall) -> tuple[Started, PipelineSpec, int]:
        """What an app's id or slug stands for, its pipeline with these parameters and with versions of models, and the
        latency in ms that it promises. ``ID@2`` is a certain version, for who works on it or reviews it.

        Raises `NotFound`, also for what is not published; `Forbidden`, `InvalidInput` or `InvalidPipeline`.
        """
        caller.need("apps:read")
        ref, _, number = call.id.partition("@")
        if number and not (number.isdecimal() and number.isascii() and len(number) < 10):
            raise InvalidInput("a version is a number, as in ID@2", field="app_id")
        app, version = await self.catalogue.version(caller, ref, int(number) if number else None)
        manifest = self.catalogue.kept(version)
        started = Started(app.id, version.number, manifest, app.open and version.number == app.live)
        spec = started.set(manifest.pipeline, {} if call.parameters is None else call.parameters)
        return started, self._checked(caller, spec, started), manifest.latency_ms

    def _checked(self, caller: Caller, spec: PipelineSpec, started: Started) -> PipelineSpec:
        """With versions of models. Raises `InvalidPipeline` with the name of the parameter, where it is one's fault."""
        stages = self.catalogue.stages
        try:
            meant = self.catalogue.pin(caller, spec)
            meant.validate(stages.params, stages.names)
            return meant
        except InvalidPipeline as error:
            for index, stage in enumerate(spec.stages):
                for name, each in started.manifest.parameters.items():
                    if stage.id == each.stage and error.field == f"pipeline[{index}].{each.key}":
                        raise InvalidPipeline(error.detail, field=f"parameters.{name}") from None
            raise

    def asked(self, app: Started, caller: Caller, seconds: float, *, failed: bool) -> None:
        """A request by REST that a stage of the app answered, without a session."""
        self.health.note(app.id, "runs", failed=failed, seconds=seconds, public=app.published, by=who(caller))

    async def run(self, caller: Caller, call: AppCall, given: object, within: float) -> Came:
        """What an app makes of an input like that of an example. Raises as `Node.open`, and `InvalidInput`."""
        came, _ = await run(self._there().node, caller, call, Input.parse(given), None, within=within,
                            transport="rest")
        return came

    async def probe(self, caller: Caller, ref: str, number: int | None) -> tuple[bool, str, float]:
        """Run the example of a version that they work on or review: passed, what was missing, seconds."""
        app, version = await self.catalogue.version(caller, ref, number)
        if not works_on(caller, app) and "apps:review" not in caller.scopes:
            raise Forbidden("an app is probed by those who work on it and by reviewers")
        return await self._there().look(caller, app, version)

    def shown(self, came: Came) -> dict[str, Any]:
        """As REST answers. Takes milliseconds: in a thread."""
        return shown(came)

    def _there(self) -> Probes:
        if self.probes is None:
            raise Unavailable("the app centre is not open", retry_after=2)
        return self.probes

    async def find(self, caller: Caller, words: str, mine: bool, sort: Sort, limit: int,
                   after: tuple[Any, ...] | None = None) -> list[tuple[App, Version]]:
        """Each with the version that is published, or else its newest."""
        return await self.catalogue.with_versions(
            await self.catalogue.find(caller, Search(words, mine, sort), limit, after))

    def schema(self, version: Version) -> dict[str, Any]:
        """JSON Schema of what can be set."""
        return schema_of(self.catalogue.kept(version), self.catalogue.stages)

    def is_own(self, caller: Caller, app: App, version: Version) -> bool:
        return is_own(caller, app, version)
