"""The same client for programs without asyncio: each call waits for its answer."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .accounts import Account, Audit, Keys, Teams, Users
from .apps import Apps
from .batches import Batches
from .hub import Models
from .jobs import Jobs
from .pictures import Faces, Vision
from .recorded import Recorded
from .requests import Requests
from .rest import Client
from .rooms import Rooms
from .uploads import Uploads
from .usage import Usage
from .watch import Watch

P = ParamSpec("P")
R = TypeVar("R")
OF = TypeVar("OF")


class Waiting:
    """What has an asynchronous twin, and the loop, in a thread of its own, that this runs on."""

    def __init__(self, portal: BlockingPortal, twin: Any) -> None:
        self._portal, self._twin = portal, twin

    def _result(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        future = self._portal.start_task_soon(call)
        try:
            result: R = future.result()
            return result
        except BaseException:  # Ctrl-C, above all
            future.cancel()
            raise


def waits(method: Callable[Concatenate[OF, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[Waiting, P], R]:
    """A method of the twin, waited for."""
    @wraps(method)
    def call(self: Waiting, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._result(lambda: method(self._twin, *args, **kwargs))

    return call


def iterates(method: Callable[Concatenate[OF, P], AsyncIterator[R]]) -> Callable[Concatenate[Waiting, P], Iterator[R]]:
    """A method of the twin that tells one thing after the other."""
    @wraps(method)
    def call(self: Waiting, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        told = method(self._twin, *args, **kwargs)
        end: Any = object()

        async def following() -> R:
            return await anext(told, end)

        while (each := self._result(following)) is not end:
            yield each

    return call


class SyncModels(Waiting):
    """`SyncClient.models`."""

    find, show, create, change = waits(Models.find), waits(Models.show), waits(Models.create), waits(Models.change)
    delete, tags, auto = waits(Models.delete), waits(Models.tags), waits(Models.auto)
    versions, version, checked = waits(Models.versions), waits(Models.version), waits(Models.checked)
    upload, submit, delete_version = waits(Models.upload), waits(Models.submit), waits(Models.delete_version)
    graph, compare, try_version = waits(Models.graph), waits(Models.compare), waits(Models.try_version)
    image = waits(Models.image)
    alias = waits(Models.alias)
    download, aliases, deploy = waits(Models.download), waits(Models.aliases), waits(Models.deploy)
    roll_back, withdraw, history = waits(Models.roll_back), waits(Models.withdraw), waits(Models.history)
    rate, comments, comment = waits(Models.rate), waits(Models.comments), waits(Models.comment)
    delete_comment = waits(Models.delete_comment)
    conversions, convert, imports = waits(Models.conversions), waits(Models.convert), waits(Models.imports)
    quarantine, approve, reject = waits(Models.quarantine), waits(Models.approve), waits(Models.reject)


class SyncUploads(Waiting):
    """`SyncClient.uploads`."""

    find, show, delete, send = waits(Uploads.find), waits(Uploads.show), waits(Uploads.delete), waits(Uploads.send)
    fetch = waits(Uploads.fetch)


class SyncJobs(Waiting):
    """`SyncClient.jobs`."""

    find, show, wait, result = waits(Jobs.find), waits(Jobs.show), waits(Jobs.wait), waits(Jobs.result)
    preview = waits(Jobs.preview)
    cancel, delete, watch = waits(Jobs.cancel), waits(Jobs.delete), iterates(Jobs.watch)


class SyncBatches(Waiting):
    """`SyncClient.batches`."""

    find, show, begin, cancel = waits(Batches.find), waits(Batches.show), waits(Batches.begin), waits(Batches.cancel)
    wait, answers, send, files = waits(Batches.wait), waits(Batches.answers), waits(Batches.send), waits(Batches.files)
    file, content, delete = waits(Batches.file), waits(Batches.content), waits(Batches.delete)


class SyncAccount(Waiting):
    """`SyncClient.account`."""

    show, limits, export = waits(Account.show), waits(Account.limits), waits(Account.export)
    connect_token, sign_in = waits(Account.connect_token), waits(Account.sign_in)
    change, set_password, erase = waits(Account.change), waits(Account.set_password), waits(Account.erase)
    sign_ins, end_sign_in = waits(Account.sign_ins), waits(Account.end_sign_in)


class SyncKeys(Waiting):
    """`SyncClient.keys`."""

    find, create, show = waits(Keys.find), waits(Keys.create), waits(Keys.show)
    change, revoke = waits(Keys.change), waits(Keys.revoke)


class SyncUsers(Waiting):
    """`SyncClient.users`."""

    find, show, create, change = waits(Users.find), waits(Users.show), waits(Users.create), waits(Users.change)
    link, export, delete = waits(Users.link), waits(Users.export), waits(Users.delete)


class SyncTeams(Waiting):
    """`SyncClient.teams`."""

    find, create, show, change = waits(Teams.find), waits(Teams.create), waits(Teams.show), waits(Teams.change)
    put, remove, delete = waits(Teams.put), waits(Teams.remove), waits(Teams.delete)


class SyncAudit(Waiting):
    """`SyncClient.audit`."""

    find = waits(Audit.find)


class SyncUsage(Waiting):
    """`SyncClient.usage`."""

    find = waits(Usage.find)


class SyncWatch(Waiting):
    """`SyncClient.watch`."""

    show, begin_anew, give = waits(Watch.show), waits(Watch.begin_anew), waits(Watch.give)
    feedback, samples, delete_feedback = waits(Watch.feedback), waits(Watch.samples), waits(Watch.delete_feedback)
    collects, collect = waits(Watch.collects), waits(Watch.collect)
    alerts, put_alerts, delete_alerts = waits(Watch.alerts), waits(Watch.put_alerts), waits(Watch.delete_alerts)


class SyncApps(Waiting):
    """`SyncClient.apps`."""

    find, show, versions, create = waits(Apps.find), waits(Apps.show), waits(Apps.versions), waits(Apps.create)
    begin, change, submit, withdraw = waits(Apps.begin), waits(Apps.change), waits(Apps.submit), waits(Apps.withdraw)
    publish, approve, reject, queue = waits(Apps.publish), waits(Apps.approve), waits(Apps.reject), waits(Apps.queue)
    unpublish, suspend, resume = waits(Apps.unpublish), waits(Apps.suspend), waits(Apps.resume)
    feature, delete, run = waits(Apps.feature), waits(Apps.delete), waits(Apps.run)
    health, probe = waits(Apps.health), waits(Apps.probe)


class SyncRequests(Waiting):
    """`SyncClient.requests`."""

    find, show, ask = waits(Requests.find), waits(Requests.show), waits(Requests.ask)
    answer, withdraw = waits(Requests.answer), waits(Requests.withdraw)


class SyncRooms(Waiting):
    """`SyncClient.rooms`."""

    join, find, show, captions = waits(Rooms.join), waits(Rooms.find), waits(Rooms.show), waits(Rooms.captions)
    follow, leave = iterates(Rooms.follow), waits(Rooms.leave)


class SyncRecorded(Waiting):
    """`SyncClient.recorded`."""

    transcript, attendance, counts = waits(Recorded.transcript), waits(Recorded.attendance), waits(Recorded.counts)
    attendance_table, tracks = waits(Recorded.attendance_table), waits(Recorded.tracks)
    heat_map = waits(Recorded.heat_map)


class SyncVision(Waiting):
    """`SyncClient.vision`."""

    detect, faces, classify, ocr, drawn = (waits(Vision.detect), waits(Vision.faces), waits(Vision.classify),
                                           waits(Vision.ocr), waits(Vision.drawn))


class SyncFaces(Waiting):
    """`SyncClient.faces`."""

    find, enrol, forget = waits(Faces.find), waits(Faces.enrol), waits(Faces.forget)


class SyncClient(Waiting):
    """One server, as `Client`, without live media: those need a loop. Threads may share it."""

    _twin: Client

    def __init__(self, url: str = "http://127.0.0.1:8000", api_key: str | None = None, *,
                 verify: bool | str | ssl.SSLContext = True, timeout: float = 10) -> None:
        self._stack = ExitStack()
        portal = self._stack.enter_context(start_blocking_portal())
        super().__init__(portal, Client(url, api_key, verify=verify, timeout=timeout))
        self.url = self._twin.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._stack:
            self._result(self._twin.close)

    @cached_property
    def models(self) -> SyncModels:
        return SyncModels(self._portal, self._twin.models)

    @cached_property
    def uploads(self) -> SyncUploads:
        return SyncUploads(self._portal, self._twin.uploads)

    @cached_property
    def jobs(self) -> SyncJobs:
        return SyncJobs(self._portal, self._twin.jobs)

    @cached_property
    def batches(self) -> SyncBatches:
        return SyncBatches(self._portal, self._twin.batches)

    @cached_property
    def account(self) -> SyncAccount:
        return SyncAccount(self._portal, self._twin.account)

    @cached_property
    def keys(self) -> SyncKeys:
        return SyncKeys(self._portal, self._twin.keys)

    @cached_property
    def users(self) -> SyncUsers:
        return SyncUsers(self._portal, self._twin.users)

    @cached_property
    def teams(self) -> SyncTeams:
        return SyncTeams(self._portal, self._twin.teams)

    @cached_property
    def audit(self) -> SyncAudit:
        return SyncAudit(self._portal, self._twin.audit)

    @cached_property
    def watch(self) -> SyncWatch:
        return SyncWatch(self._portal, self._twin.watch)

    @cached_property
    def usage(self) -> SyncUsage:
        return SyncUsage(self._portal, self._twin.usage)

    @cached_property
    def apps(self) -> SyncApps:
        return SyncApps(self._portal, self._twin.apps)

    @cached_property
    def requests(self) -> SyncRequests:
        return SyncRequests(self._portal, self._twin.requests)

    @cached_property
    def rooms(self) -> SyncRooms:
        return SyncRooms(self._portal, self._twin.rooms)

    @cached_property
    def recorded(self) -> SyncRecorded:
        return SyncRecorded(self._portal, self._twin.recorded)

    @cached_property
    def vision(self) -> SyncVision:
        return SyncVision(self._portal, self._twin.vision)

    @cached_property
    def faces(self) -> SyncFaces:
        return SyncFaces(self._portal, self._twin.faces)

    predict, describe, request = waits(Client.predict), waits(Client.describe), waits(Client.request)
    stages, config, ready, metrics = (waits(Client.stages), waits(Client.config), waits(Client.ready),
                                      waits(Client.metrics))
    sessions, session, stats = waits(Client.sessions), waits(Client.session), waits(Client.stats)
    update, delete = waits(Client.update), waits(Client.delete)
    events, pull, node = waits(Client.events), waits(Client.pull), waits(Client.node)
    batch = waits(Client.batch)
