"""The app centre as a whole: `app.state.apps`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput, InvalidPipeline
from ..ports import AppCall, Caller
from ..spec import PipelineSpec
from ..store.database import Database
from .catalogue import Catalogue, Search
from .manifests import Manifest, Stages, schema_of
from .records import App, Book, Sort, Version, is_own
from .review import Review


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

    def __init__(self, database: Database, stages: Stages, book: Book, clock: Callable[[], float] = time.time) -> None:
        """`stages` is what pipelines may be built of, `book` where steps are written down."""
        self.catalogue = Catalogue(database, stages, book, clock)
        self.review = Review(self.catalogue)

    async def start(self, caller: Caller, call: AppCall) -> tuple[Started, PipelineSpec, int]:
        """What an app's id or slug stands for, its pipeline with these parameters, and the latency in ms that it
        promises. ``ID@2`` is a certain version, for who works on it or reviews it.

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
        self._check(spec, started)
        return started, spec, manifest.latency_ms

    def _check(self, spec: PipelineSpec, started: Started) -> None:
        """Raises `InvalidPipeline` with the name of the parameter, where it is one's fault."""
        stages = self.catalogue.stages
        try:
            spec.validate(stages.params, stages.names)
        except InvalidPipeline as error:
            for index, stage in enumerate(spec.stages):
                for name, each in started.manifest.parameters.items():
                    if stage.id == each.stage and error.field == f"pipeline[{index}].{each.key}":
                        raise InvalidPipeline(error.detail, field=f"parameters.{name}") from None
            raise

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
