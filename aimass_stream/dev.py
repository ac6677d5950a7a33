"""`aimass dev`: a stage's file under development, loaded again whenever it is saved.

The file's time and size are looked at ten times a second: that costs a few microseconds, works on every file
system, and needs no library. Code is compiled and run in a thread. New code takes over between two frames in
every session that uses it; code that can't be loaded changes nothing, and clients are told why.
"""

from __future__ import annotations

import asyncio
import inspect
import linecache
import logging
import re
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from fastapi import FastAPI
from pydantic import BaseModel, ValidationError

from . import server
from .errors import AimassError, InvalidInput
from .events import StageReloaded
from .frames import now
from .node import Node
from .session import Session
from .settings import Settings
from .spec import PipelineSpec, StageSpec
from .stages import Registry, as_factory

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1  # s; a file is loaded when two looks in a row see the same, so that half a save is not

Version: TypeAlias = tuple[int, int, int]  # modified (ns), size (bytes), inode


class Workbench:
    """A file, and the stages it offers through a registry."""

    def __init__(self, path: Path, registry: Registry) -> None:
        """Loads the file: call this before the loop runs. Raises `InvalidInput` that says what is wrong with it."""
        self.path = path.resolve()
        self.registry = registry
        self._version = version(self.path)
        stages = load_file(self.path)
        self.names = list(stages)
        for name, stage in stages.items():
            registry.add(name, stage)

    @property
    def pipeline(self) -> list[dict[str, Any]]:
        """The stages of the file, in its order."""
        return PipelineSpec(tuple(StageSpec(name) for name in self.names)).json()

    async def watch(self, node: Node) -> None:
        """Load the file again whenever it changes. Runs until it is cancelled."""
        seen = self._version
        while True:
            await asyncio.sleep(LOOK_EVERY)
            found = await asyncio.to_thread(version, self.path)
            if found is not None and found == seen and found != self._version:
                self._version = found
                await self.reload(node)
            seen = found

    async def reload(self, node: Node) -> None:
        """Load the file and let every session of the node go on with it, or with what it has if that fails."""
        begun = now()
        try:
            stages = await asyncio.to_thread(load_file, self.path)
        except InvalidInput as error:
            log.error("%s could not be loaded, the last version goes on: %s", self.path.name, error.detail)
            self._tell(node, self.names[0], error.detail)
            return
        for name, stage in stages.items():
            self.registry.add(name, stage)
        for name in self.names:
            if name not in stages:
                self._tell(node, name, f"it is no longer in {self.path.name}; the last version goes on")
        self.names = list(stages)
        for session in node.sessions():
            await self._switch(session)
        log.info("%s loaded in %.0f ms: %s", self.path.name, (now() - begun) * 1000, ", ".join(stages))

    def _tell(self, node: Node, name: str, detail: str) -> None:
        for session in node.sessions():
            session.event(StageReloaded(stage=name, ok=False, detail=detail))

    async def _switch(self, session: Session) -> None:
        """Run the new code in one session, with its parameters as far as the new code has them."""
        before = session.spec
        spec = self._fitting(before)
        for name in self.names:
            event = StageReloaded(stage=name, ok=True)
            if any(stage.name == name for stage in spec.stages):
                try:
                    await session.pipeline.update(spec, rebuild=name)
                except AimassError as error:
                    event = StageReloaded(stage=name, ok=False, detail=error.detail)
            session.event(event)
        if session.spec != before:
            session.tell_update()

    def _fitting(self, spec: PipelineSpec) -> PipelineSpec:
        """This pipeline without the parameters that the new code does not take."""
        stages = []
        for stage in spec.stages:
            model = self.registry.params(stage.name) if stage.name in self.names else None
            params = stage.params if model is None else still_valid(stage.params, model)
            stages.append(StageSpec(stage.name, params, stage.id, stage.track))
        return PipelineSpec(tuple(stages))


def create_app(settings: Settings, path: Path) -> tuple[FastAPI, Workbench]:
    """The whole server with the stages of this file, watched. Raises `InvalidInput`."""
    registry = Registry()
    workbench = Workbench(path, registry)
    app = server.create_app(settings, registry=registry)
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def watched(_: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            watching = asyncio.create_task(workbench.watch(app.state.node), name=f"watch {path.name}")
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.wait([watching])

    app.router.lifespan_context = watched
    return app, workbench


def version(path: Path) -> Version | None:
    """What tells one version of a file from the next; None while it is not there (editors replace files)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def still_valid(params: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Those of the parameters that `model` accepts."""
    try:
        model.model_validate(params)
    except ValidationError as error:
        wrong = {part["loc"][0] for part in error.errors() if part["loc"]}
        kept = {name: value for name, value in params.items() if name not in wrong}
        return still_valid(kept, model) if len(kept) < len(params) else {}
    return params


def load_file(path: Path) -> dict[str, object]:
    """Run a file and collect its stages by name, in order. Raises `InvalidInput` with the error's last line."""
    # a stable name, so that a reload replaces the module instead of piling up beside it
    module = ModuleType(f"aimass_dev_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}")
    module.__file__ = str(path)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        # compiled here and not by the import system: its cache on disk takes two saves in one second for one
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        linecache.checkcache(str(path))
        stages = dict(_stages(module))
        for stage in stages.values():
            as_factory(stage)
        if not stages:
            raise TypeError("there is no function under @stage and no stage's class in it")
    except (Exception, SystemExit) as error:  # whatever somebody's code may raise
        if before is not None:
            sys.modules[module.__name__] = before
        else:
            del sys.modules[module.__name__]
        raise InvalidInput(last_line(error, path), field="file") from error
    return stages


def _stages(module: ModuleType) -> list[tuple[str, object]]:
    """What of this module itself is a stage; imported ones are not."""
    own = [(name, value) for name, value in vars(module).items()
           if getattr(value, "__module__", None) == module.__name__]
    return [(name if inspect.isfunction(value) else _snake(name), value) for name, value in own
            if hasattr(value, "__aimass_stage__")
            or (inspect.isclass(value) and hasattr(value, "process") and not inspect.isabstract(value))]


def _snake(name: str) -> str:
    """MyStage -> my_stage."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def last_line(error: BaseException, path: Path) -> str:
    """The last line of the error's traceback, and the line of the file it comes from."""
    text = traceback.format_exception_only(error)[-1].strip()
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else (lines or [None])[-1]
    return text if line is None else f"{text} ({path.name}, line {line})"
