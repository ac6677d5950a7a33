"""`ws /v1/telephony/twilio`: Twilio Media Streams, a phone call as an ordinary session.

Protocol: https://www.twilio.com/docs/voice/media-streams/websocket-messages. Sound is mu-law at 8 kHz both ways.
Twilio plays what it gets one after the other, so replies are sent as the pipeline makes them, in real time, and what
has not been played is taken back by ``clear`` when the caller interrupts. A ``mark`` stands behind each stretch of
sound; Twilio returns it when the caller has heard that.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from ..codecs import g711, pcm
from ..errors import AimassError, Forbidden, InvalidMessage, TooLarge
from ..events import Event
from ..frames import AudioFrame, Frame, TextFrame
from ..node import Node
from ..ports import AppCall, Authorizer, Caller
from ..session import Session
from ..settings import Settings
from ..spec import PipelineSpec

log = logging.getLogger(__name__)

PIPELINE = '[{"stage": "assistant"}]'  # where the call's <Parameter> "pipeline" says nothing
TRACK, KEYS = "audio-0", "dtmf"
START_TIMEOUT = 5.0  # s until the start message
MAX_MESSAGE = 64 * 1024  # characters; Twilio's have some hundred
MAX_WAITING = 2000  # messages that wait to be sent: 40 s of sound
STALL = 10.0  # s that one message may take to leave
CLOSE_TIMEOUT = 1.0  # s
PAUSE = 0.5  # s without sound, after which a mark is set
POLICY, TOO_BIG, UNSUPPORTED, TRY_LATER = 1008, 1009, 1003, 1013  # close codes (RFC 6455 section 7.4.1)
MILLISECOND = Fraction(1, 1000)

_GONE = (WebSocketDisconnect, WebSocketDisconnected)


async def twilio(websocket: WebSocket) -> None:
    """One call from its handshake to its end. `app.state` has the node, the settings and the authorizer."""
    try:
        _check_host(websocket)
    except AimassError as error:
        await websocket.send_denial_response(JSONResponse(error.problem(), error.status,
                                                          media_type="application/problem+json"))
        return
    await websocket.accept()
    try:
        await _serve(websocket)
    except _GONE:
        log.debug("a phone call ended before its session began")


async def _serve(websocket: WebSocket) -> None:
    node: Node = websocket.app.state.node
    try:
        start = await _start(websocket)
        caller = _authorize(websocket, start)
        pipeline = _parameter(start, "pipeline")
        app = AppCall.of(_parameter(start, "app_id") or None, None, pipeline or None)
        spec = PipelineSpec.parse(None if app is not None else pipeline or PIPELINE)
        session = await node.open(spec, caller=caller, transport="telephony", app=app)
    except AimassError as error:
        log.info("a phone call was refused: %s", error.detail)
        code = {429: TRY_LATER, 503: TRY_LATER, 413: TOO_BIG, 400: UNSUPPORTED}.get(error.status, POLICY)
        await websocket.close(code, error.detail.encode()[:120].decode(errors="ignore"))
        return
    try:
        phone = Phone(websocket, session, str(start["streamSid"]))
        await session.attach(phone, phone)
        await phone.closed.wait()
    finally:
        await session.close("the call is over")


def _check_host(websocket: WebSocket) -> None:
    settings: Settings = websocket.app.state.settings
    if not settings.allows_host(websocket.headers.get("host")):
        raise Forbidden("this server is for its own machine: connect to it as localhost")
    if not settings.allows_origin(websocket.headers.get("origin"), websocket.headers.get("host")):
        raise Forbidden("this web origin may not use the server; see the setting 'origins'")


async def _start(websocket: WebSocket) -> dict[str, Any]:
    """The `start` message, after `connected`. Raises `InvalidMessage`."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1005))
                value = read(message.get("text"))
                if value["event"] == "start":
                    return _checked(value)
                if value["event"] != "connected":
                    raise InvalidMessage(f"{value['event'][:32]!r} came before 'start'")
    except TimeoutError:
        raise InvalidMessage(f"no start message within {START_TIMEOUT:g} s") from None


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    start = value.get("start")
    sid = value.get("streamSid") or (start.get("streamSid") if isinstance(start, dict) else None)
    if not isinstance(start, dict) or not isinstance(sid, str) or not 0 < len(sid) <= 64:
        raise InvalidMessage("the start message has a 'start' object and a 'streamSid'", field="start")
    form = start.get("mediaFormat") or {}
    if isinstance(form, dict) and form.get("encoding", "audio/x-mulaw") != "audio/x-mulaw":
        raise InvalidMessage("sound is mu-law at 8 kHz: 'audio/x-mulaw'", field="start.mediaFormat.encoding")
    return {**start, "streamSid": sid}


def _parameter(start: dict[str, Any], name: str) -> str | None:
    """A <Parameter> of the <Stream>."""
    given = start.get("customParameters")
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, str) and value else None


def _authorize(websocket: WebSocket, start: dict[str, Any]) -> Caller:
    """By header, or, since Twilio sends none of ours, by the <Parameter> "key"."""
    authorizer: Authorizer = websocket.app.state.authorizer
    address = websocket.client.host if websocket.client is not None else ""
    return authorizer.authorize(websocket.headers.get("authorization"), address=address,
                                token=_parameter(start, "key"))


def read(text: str | None) -> dict[str, Any]:
    """One message. Raises `InvalidMessage` or `TooLarge`."""
    if text is None:
        raise InvalidMessage("messages are JSON text, not binary")
    if len(text) > MAX_MESSAGE:
        raise TooLarge(f"a message has at most {MAX_MESSAGE} characters")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidMessage("a message is one JSON object") from None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        raise InvalidMessage("a message is a JSON object with an 'event'", field="event")
    return value


class Phone:
    """One call. Implements `ports.Source` and `ports.Sink`."""

    def __init__(self, websocket: WebSocket, session: Session, stream: str) -> None:
        self.closed = asyncio.Event()
        self.marks = 0  # that were set,
        self.heard = 0  # and that came back: the caller has heard all before it
        self._websocket, self._session, self._stream = websocket, session, stream
        self._converter = pcm.Converter(g711.RATE, 1)
        self._texts: deque[str] = deque(maxlen=MAX_WAITING + 1)
        self._news = asyncio.Event()
        self._own_close: tuple[int, str] | None = None
        self._ended = asyncio.Event()
        self._playing = False  # something may not have been heard yet
        self._marking: asyncio.TimerHandle | None = None
        self._last = -1  # ms, of the caller's sound
        self._keys = 0

    # ports.Source ----------------------------------------------------------------------------------

    async def run(self, push: Callable[[Frame], None]) -> None:
        """Until the call ends."""
        tasks = [asyncio.create_task(self._read(push), name="read"), asyncio.create_task(self._write(), name="write"),
                 asyncio.create_task(self._until_ended(), name="end")]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (error := task.exception()) is not None and not isinstance(error, _GONE):
                    raise error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _until_ended(self) -> None:
        await self._ended.wait()

    async def _read(self, push: Callable[[Frame], None]) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                value = read(message.get("text"))
            except AimassError as error:
                self._end(TOO_BIG if isinstance(error, TooLarge) else UNSUPPORTED, error.detail)
                return
            match value["event"]:
                case "media":
                    self._media(value.get("media"), push)
                case "dtmf":
                    self._key(value.get("dtmf"), push)
                case "mark":
                    self.heard = min(self.heard + 1, self.marks)
                    self._playing = self._playing and (self.heard < self.marks or self._marking is not None)
                case "stop":
                    return
                case "start":
                    self._end(UNSUPPORTED, "a second start: this call has its session")
                    return
                case _:
                    pass  # the protocol grows

    def _media(self, media: object, push: Callable[[Frame], None]) -> None:
        """The caller's next 20 ms. What can't be used is counted and left out."""
        if not isinstance(media, dict) or media.get("track", "inbound") != "inbound":
            return
        try:
            data = base64.b64decode(media.get("payload", ""), validate=True)
            at = int(media.get("timestamp", self._last + 20))
        except (ValueError, TypeError):
            self._session.meter.drop(TRACK, "audio", "garbage")
            return
        if not data or not 0 <= at < 2**40:
            self._session.meter.drop(TRACK, "audio", "empty" if not data else "garbage")
            return
        self._last = at
        push(AudioFrame(samples=g711.decode(data, "mu"), rate=g711.RATE, pts=at, time_base=MILLISECOND, track=TRACK))

    def _key(self, dtmf: object, push: Callable[[Frame], None]) -> None:
        digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
        if isinstance(digit, str) and len(digit) == 1:
            self._keys += 1
            push(TextFrame(text=digit, pts=max(0, self._last) + self._keys, time_base=MILLISECOND, track=KEYS))

    def stats(self) -> dict[str, Any]:
        return {"marks": self.marks, "heard": self.heard, "waiting": len(self._texts)}

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        """Sound for the caller. Silence is not sent: Twilio makes its own, and so never falls behind."""
        if not isinstance(frame, AudioFrame) or frame.track != TRACK:
            return
        converted = self._converter.convert(frame)
        if converted is None or not converted.samples.any():
            return
        payload = base64.b64encode(g711.encode(converted.samples, "mu")).decode()
        self._say("media", media={"payload": payload})
        self._playing = True
        if self._marking is not None:
            self._marking.cancel()
        self._marking = asyncio.get_running_loop().call_later(PAUSE, self._mark)

    def _mark(self) -> None:
        self._marking = None
        self.marks += 1
        self._say("mark", mark={"name": f"aimass-{self.marks}"})

    def event(self, event: Event) -> None:
        """A caller has no use for events."""

    def flush(self, track: str | None = None) -> None:
        """Barge-in: neither we nor Twilio play on."""
        if track not in (None, TRACK):
            return
        if self._marking is not None:
            self._marking.cancel()
            self._marking = None
        if self._playing:
            self._playing = False
            self._texts.clear()
            self._say("clear")

    def _say(self, event: str, **fields: Any) -> None:
        if self._own_close is not None:
            return
        if len(self._texts) >= MAX_WAITING:
            self._end(TRY_LATER, "too much sound waits for this call")
            return
        self._texts.append(json.dumps({"event": event, "streamSid": self._stream, **fields}))
        self._news.set()

    async def _write(self) -> None:
        while True:
            while self._texts:
                try:
                    async with asyncio.timeout(STALL):
                        await self._websocket.send_text(self._texts.popleft())
                except TimeoutError:
                    self._end(TRY_LATER, f"nothing was read for {STALL:g} s")
                    return
            self._news.clear()
            await self._news.wait()

    def _end(self, code: int, reason: str) -> None:
        if self._own_close is None:
            log.info("a phone call ends: %s", reason)
            self._own_close = (code, reason)
            self._ended.set()

    async def close(self, reason: str) -> None:
        if self.closed.is_set():
            return
        try:
            if self._marking is not None:
                self._marking.cancel()
            if self._websocket.client_state is WebSocketState.CONNECTED:
                code, text = self._own_close or (1000, reason)
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._websocket.close(code, text.encode()[:120].decode(errors="ignore"))
        except (TimeoutError, RuntimeError, *_GONE):
            log.debug("a phone call left without a farewell")
        finally:
            self.closed.set()
