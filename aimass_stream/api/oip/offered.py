"""Which models REST offers, under which names, and what became of them: loaded on demand, put aside, counted."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import Busy, ModelFailed, NotFound, Unavailable
from ...inference import Batch, Engine, Entry, Model, ModelStore, TensorSpec
from ...ports import Caller
from . import tensors
from .messages import Stream

PER_LANE = 8  # requests that the engine lets one session have waiting
LANES = 16  # of one caller
PATIENCE = 30.0  # s that a request waits for its turn at most
MOST_STREAMS = 256
SERVED = "aimass.served"  # in a request's scope: what its model's name leads to, where that was looked up before
STREAM_SECONDS = 600.0  # after which a stream that was not ended is given up


@dataclass(frozen=True, slots=True)
class Served:
    """A model as a caller named it."""

    engine: str  # its name in the engine and in its store
    name: str
    version: str
    reason: str = ""  # why it is this one, where the caller left that open


class Catalogue(Protocol):
    """Names as callers write them, to models as the engine knows them. Called on the loop: from memory."""

    def names(self) -> list[str]: ...
    def versions(self, name: str) -> list[str]:
        """The newest last. Raises `NotFound`."""
        ...

    def resolve(self, name: str, version: str = "", *, caller: Caller | None = None) -> Served:
        """Aliases, canaries and ``auto`` are decided here. Raises `NotFound`."""
        ...

    def entry(self, served: Served) -> Entry: ...


class FolderCatalogue:
    """The models of a store, each with the one version it has."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._entries: dict[str, Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look at the store again. Reads files: in a thread, once the server runs."""
        self._entries = {entry.name: entry for entry in self._store.entries() if offered(entry.inputs)}

    def names(self) -> list[str]:
        return list(self._entries)

    def versions(self, name: str) -> list[str]:
        return [self._get(name).version]

    def resolve(self, name: str, version: str = "", *, caller: Caller | None = None) -> Served:
        entry = self._get(name)
        if version not in ("", entry.version):
            raise NotFound(f"{name} has no version {version[:32]!r}; there is: {entry.version}", field="version")
        return Served(name, name, entry.version)

    def entry(self, served: Served) -> Entry:
        return self._get(served.name)

    def _get(self, name: str) -> Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise NotFound(f"there is no model {name[:64]!r}; there are: {', '.join(self._entries) or 'none'}",
                           field="model")
        return entry


def offered(inputs: tuple[TensorSpec, ...]) -> bool:
    """Models that take whole requests instead of tensors have routes of their own."""
    return all(spec.dtype != "object" or tensors.is_text(spec) for spec in inputs)


@dataclass(slots=True)
class Counts:
    """Of one model, since the server began. Times in s, of all requests together."""

    succeeded: int = 0
    failed: int = 0
    rows: int = 0
    whole: float = 0.0
    failing: float = 0.0
    reading: float = 0.0
    running: float = 0.0  # and waiting for its turn
    writing: float = 0.0
    last: float = 0.0  # s since the epoch


class Offered:
    """The models that REST offers. Made anywhere, used on the loop."""

    def __init__(self, engine: Engine, catalogue: Catalogue, busy: Callable[[], bool] = lambda: False) -> None:
        """`busy` says whether sessions live, which may use any model of the engine: then none is ended."""
        self.engine, self.catalogue, self._busy = engine, catalogue, busy
        self.counts: dict[str, Counts] = {}
        self.aside: set[str] = set()  # names in the engine that somebody unloaded
        self._lanes: dict[str, list[int]] = {}
        self._streams: dict[tuple[str, str], float] = {}  # (name in the engine, state) to when it was last used
        self._numbers = itertools.count()

    # which -----------------------------------------------------------------------------------------

    async def ready(self, name: str, version: str = "", caller: Caller | None = None,
                    served: Served | None = None) -> tuple[Served, Model]:
        """The model, loaded by now; `served` where its name was looked up. Raises `NotFound`, `Unavailable` if it was
        unloaded, and as `Engine.load`."""
        served = served or self.catalogue.resolve(name, version, caller=caller)
        return served, await self.loaded(served)

    def at_hand(self, served: Served, caller: Caller) -> bool:
        """Whether this may be answered at once: it is loaded, its runs are short, and nothing of the caller waits."""
        return (served.engine not in self.aside and self.engine.short(served.engine)
                and who(caller) not in self._lanes)

    async def loaded(self, served: Served) -> Model:
        """Raises as `ready`."""
        if served.engine in self.aside:
            raise Unavailable(f"{served.name} was unloaded: POST /v2/repository/models/{served.name}/load brings it "
                              "back", retry_after=60)
        return self.engine.model(served.engine) or await self._load(served)

    async def _load(self, served: Served) -> Model:
        await self.engine.load(served.engine)
        model = self.engine.model(served.engine)
        if model is None:
            raise ModelFailed(f"{served.name} was unloaded meanwhile")
        return model

    async def load(self, name: str) -> None:
        served = self.catalogue.resolve(name)
        self.aside.discard(served.engine)
        await self._load(served)

    async def unload(self, name: str) -> None:
        """Refuse further requests, finish those that run, and end the model where no session could be using it."""
        served = self.catalogue.resolve(name)
        self.aside.add(served.engine)
        if served.engine in self.engine.models() and not self._busy():
            await self.engine.unload(served.engine)

    def state(self, name: str, version: str = "") -> tuple[Served, str]:
        """Why it takes no requests; empty: it does, or will when the first one loads it."""
        served = self.catalogue.resolve(name, version)
        if served.engine in self.aside:
            return served, "unloaded"
        loaded = self.engine.statistics().get(served.engine)
        return served, "failed" if loaded is not None and loaded.state == "failed" else ""

    # requests --------------------------------------------------------------------------------------

    async def run(self, served: Served, model: Model, inputs: Batch, *, caller: str, timeout: float | None = None,
                  stream: Stream | None = None) -> Batch:
        """Raises as `Engine.submit`. Live sessions go first: what comes by REST gets the gaps between them."""
        lanes = self._lanes.get(caller)
        if lanes is None:
            lanes = self._lanes[caller] = [0] * LANES
        lane = 0 if lanes[0] < PER_LANE else next(
            (number for number, taken in enumerate(lanes) if taken < PER_LANE), None)
        if lane is None:
            raise Busy(f"{LANES * PER_LANE} requests of {caller} are being worked on already", retry_after=1)
        state = self._begin(served, caller, stream) if model.capabilities.stateful else None
        lanes[lane] += 1
        try:
            return await self.engine.submit(
                served.engine, inputs, session=f"rest {caller} {lane}", state=state, background=True,
                spare=not self._busy(),
                deadline=time.monotonic() + min(timeout or PATIENCE, PATIENCE))
        finally:
            lanes[lane] -= 1
            if not any(lanes):
                self._lanes.pop(caller, None)
            if state is not None and (stream is None or stream.end):
                self._forget(served.engine, state)

    def _begin(self, served: Served, caller: str, stream: Stream | None) -> str:
        """The name of its state: one that goes on, or one for this request alone."""
        if stream is None:
            return f"rest {next(self._numbers)}"
        state, now = f"rest {caller} {stream.id}", time.monotonic()
        if stream.start:
            self._forget(served.engine, state)
        for (engine, other), used in list(self._streams.items()):
            if now - used > STREAM_SECONDS:
                self._forget(engine, other)
        if (served.engine, state) not in self._streams and len(self._streams) >= MOST_STREAMS:
            raise Busy(f"{MOST_STREAMS} sequences are open already: end some with sequence_end", retry_after=5)
        self._streams[served.engine, state] = now
        return state

    def _forget(self, engine: str, state: str) -> None:
        self._streams.pop((engine, state), None)
        self.engine.forget(engine, state)

    def count(self, served: Served) -> Counts:
        key = f"{served.name} {served.version}"
        return self.counts.get(key) or self.counts.setdefault(key, Counts())


def who(caller: Caller) -> str:
    """Whose requests wait in one queue."""
    return caller.user or caller.id or caller.address


def metadata(served: Served, entry: Entry | Model, versions: list[str]) -> dict[str, Any]:
    """A model as the protocol describes it: free axes are -1."""
    def described(specs: tuple[TensorSpec, ...]) -> list[dict[str, Any]]:
        return [{"name": spec.name, "datatype": tensors.datatype(spec),
                 "shape": [-1 if axis is None else axis for axis in spec.shape],
                 "parameters": {"unit": spec.unit} | ({"example": list(spec.example)} if spec.example else {})}
                for spec in specs]

    return {"name": served.name, "versions": versions, "platform": "aimass_stream",
            "inputs": described(entry.inputs), "outputs": described(entry.outputs)}
