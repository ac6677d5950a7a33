"""This process's sessions: who is admitted, the table of them, and how they are drained."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import psutil

from . import memory, metrics
from .admission import Admission
from .errors import Busy, Forbidden, NotFound, Unavailable
from .events import EventData
from .frames import now
from .inference import ModelOf
from .ports import AppCall, Application, Caller
from .session import Session, Sync
from .settings import Settings
from .spec import PipelineSpec, latency_of
from .speech.transcript import Transcript
from .stage import Room
from .stages import Registry
from .vision.sightings import Sightings
from .webhooks import Webhooks

log = logging.getLogger(__name__)

LAG_EVERY = 0.05  # s between looks at the loop's punctuality
LOAD_EVERY = 1.0  # s between looks at the processor
KEPT_RECORDS = 64  # of sessions that have ended: what was said and what was followed
RECORD_AGE = 3600.0  # s they are kept


async def no_apps(caller: Caller, call: AppCall) -> tuple[Application, PipelineSpec, int]:
    """Of a node without an app centre."""
    raise NotFound(f"there is no app {call.id[:64]!r}", field="app_id")


async def everybody(caller: Caller) -> None:
    """A gate without a keeper."""


class Node:
    """`start` it before the first session and `close` it at the end.

    `gate` says whether a caller may have one more session, and raises `Forbidden` or `Busy`.
    """

    def __init__(self, settings: Settings, registry: Registry, engine: Any) -> None:
        self.settings = settings
        self.stages = registry
        self.engine = engine
        # which versions of models a caller's pipeline means, where there was one before it
        self.pin: Callable[[PipelineSpec, Caller, PipelineSpec], PipelineSpec] = lambda spec, caller, before: spec
        # and which one a name means in a field that takes names of models, with the one that it stands for already
        self.meant: Callable[[ModelOf, str, Caller, str], str] = lambda wanted, said, caller, held: said
        # what an app's id stands for; those in `ended` learn what became of each session
        self.app: Callable[[Caller, AppCall], Awaitable[tuple[Application, PipelineSpec, int]]] = no_apps
        self.ended: list[Callable[[Session], None]] = []
        self.draining = False
        self.load = 0.0  # share of all cores this process uses, smoothed over some seconds
        self.admission = Admission(registry, _cores(), settings.max_load)
        self._sessions: dict[str, Session] = {}
        self.webhooks = Webhooks(settings, self._tell_one)
        self.gate: Callable[[Caller], Awaitable[None]] = everybody
        self._records: OrderedDict[str, tuple[float, Transcript, Sightings, Caller]] = OrderedDict()  # when it ended
        self._ending: set[asyncio.Task[None]] = set()
        self._lags: deque[float] = deque(maxlen=round(5 / LAG_EVERY))
        self._process = psutil.Process()
        self._tasks: list[asyncio.Task[None]] = []
        self._left_memory = False  # a session closed since memory was last given back
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._watch_lag(), name="loop lag"),
                       asyncio.create_task(self._watch_load(), name="load")]
        await self.webhooks.start()

    async def close(self) -> None:
        """End every session and stop."""
        for session in self.sessions():
            await session.close("the server stopped")
        await self.webhooks.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # sessions --------------------------------------------------------------------------------------

    async def open(self, spec: PipelineSpec, *, caller: Caller, transport: str, sync: Sync = "lowest",
                   hears: bool = False, latency_ms: int | None = None, app: AppCall | None = None,
                   room: Callable[[], Room | None] = lambda: None) -> Session:
        """A new, waiting session. `hears`: its transport has speech recognised, whatever its stages do. `latency_ms`
        is promised: its stages do with less where that is needed, and nobody is admitted who would break it. An `app`
        brings the pipeline. `room` is what its stages see of the meeting that it is of.

        Raises `InvalidInput`, `InvalidPipeline`, `Forbidden`, `Busy` or `Unavailable`.
        """
        bound = latency_of(latency_ms)
        application = None
        if app is not None:
            application, spec, promised = await self.app(caller, app)
            bound = bound if latency_ms is not None else promised
        await self._let_in(caller)
        self._admit()
        spec = self.pin(spec, caller, PipelineSpec())
        self._leave_room(spec)
        if hears or any(self.stages.listens(stage.name) for stage in spec.stages):
            self._may_listen()
        session = Session(spec, registry=self.stages, engine=self.engine, caller=caller, transport=transport,
                          sync=sync, settings=self.settings, hears=hears, may_listen=self._may_listen,
                          may_run=lambda session, spec: self._leave_room(spec, session), latency_ms=bound,
                          pin=lambda session, spec: self.pin(spec, session.caller, session.spec),
                          on_closed=self._forget, post=self.webhooks.send, app=application, room=room)
        self._sessions[session.id] = session
        self._empty.clear()
        metrics.SESSIONS.labels(transport).inc()
        metrics.ADMISSIONS.labels("admitted").inc()
        await session.start()
        log.info("session %s opened over %s for %s", session.id, transport, caller.name)
        return session

    def get(self, session_id: str, caller: Caller | None = None) -> Session:
        """With a caller: if it is theirs. Raises `NotFound`."""
        session = self._sessions.get(session_id)
        if session is None or not _shows(session.caller, caller):
            raise NotFound(f"there is no session {session_id[:64]!r}", field="session_id")
        return session

    def sessions(self, caller: Caller | None = None) -> list[Session]:
        """All, or those that this caller may see."""
        return [session for session in self._sessions.values() if _shows(session.caller, caller)]

    def transcript(self, session_id: str, caller: Caller | None = None) -> Transcript:
        """What was said in a session, also for a while after its end. Raises `NotFound`."""
        kept = self._record(session_id, caller)
        return self.get(session_id, caller).transcript if kept is None else kept[1]

    def sightings(self, session_id: str, caller: Caller | None = None) -> Sightings:
        """What was followed in its pictures, likewise."""
        kept = self._record(session_id, caller)
        return self.get(session_id, caller).sightings if kept is None else kept[2]

    def _record(self, session_id: str, caller: Caller | None) -> tuple[float, Transcript, Sightings, Caller] | None:
        self._forget_records()
        kept = self._records.get(session_id)
        return kept if kept is not None and _shows(kept[3], caller) else None

    def records(self) -> list[Sightings]:
        """Those of all sessions, also of ones that are over."""
        return [*(session.sightings for session in self.sessions()), *(kept[2] for kept in self._records.values())]

    def _forget_records(self) -> None:
        while self._records and (len(self._records) > KEPT_RECORDS
                                 or next(iter(self._records.values()))[0] < now() - RECORD_AGE):
            self._records.popitem(last=False)

    def tell(self, news: EventData) -> None:
        """The same event in every session."""
        for session in self.sessions():
            session.event(news)

    def _tell_one(self, session_id: str, news: EventData) -> None:
        """One session, if it is still there."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.event(news)

    async def end(self, session_id: str, reason: str, caller: Caller | None = None) -> None:
        """End one session, as somebody asks. Raises `NotFound`."""
        await self.get(session_id, caller).close(reason, "request")

    def callers(self) -> list[Caller]:
        """Of each session that runs."""
        return [session.caller for session in self._sessions.values()]

    def end_those(self, those: Callable[[Caller], bool], reason: str) -> None:
        """Begin to end the sessions of these callers."""
        for session in self.sessions():
            if those(session.caller):
                log.info("session %s ends: %s", session.id, reason)
                task = asyncio.create_task(session.close(reason), name="end of a session")
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    async def drain(self, seconds: float) -> None:
        """Admit nobody, tell every client, wait up to `seconds` for them to leave, then end the rest."""
        self.draining = True
        for session in self.sessions():
            session.drain(seconds)
        if self._sessions:
            log.info("draining: %d sessions have %g s to end", len(self._sessions), seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            await asyncio.gather(*(session.close("the server stopped") for session in self.sessions()))

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        if len(session.transcript) or len(session.sightings):
            self._records[session.id] = now(), session.transcript, session.sightings, session.caller
            self._forget_records()
        self._left_memory = True
        if not self._sessions:
            self._empty.set()
        metrics.SESSIONS.labels(session.transport).dec()
        for told in self.ended:
            told(session)
        log.info("session %s closed", session.id)

    # admission -------------------------------------------------------------------------------------

    async def _let_in(self, caller: Caller) -> None:
        try:
            await self.gate(caller)
        except (Busy, Forbidden):
            metrics.ADMISSIONS.labels("caller").inc()
            raise

    def _admit(self) -> None:
        if self.draining:
            metrics.ADMISSIONS.labels("draining").inc()
            raise Unavailable("the server is stopping", retry_after=10)
        reason = self.full()
        if reason is not None:
            metrics.ADMISSIONS.labels("busy").inc()
            raise Busy(reason, retry_after=5)

    def _may_listen(self) -> None:
        """Raises `Busy` when no further session can have its speech recognised in time."""
        most = self.settings.max_listeners
        if sum(session.listens for session in self._sessions.values()) >= most:
            metrics.ADMISSIONS.labels("listeners").inc()
            raise Busy(f"this server already listens to as many sessions as it may ({most}). Try again later",
                       retry_after=5)

    def _leave_room(self, spec: PipelineSpec, session: Session | None = None) -> None:
        """Raises `Busy` when this spec, of a new session or of that one, would cost others a promised latency."""
        others = [other for other in self._sessions.values() if other is not session]
        try:
            self.admission.check(spec, None if session is None else session.spec, others, self.load)
        except Busy:
            metrics.ADMISSIONS.labels("promise").inc()
            raise

    def full(self) -> str | None:
        """Why nobody would be admitted now, or None."""
        settings = self.settings
        if len(self._sessions) >= settings.max_sessions:
            return f"all {settings.max_sessions} sessions are taken"
        if self.load > settings.max_load:
            return f"the server is too busy: its processor is at {self.load:.0%}, the limit is {settings.max_load:.0%}"
        if self.loop_lag > settings.max_loop_lag:
            limit = settings.max_loop_lag * 1000
            return f"the server is too busy: it is {self.loop_lag * 1000:.0f} ms late, the limit is {limit:.0f} ms"
        return None

    @property
    def loop_lag(self) -> float:
        """Seconds the loop ran late, 95th percentile of the last seconds."""
        ordered = sorted(self._lags)
        return ordered[int(len(ordered) * 0.95)] if ordered else 0.0

    async def _watch_lag(self) -> None:
        while True:
            due = now() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            lag = max(0.0, now() - due)
            self._lags.append(lag)
            metrics.LOOP_LAG.observe(lag)

    async def _watch_load(self) -> None:
        cores = _cores()
        self._process.cpu_percent()
        while True:
            await asyncio.sleep(LOAD_EVERY)
            share = self._process.cpu_percent() / 100 / cores
            self.load += 0.3 * (share - self.load)
            self.admission.learn(self._sessions.values())
            if self._left_memory:
                self._left_memory = False
                if not self._sessions:
                    memory.collect()
                await asyncio.to_thread(memory.give_back)
            metrics.MEMORY.set(self._process.memory_info().rss)

    def json(self) -> dict[str, Any]:
        state: Literal["ready", "full", "draining"]
        state = "draining" if self.draining else "full" if self.full() else "ready"
        return {"state": state, "reason": self.full(), "sessions": len(self._sessions),
                "max_sessions": self.settings.max_sessions, "load": round(self.load, 3),
                "promised": sum(session.promise is not None for session in self._sessions.values()),
                "loop_lag_ms": round(self.loop_lag * 1000, 2)}


def _shows(owner: Caller, caller: Caller | None) -> bool:
    """Whether what is the owner's is the caller's, too. Those without an account are not told apart."""
    return caller is None or caller.owns(owner.owner) or (caller.owner == "" == owner.owner)


def _cores() -> int:
    """Those that we may run on, which may be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
