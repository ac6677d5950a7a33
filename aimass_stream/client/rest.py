"""REST calls, and the way to a live session."""

from __future__ import annotations

import ssl
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from .. import wire
from ..errors import AimassError
from . import problems
from .session import MediaSession
from .stream import StreamSession

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Client:
    """One server. `verify` is False, a file of certificates, or an SSL context, for servers with their own.

    Every call raises the server's own errors: `NotFound`, `InvalidPipeline` with the field, `Busy`, ... and
    `Unavailable` when nobody answers.
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", api_key: str | None = None, *,
                 verify: bool | str | ssl.SSLContext = True, timeout: float = 10) -> None:
        self.url = url.rstrip("/")
        self.api_key = api_key
        self.ssl = _context(verify) if self.url.startswith("https") else None
        self.local = urlsplit(self.url).hostname in LOOPBACK
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout,
                                       verify=self.ssl or False,  # plain http; loading certificates takes 0.1 s
                                       trust_env=not self.local)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # REST ------------------------------------------------------------------------------------------

    async def stages(self) -> list[dict[str, Any]]:
        """name, title, doc, accepts and params (JSON Schema) of every stage."""
        return list((await self.request("GET", "/v1/stages"))["stages"])

    async def config(self) -> dict[str, Any]:
        """iceServers, version and limits."""
        return dict(await self.request("GET", "/v1/config"))

    async def ready(self) -> dict[str, Any]:
        """state, sessions, load and loop lag of the node, also when it is full."""
        response = await self._send("GET", "/readyz", None)
        return dict(response.json())

    async def sessions(self) -> list[dict[str, Any]]:
        return list((await self.request("GET", "/v1/sessions"))["sessions"])

    async def session(self, session_id: str) -> dict[str, Any]:
        return dict(await self.request("GET", f"/v1/sessions/{session_id}"))

    async def stats(self, session_id: str) -> dict[str, Any]:
        """hops (ms), drops, what the transport measures, and how a promised latency is kept."""
        return dict(await self.request("GET", f"/v1/sessions/{session_id}/stats"))

    async def update(self, session_id: str, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
                     latency_ms: int | None = None, stage: tuple[int, dict[str, Any]] | None = None) -> dict[str, Any]:
        """Change a running session; `stage` is an index and the parameters to change, `latency_ms` 0 promises nothing
        any longer. Answers the session."""
        change: dict[str, Any] = {"pipeline": pipeline, "sync": sync, "latency_ms": latency_ms}
        if stage is not None:
            change["stage"] = {"index": stage[0], "params": stage[1]}
        body = {key: value for key, value in change.items() if value is not None}
        return dict(await self.request("PATCH", f"/v1/sessions/{session_id}", body))

    async def delete(self, session_id: str) -> None:
        await self.request("DELETE", f"/v1/sessions/{session_id}")

    async def metrics(self) -> str:
        """Prometheus text."""
        return (await self._checked("GET", "/metrics", None)).text

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """Any route; answers the decoded JSON, None without content."""
        response = await self._checked(method, path, body)
        return response.json() if response.content else None

    async def _checked(self, method: str, path: str, body: object) -> httpx.Response:
        response = await self._send(method, path, body)
        if response.is_error:
            raise _error(response)
        return response

    async def _send(self, method: str, path: str, body: object) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise problems.unreachable(self.url, error) from error

    # sessions --------------------------------------------------------------------------------------

    def stream(self, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
               latency_ms: int | None = None, audio: str | wire.AudioFormat | None = None,
               video: str | wire.VideoFormat | None = None, receive: wire.Formats | None = None,
               **options: Any) -> StreamSession:
        """A session over a websocket. `audio` and `video` are formats or codec names; what comes back has the same
        unless `receive` says otherwise."""
        audio = wire.AudioFormat.decode({"codec": audio}) if isinstance(audio, str) else audio
        video = wire.VideoFormat.decode({"codec": video}) if isinstance(video, str) else video
        formats = wire.Formats(audio=audio, video=video)
        return StreamSession(self.url, api_key=self.api_key, ssl=self.ssl, pipeline=pipeline, sync=sync,
                             latency_ms=latency_ms, send=formats, receive=receive, **options)

    def rtc(self, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
            latency_ms: int | None = None, audio: bool = True, video: bool = True, **options: Any) -> MediaSession:
        """A session over WebRTC."""
        from .rtc import RtcSession  # aiortc takes half a second to load

        return RtcSession(self, pipeline=pipeline, sync=sync, latency_ms=latency_ms, audio=audio, video=video,
                          **options)


def _context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _error(response: httpx.Response) -> AimassError:
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    return problems.error_from(response.status_code, problem if isinstance(problem, dict) else {})
