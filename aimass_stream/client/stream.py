"""A session over our websocket; see docs/api/websocket.md."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl as tls
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from .. import wire
from ..errors import AimassError, InvalidInput, InvalidMedia, InvalidMessage, Unavailable
from ..frames import AudioFrame, Frame, TextFrame, VideoFrame, now
from . import problems, reconnect
from .media import Decoders, Encoders
from .session import MediaSession

ACK_EVERY = 0.03  # s between acknowledgements
ASK_EVERY = 0.5  # s between requests for a key frame
OPEN_TIMEOUT = 10.0  # s


class StreamSession(MediaSession):
    """`send` and `receive` are the formats each way (`receive` None: as sent).

    `on_media` gets every media message with its arrival instead of its being decoded: for relays and load tests.
    """

    def __init__(self, url: str, *, api_key: str | None = None, ssl: tls.SSLContext | None = None,
                 pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
                 latency_ms: int | None = None, send: wire.Formats,
                 receive: wire.Formats | None = None, app: str | None = None,
                 parameters: Mapping[str, Any] | None = None,
                 on_media: Callable[[wire.Media, float], None] | None = None) -> None:
        super().__init__()
        parts = urlsplit(url)
        self.url = urlunsplit(parts._replace(scheme={"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme),
                                             path=parts.path.rstrip("/") + "/v1/stream"))
        self._local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        self._api_key, self._ssl = api_key, ssl
        self._hello = wire.Hello.decode({"type": "hello", "pipeline": pipeline, "sync": sync,
                                         "latency_ms": latency_ms, "in": send, "out": receive, "app_id": app,
                                         "parameters": None if parameters is None else dict(parameters)})
        self.tracks: dict[int, wire.Track] = {}
        self._on_media = on_media
        self._websocket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._resume_seconds = 0.0
        self._received = 0  # messages of this connection that are done with
        self._progress = asyncio.Event()
        self._asked = 0.0
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="aimass-client")
        self._encoders = Encoders(send)
        self._decoders = Decoders()

    # connection ------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._websocket is not None

    async def open(self) -> None:
        try:
            websocket = await self._connect()
        except BaseException:
            self._executor.shutdown(wait=False)
            raise
        self._task = asyncio.create_task(self._live(websocket), name="aimass stream")

    async def _connect(self, resume: bool = False) -> ClientConnection:
        """A connection with its hello answered."""
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        try:
            websocket = await connect(self.url, subprotocols=[Subprotocol(wire.PROTOCOL)], compression=None,
                                      additional_headers=headers, ssl=self._ssl, open_timeout=OPEN_TIMEOUT,
                                      close_timeout=2, proxy=None if self._local else True, user_agent_header=None)
        except InvalidStatus as error:
            raise problems.error_from(error.response.status_code, _json(error.response.body)) from error
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise problems.unreachable(self.url, error) from error
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await self._greet(websocket, resume)
        except BaseException as error:
            await websocket.close()
            if isinstance(error, ConnectionClosed | TimeoutError):
                raise problems.unreachable(self.url, error) from error
            raise
        return websocket

    async def _greet(self, websocket: ClientConnection, resume: bool) -> None:
        hello = self._hello
        if resume:
            back = wire.Resume(session_id=self.id, token=self.resume_token, last_seq=self.last_seq)
            hello = hello.model_copy(update={"resume": back, "pipeline": None, "sync": None, "latency_ms": None,
                                             "app_id": None, "parameters": None})
        await websocket.send(hello.encode())
        message = wire.load(_text(await websocket.recv()))
        if message["type"] == "error":
            raise problems.error_from(int(message["data"]["status"]), message["data"])
        welcome = wire.Welcome.decode(message)
        self.id, self.resume_token = welcome.session_id, welcome.resume_token
        self._resume_seconds = welcome.resume_seconds
        self.tracks = {track.number: track for track in welcome.tracks}
        self._decoders = Decoders(welcome.formats_out)
        self._encoders.restart()
        self._received = 1
        self._websocket = websocket

    async def _live(self, websocket: ClientConnection) -> None:
        """Read, and connect again when the line is cut, until the session is over."""
        try:
            while True:
                await self._read(websocket)
                self._websocket = None
                over = _over(websocket)
                if over is not None:
                    self._ended(over if over.status else None)
                    return
                websocket = await self._reconnect()
                self.resumed += 1
        except AimassError as error:
            self._ended(error)
        finally:
            self._websocket = None
            self._ended()

    async def _reconnect(self) -> ClientConnection:
        error: AimassError = Unavailable("the connection was cut")
        for delay in reconnect.delays(self._resume_seconds):
            await asyncio.sleep(delay)
            try:
                return await self._connect(resume=True)
            except Unavailable as failed:
                error = failed
        raise error

    async def _read(self, websocket: ClientConnection) -> None:
        beside = [asyncio.create_task(self._acknowledge(websocket)), asyncio.create_task(self._watch(websocket))]
        try:
            async for message in websocket:
                if isinstance(message, str):
                    self._message(wire.load(message))
                else:
                    await self._media(message)
                self._received += 1
                self._progress.set()
                self._heard = True
        except ConnectionClosed:
            pass  # `_over` looks at the code
        except InvalidMessage:
            await websocket.close(1002)
            raise
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)

    async def _acknowledge(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._progress.wait()
                self._progress.clear()
                await websocket.send(wire.Ack(received=self._received).encode())
                await asyncio.sleep(ACK_EVERY)

    async def _watch(self, websocket: ClientConnection) -> None:
        """Cuts a line at whose other end nobody is any more."""
        await self._lost(asyncio.Event())
        websocket.transport.abort()

    # what comes in ---------------------------------------------------------------------------------

    def _message(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "track":
                track = wire.Track.decode(message)
                self.tracks[track.number] = track
            case "keyframe.request":
                self._encoders.restart()
            case "text":
                said = wire.Text.decode(message)
                self._text_frame(said)
            case _ if "seq" in message:
                self._happened(message)

    def _text_frame(self, said: wire.Text) -> None:
        frame = TextFrame(pts=round((said.pts or 0) * 1000), time_base=Fraction(1, 1000), track=said.track,
                          text=said.text, final=said.final)
        if len(self._frames) < self._frames.capacity:
            self._frames.put_nowait(frame)
        else:
            self.dropped += 1

    async def _media(self, data: bytes) -> None:
        media, arrived = wire.Media.decode(data), now()
        if self._on_media is not None:
            self._on_media(media, arrived)
            return
        track = self.tracks.get(media.track)
        if track is None:
            raise InvalidMessage(f"media of a track {media.track} that was not introduced")
        loop = asyncio.get_running_loop()
        try:
            decode = self._decoders.decode
            frames: list[Frame] = ([*decode(media, track.track, arrived)] if media.codec.kind == "audio" else
                                   await loop.run_in_executor(self._executor, decode, media, track.track, arrived))
        except InvalidMedia:
            self.dropped += 1
            await self._ask_keyframe(track.track)
            return
        for frame in frames:
            await self._deliver(frame)

    async def _ask_keyframe(self, track: str) -> None:
        if now() - self._asked >= ASK_EVERY and self._websocket is not None:
            self._asked = now()
            await self._websocket.send(wire.KeyframeRequest(track=track).encode())

    # what goes out ---------------------------------------------------------------------------------

    async def send(self, frame: AudioFrame | VideoFrame | TextFrame) -> None:
        self._check_open()
        if isinstance(frame, TextFrame):
            await self.control(wire.Text(text=frame.text, track=frame.track, pts=frame.seconds,
                                         final=frame.final).json_object())
            return
        if isinstance(frame, AudioFrame):
            messages = self._encoders.audio(frame)
        elif self._websocket is None:
            messages = []  # nothing is encoded for nobody: the next picture that goes out is a key frame
            self._cut(frame.track)
        else:
            messages = await asyncio.get_running_loop().run_in_executor(self._executor, self._encoders.video, frame)
        for media in messages:
            await self.send_media(media)

    def _check_open(self) -> None:
        if self.closed:
            raise self.error or InvalidInput("the session is closed")

    async def send_media(self, media: wire.Media) -> None:
        """Send something that is encoded already. Dropped and counted while the connection is cut."""
        self._check_open()
        try:
            if self._websocket is None:
                self._cut(f"{media.codec.kind}-0")
            else:
                await self._websocket.send(media.encode())
        except ConnectionClosed:
            self._cut(f"{media.codec.kind}-0")

    async def control(self, message: dict[str, Any]) -> None:
        if self._websocket is None:
            raise Unavailable("the connection is cut")
        try:
            await self._websocket.send(wire.dump(message))
        except ConnectionClosed as error:
            raise Unavailable("the connection is cut") from error

    async def close(self) -> None:
        websocket, self._websocket = self._websocket, None
        self._frames.clear()  # nobody waits for a reader that will not come
        self._readers = 0
        if websocket is not None:
            await websocket.close(1000)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._ended()
        await asyncio.to_thread(self._executor.shutdown)


class _Over(AimassError):
    """The session ended as it should."""

    status = 0


def _over(websocket: ClientConnection) -> AimassError | None:
    """Why the session is over, or None when the connection was only cut."""
    code, reason = websocket.close_code, websocket.close_reason or ""
    if code in (1000, 1001):
        return _Over(reason)
    if code is not None and code >= wire.CLOSE_BASE:
        return problems.error_from(code - wire.CLOSE_BASE, {"detail": reason})
    return None


def _text(message: str | bytes) -> str:
    if not isinstance(message, str):
        raise InvalidMessage("the server's first message is not text")
    return message


def _json(body: bytes | bytearray | None) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
