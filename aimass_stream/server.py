"""The composition root: builds the node, the routes and everything they share, and runs them."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from . import __version__, tls
from .accounts import Accounts
from .api import (
    attendance,
    audio,
    catalogue,
    description,
    extension,
    faces,
    health,
    images,
    jobs,
    lessons,
    metering,
    models,
    origin,
    pages,
    predict,
    problems,
    sessions,
    sources,
    speech,
    tracks,
    transcripts,
    usage,
    videos,
    vision,
    webrtc,
    whep,
    whip,
)
from .api.accounts import router as accounts_router
from .api.apps import ROUTERS as APPS
from .api.audit import router as audit_router
from .api.batch import ROUTERS as BATCH
from .api.batch.batches import register as register_batches
from .api.direct import Direct
from .api.hub import ROUTERS as HUB
from .api.hub.served import HubCatalogue
from .api.keys import connect_router
from .api.keys import router as keys_router
from .api.oip import routes as oip
from .api.oip.infer import Infer
from .api.oip.offered import Offered
from .api.realtime import router as realtime_router
from .api.rooms import router as rooms_router
from .api.shortcut import Application, Shortcut
from .api.sign_in import router as sign_in_router
from .api.site import ROUTERS as SITE
from .api.site import install as install_pages
from .api.teams import router as teams_router
from .conversation.tools import Toolbox
from .errors import AimassError, InvalidInput
from .events import InstalledModel, ModelsChanged
from .hearing.recognizers import RECOGNIZERS, open_recognizer
from .inference import Engine, FolderStore, installed
from .inference.arrivals import Change, Version, versions, watch
from .inference.cuda import open_device
from .jobs import Job, Jobs
from .jobs.personal import JobsOfPeople
from .node import Node
from .ports import Caller
from .rooms.rooms import Rooms
from .session import Session
from .settings import Settings
from .signing import sealing_keys
from .speaking.voices import ENGINES, open_synthesizer
from .stages import Registry
from .store import open_blobs
from .transports import realtime, telephony, websocket
from .transports.http import Http
from .transports.webrtc import WebRtc
from .transports.wyoming import Wyoming
from .usage import Seen, Usage
from .weights import folder_of
from .weights.background import Fetcher

if TYPE_CHECKING:
    from .apps.apps import Apps
    from .hub.conversions.orders import Conversions
    from .hub.following import Following
    from .hub.hub import Hub
    from .store import Database
    from .store.repeats import Repeats
    from .watch.watch import Watch

log = logging.getLogger(__name__)

ROUTERS = (sessions.router, sessions.ending_router, transcripts.router, tracks.router, webrtc.router, whip.router,
           whep.router, predict.router, realtime_router, catalogue.router, health.router, usage.router, speech.router,
           audio.router, images.router, videos.router, lessons.router, jobs.router, *BATCH, vision.router,
           attendance.router, faces.router, models.router, sign_in_router, accounts_router, keys_router, connect_router,
           teams_router, audit_router, rooms_router, *APPS, *HUB, *SITE, extension.router, pages.router)
DOORS = APIRouter()  # how FastAPI solves these routes is worked out once a process, and not for every application
for _router in ROUTERS:
    DOORS.include_router(_router)
    sources.tell(_router.routes)


def create_app(settings: Settings, *, registry: Registry | None = None, described: bool = True) -> FastAPI:
    """The whole server as an ASGI application, `described` by its openapi.json. Raises `InvalidInput` for settings that
    are not safe."""
    check(settings)
    store = installed() if settings.builtin_models else FolderStore(())
    store.add(*settings.model_dirs, folder_of(settings))
    engine = Engine(store, open_device(settings.device))
    registry = registry or Registry()
    known = versions(store)
    registry.load()  # before the loop runs: an import may take long
    store.prepare()  # likewise
    node = Node(settings, registry, engine)
    peers = WebRtc(settings)
    rooms = Rooms(node, settings.max_rooms)
    accounts = Accounts(settings)
    node.gate, accounts.live = accounts.admit, node.callers

    def end(those: Callable[[Caller], bool], reason: str) -> None:
        node.end_those(those, reason)
        peers.end_those(those, reason)
        rooms.end_those(those, reason)

    accounts.end = end
    toolbox = Toolbox().load()
    wyoming = Wyoming(node)
    fetcher = Fetcher(settings, node.tell)
    catalogue = HubCatalogue(store)
    offered = Offered(engine, catalogue, busy=lambda: bool(node.sessions()))
    metered = Usage(lambda: _seen(node.sessions()), keep_days=settings.usage_days)
    node.ended.append(lambda session: metered.ended(_seen([session])))
    infer = Infer(offered, settings.max_infer, metered.meter)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.state.database = database = await _database(settings)
        await accounts.open(database)
        await metered.open(database)
        app.state.jobs = board = await _jobs(settings, database, node)
        accounts.personal["jobs"] = JobsOfPeople(board)
        register_batches(app, board, settings, accounts)
        app.state.repeats = accounts.personal["repeats"] = await _repeats(database)
        app.state.hub = catalogue.hub = hub = await _hub(settings, database, engine, store, node, accounts)
        hub.waiting.append(lambda: videos.held(board))
        app.state.conversions = await _conversions(hub, board)
        hub.following = await _following(hub, board, settings)
        app.state.apps = apps = await _apps(database, node, accounts)
        app.state.watch = watch = await _watch(settings, database, hub, node, accounts, infer)
        await node.start()
        await board.start()
        await peers.start()
        await wyoming.start()
        await fetcher.start()
        beside = [asyncio.create_task(follow(store, known, engine, node, catalogue), name="models")]
        if settings.builtin_apps:
            beside.append(asyncio.create_task(sow(apps, accounts), name="apps to start from"))
        if settings.warm:
            beside.append(asyncio.create_task(warm(engine, settings), name="warm"))
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await fetcher.close()
            await wyoming.close()
            await rooms.close()
            await node.close()
            await apps.close()
            await board.close()
            await peers.close()
            await watch.close()
            await hub.close()
            await engine.close()
            await metered.close()
            await accounts.close()
            await database.close()

    app = Application(
        title="AI Mass Stream", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="AI models as a service for live media: sessions, pipelines, WebRTC signalling.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # /metrics is what measures here; to ask whether somebody else does costs as much as a small request
        telemetry={"tracing": False, "metrics": False, "logs": False})
    app.state.settings = settings
    app.state.node = node
    app.state.webrtc = peers
    app.state.rooms = rooms
    app.state.wyoming = wyoming
    app.state.fetcher = fetcher
    app.state.offered, app.state.infer, app.state.usage = offered, infer, metered
    app.state.realtime = realtime.Realtime(toolbox)
    app.state.accounts = app.state.authorizer = accounts
    _open_doors(app, settings, infer, accounts)
    if described:
        description.describe(app)
    return app


def _open_doors(app: Application, settings: Settings, infer: Infer, accounts: Accounts) -> None:
    """All routes, and what requests go through before these."""
    problems.install(app)
    install_pages(app)
    app.short(infer, settings)
    app.direct = Direct(infer, settings, accounts)
    app.add_middleware(Shortcut, infer=infer, settings=settings)  # the innermost
    app.add_middleware(metering.Metered, accounts=accounts)
    app.add_middleware(origin.OriginGuard, settings=settings)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["*"],
                           allow_headers=["Authorization", "Content-Type", "If-Match", "Idempotency-Key",
                                          "Resume-Token"],
                           expose_headers=["Location", "ETag", "Link", "Retry-After", "Idempotency-Replayed"])
    app.router.routes.extend(oip.routes(infer))
    app.router.routes.extend(DOORS.routes)
    app.add_api_websocket_route("/v1/stream", websocket.stream)
    app.add_api_websocket_route("/v1/realtime", realtime.realtime)
    app.add_api_websocket_route("/v1/telephony/twilio", telephony.twilio)


async def _database(settings: Settings) -> Database:
    """SQLAlchemy takes most of a second to import: not on the loop."""
    return await (await asyncio.to_thread(_opener))(settings)


def _opener() -> Callable[[Settings], Awaitable[Database]]:
    from .store.database import open_database

    return open_database


async def _repeats(database: Database) -> Repeats:
    """Answers to requests that may come twice."""
    module = await asyncio.to_thread(importlib.import_module, "aimass_stream.store.repeats")
    repeats: Repeats = module.Repeats(database)
    return repeats


async def _jobs(settings: Settings, database: Database, node: Node) -> Jobs:
    """The jobs of this server; each module that has some says what they do."""
    from .store import Jobs as Table

    def tell(job: Job, told: Callable[[], None]) -> None:
        def ended(detail: str, attempts: int) -> None:
            if attempts:  # else the next start tries again
                told()

        node.webhooks.post(job.row.webhook or "", f"job {job.id}", jobs.ended(job), ended, message_id=f"msg_{job.id}")

    blobs = await open_blobs(settings, "jobs")
    board = Jobs(settings, Table(database, blobs, keep=settings.job_keep_seconds), blobs, tell)
    videos.register(board, settings)
    lessons.register(board, settings)
    return board


async def _hub(settings: Settings, database: Database, engine: Engine, store: FolderStore, node: Node,
               accounts: Accounts) -> Hub:
    """The model hub; sessions get their versions from it, and it learns from them which are in use."""
    module = await asyncio.to_thread(importlib.import_module, "aimass_stream.hub.hub")
    hub: Hub = module.Hub(database, await open_blobs(settings, "hub-files"), engine, store, settings.data_dir / "hub",
                          specs=lambda: {session.id: session.spec for session in node.sessions()},
                          auditor=accounts.parts.audit, fields=node.stages.models,
                          keys=sealing_keys(settings.model_key) if settings.model_key else (),
                          live=lambda: bool(node.sessions()), upload_pace=settings.upload_pace)
    await hub.start()
    hub.holders.append(lambda: {session.id: session.held for session in node.sessions()})
    node.pin, node.meant, accounts.personal["hub"] = hub.pin, hub.meant, hub
    return hub


async def _following(hub: Hub, board: Jobs, settings: Settings) -> Following:
    module = await asyncio.to_thread(importlib.import_module, "aimass_stream.hub.following")
    following: Following = module.Following(hub, board, settings)
    return following


async def _conversions(hub: Hub, board: Jobs) -> Conversions:
    module = await asyncio.to_thread(importlib.import_module, "aimass_stream.hub.conversions.orders")
    made: Conversions = module.Conversions(hub, board)
    return made


async def _apps(database: Database, node: Node, accounts: Accounts) -> Apps:
    """The app centre; sessions get from it what an app's id stands for."""
    module = await asyncio.to_thread(importlib.import_module, "aimass_stream.apps.apps")
    settings = node.settings
    rules = module.Rules(settings.app_error_rate, settings.app_error_least, settings.app_probe_seconds)
    apps: Apps = module.Apps(database, node.stages, accounts.parts.audit, rules)
    apps.open(node)
    accounts.personal["apps"] = apps.personal
    return apps


async def _watch(settings: Settings, database: Database, hub: Hub, node: Node, accounts: Accounts, infer: Infer
                 ) -> Watch:
    """How versions of models do."""
    module = await asyncio.to_thread(importlib.import_module, "aimass_stream.watch.watch")
    kept = module.Kept(settings.baseline_days, settings.feedback_days, settings.usage_days)
    watch: Watch = module.Watch(database, hub, accounts.parts.audit, node.webhooks.post, kept)
    watch.start()
    infer.watched, accounts.personal["watch"] = watch.counts.request, watch.feedback
    return watch


async def sow(apps: Apps, accounts: Accounts) -> None:
    """Publish the apps to start from, beside everything else."""
    try:
        made = await apps.sow(accounts.own)
    except AimassError as error:
        log.warning("the apps to start from are not there: %s", error.detail)
        return
    if made:
        log.info("apps to start from: %s", ", ".join(made))


def _seen(sessions: Iterable[Session]) -> list[Seen]:
    """The sessions as usage sees them; the server's own probes of apps are nobody's use."""
    return [Seen(session.id, session.caller, sum(session.meter.drops.values()),
                 tuple(sorted(hops["total"])[len(hops["total"]) // 2] for hops in session.meter.hops.values()
                       if hops.get("total")), "" if session.app is None else session.app.id,
                 max(0.0, time.time() - session.created), session.meter.utterances, tuple(session.meter.words))
            for session in sessions if session.transport != "probe"]


async def warm(engine: Engine, settings: Settings) -> None:
    """Open the voice and the recogniser that sessions would get, beside everything else."""
    try:
        await open_synthesizer(engine, settings)
        await (await open_recognizer(engine, settings, session="warm")).close()
    except AimassError as error:
        log.warning("speech is not ready: %s", error.detail)


async def follow(store: FolderStore, known: dict[str, Version], engine: Engine, node: Node,
                 catalogue: HubCatalogue) -> None:
    """Offer models that come while the server runs, use what changed, and say so in every session."""
    async def told(change: Change) -> None:
        for name in change.changed:
            try:
                await engine.renew(name)
            except AimassError as error:
                log.warning("%s changed, and sessions go on with what it was: %s", name, error.detail)
        await asyncio.to_thread(node.stages.refresh)
        await asyncio.to_thread(catalogue.refresh)
        if catalogue.hub is not None:
            await catalogue.hub.refresh()
        added, changed = [await asyncio.to_thread(_installed, store, names) for names in (change.added, change.changed)]
        node.tell(ModelsChanged(added=added, changed=changed, removed=list(change.removed)))

    await watch(store, known, told)


def _installed(store: FolderStore, names: Sequence[str]) -> list[InstalledModel]:
    return [InstalledModel(name=entry.name, title=entry.title, task=entry.task)
            for entry in store.entries() if entry.name in names]


def check(settings: Settings) -> None:
    """Refuse to be open to the world by accident, and names that nothing here has."""
    if settings.public and settings.api_key is None and not settings.accounts and not settings.insecure:
        raise InvalidInput(
            f"{settings.host} can be reached from other machines: let people sign in (--accounts), set an API key "
            "(--api-key, AIMASS_API_KEY), or allow everybody with --insecure", field="host")
    speech = (("HEARING", settings.hearing, RECOGNIZERS), ("VOICE_ENGINE", settings.voice_engine, ENGINES))
    for option, name, there in speech:
        if name != "auto" and name not in there:
            raise InvalidInput(f"AIMASS_{option}: there is no {name[:64]!r}; there are: auto, {', '.join(there)}")


class Server(uvicorn.Server):
    """uvicorn, with a first SIGTERM or SIGINT that drains the node and a second that ends at once."""

    def __init__(self, settings: Settings, app: FastAPI, *,
                 on_started: Callable[[Server], None] = lambda server: None) -> None:
        files = tls.certificate(settings)
        super().__init__(uvicorn.Config(
            app, host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False,
            ssl_certfile=files[0] if files else None, ssl_keyfile=files[1] if files else None,
            ssl_version=ssl.PROTOCOL_TLS_SERVER, timeout_graceful_shutdown=3, timeout_keep_alive=30,
            http=Http, ws=websocket.Protocol, ws_max_size=settings.max_message, ws_max_queue=16,
            ws_per_message_deflate=False, ws_ping_interval=4, ws_ping_timeout=5, loop="uvloop",
            h11_max_incomplete_event_size=64 * 1024,
        ))
        self.settings = settings
        self._on_started = on_started
        self.node: Node = app.state.node
        self._state = app.state
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def first_admin(self) -> str | None:
        """The path of the one-time link that makes the first admin, while there is none."""
        token = self._state.accounts.first
        return None if token is None else f"/sign-up#{token}"

    @property
    def bound_port(self) -> int:
        """The TCP port in use, also where the settings said 0. Known once `started`."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._on_started(self)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None or self._loop is None or not self.started:
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._start_drain, signal.Signals(sig).name)

    def _start_drain(self, name: str) -> None:
        if self._draining is None:
            log.info("%s: stopping; once more ends at once", name)
            self._draining = asyncio.create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        await self._state.rooms.close()
        await self.node.drain(self.settings.drain_seconds)
        await self._state.jobs.close()
        self.should_exit = True
