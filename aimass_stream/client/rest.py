"""REST calls, and the way to a live session."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import predict
from .accounts import Account, Audit, Keys, Teams, Users
from .apps import Apps
from .batches import Batches
from .connection import Connection, part
from .hub import Models
from .jobs import Jobs
from .pictures import Faces, Vision
from .recorded import Recorded
from .records import Described, Prediction
from .requests import Requests
from .rooms import Rooms
from .uploads import Uploads
from .usage import Usage
from .watch import Watch

if TYPE_CHECKING:
    from .. import wire
    from .session import MediaSession
    from .stream import StreamSession


class Client(Connection):
    """One server. `verify` is False, a file of certificates, or an SSL context, for servers with their own.

    Every call raises the server's own errors: `NotFound`, `InvalidPipeline` with the field, `Busy`, ... and
    `Unavailable` when nobody answers. `error.problem()` is what the server answered.
    """

    # what a server keeps ---------------------------------------------------------------------------

    @cached_property
    def models(self) -> Models:
        return Models(self, self.uploads)

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self)

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self, self.jobs)

    @cached_property
    def account(self) -> Account:
        return Account(self)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self)

    @cached_property
    def users(self) -> Users:
        return Users(self)

    @cached_property
    def teams(self) -> Teams:
        return Teams(self)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self)

    @cached_property
    def usage(self) -> Usage:
        return Usage(self)

    @cached_property
    def apps(self) -> Apps:
        return Apps(self)

    @cached_property
    def requests(self) -> Requests:
        return Requests(self)

    @cached_property
    def watch(self) -> Watch:
        return Watch(self)

    @cached_property
    def rooms(self) -> Rooms:
        return Rooms(self)

    @cached_property
    def recorded(self) -> Recorded:
        return Recorded(self)

    @cached_property
    def vision(self) -> Vision:
        return Vision(self)

    @cached_property
    def faces(self) -> Faces:
        return Faces(self)

    async def predict(self, model: str, value: Any = None, *, picture: Path | str | None = None) -> Prediction:
        """Ask a model: `value` as `describe` says, or a file with a picture. Without a name, the server's only one.

        `InvalidInput` has the schema of what would fit as `input` in its data.
        """
        return await predict.predict(self, model, value, picture=picture)

    async def batch(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Many requests for inference in one: each has `model` and `input`, or `path` and `body`, and an `id` if that
        is to come back. Answers `status`, `headers` and `body` of each, in their order."""
        told = await self.request("POST", "/v1/batch", {"requests": requests}, seconds=predict.LOADED)
        return list(told["responses"])

    async def describe(self, model: str) -> Described:
        """What a model takes and answers, as JSON Schema."""
        return await predict.describe(self, model)

    # REST ------------------------------------------------------------------------------------------

    async def stages(self) -> list[dict[str, Any]]:
        """name, title, doc, accepts and params (JSON Schema) of every stage."""
        return list((await self.request("GET", "/v1/stages"))["stages"])

    async def events(self) -> dict[str, Any]:
        """JSON Schema of every event that sessions tell of, by its type."""
        return dict(await self.request("GET", "/v1/events"))

    async def pull(self, model: str) -> dict[str, Any]:
        """Have the server fetch weights that it knows of; by an admin."""
        return dict(await self.request("POST", f"/v1/models/{part(model)}/pull") or {})

    async def config(self) -> dict[str, Any]:
        """iceServers, version and limits."""
        return dict(await self.request("GET", "/v1/config"))

    async def ready(self) -> dict[str, Any]:
        """state, sessions, load and loop lag of the node, also when it is full."""
        response = await self.send("GET", "/readyz")
        return dict(response.json())

    async def node(self) -> dict[str, Any]:
        """What the node does, and has room for; for admins."""
        return dict(await self.request("GET", "/v1/node"))

    async def sessions(self) -> list[dict[str, Any]]:
        return list((await self.request("GET", "/v1/sessions"))["sessions"])

    async def session(self, session_id: str) -> dict[str, Any]:
        return dict(await self.request("GET", f"/v1/sessions/{session_id}"))

    async def stats(self, session_id: str) -> dict[str, Any]:
        """hops (ms), drops, what the transport measures, and how a promised latency is kept."""
        return dict(await self.request("GET", f"/v1/sessions/{session_id}/stats"))

    async def update(self, session_id: str, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
                     latency_ms: int | None = None, stage: tuple[int, dict[str, Any]] | None = None,
                     parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Change a running session; `stage` is an index and the parameters to change, `latency_ms` 0 promises nothing
        any longer, `parameters` are those of its app. Answers the session."""
        change: dict[str, Any] = {"pipeline": pipeline, "sync": sync, "latency_ms": latency_ms,
                                  "parameters": parameters}
        if stage is not None:
            change["stage"] = {"index": stage[0], "params": stage[1]}
        body = {key: value for key, value in change.items() if value is not None}
        return dict(await self.request("PATCH", f"/v1/sessions/{session_id}", body))

    async def delete(self, session_id: str) -> None:
        await self.request("DELETE", f"/v1/sessions/{session_id}")

    async def metrics(self) -> str:
        """Prometheus text."""
        return (await self.checked("GET", "/metrics")).text

    # sessions --------------------------------------------------------------------------------------

    def stream(self, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
               latency_ms: int | None = None, audio: str | wire.AudioFormat | None = None,
               video: str | wire.VideoFormat | None = None, receive: wire.Formats | None = None,
               **options: Any) -> StreamSession:
        """A session over a websocket. `audio` and `video` are formats or codec names; what comes back has the same
        unless `receive` says otherwise. `app` is an app's id or slug in place of a pipeline, `parameters` what of it
        is set."""
        from .. import wire  # it and what it needs take half a second to load
        from .stream import StreamSession

        audio = wire.AudioFormat.decode({"codec": audio}) if isinstance(audio, str) else audio
        video = wire.VideoFormat.decode({"codec": video}) if isinstance(video, str) else video
        formats = wire.Formats(audio=audio, video=video)
        return StreamSession(self.url, api_key=self.api_key, ssl=self.ssl, pipeline=pipeline, sync=sync,
                             latency_ms=latency_ms, send=formats, receive=receive, **options)

    def rtc(self, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
            latency_ms: int | None = None, audio: bool = True, video: bool = True, **options: Any) -> MediaSession:
        """A session over WebRTC. `app` and `parameters` as `stream` has them."""
        from .rtc import RtcSession  # aiortc takes half a second to load

        return RtcSession(self, pipeline=pipeline, sync=sync, latency_ms=latency_ms, audio=audio, video=video,
                          **options)
