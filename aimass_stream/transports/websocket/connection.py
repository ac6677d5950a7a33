"""One websocket as a session's source and sink. It lives in the session's task and ends with it, or before."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from ... import events, wire
from ...codecs import Limits, video_decoder, video_encoder
from ...errors import AimassError, Conflict, InvalidMessage
from ...events import Event
from ...frames import AudioFrame, Frame, TextFrame, VideoFrame, now
from ...node import Node
from ...queues import BoundedQueue
from ...session import EVENT_LOG, Session
from ...settings import Settings
from .flow import Flow, Rate
from .receive import Inlet, OpusReceiver, PcmReceiver, Receiver, VideoReceiver
from .send import AudioSender, Outlet, VideoSender

MAX_EVENTS = 1000  # waiting for a client that does not acknowledge
MAX_TRACKS = 16  # sent to one client
MAX_CONTROL = 32  # control messages waiting for the one before; then reading stops
CLOSE_TIMEOUT = 1.0  # s for the last events and the close frame
REFUSE_EVERY = 1.0  # s between two media.refused events of one reason
JPEG_START, JPEG_MAX = 8_000_000, 30_000_000  # bit/s, where a hello does not say; single pictures need more

_GONE = (WebSocketDisconnect, WebSocketDisconnected)  # what sending raises when nobody is there any more


class Connection:
    """Implements `ports.Source` and `ports.Sink`. `hello` has been read and answered before `run`."""

    def __init__(self, websocket: WebSocket, session: Session, hello: wire.Hello, node: Node, flow: Flow) -> None:
        self._websocket, self._session, self._node, self._flow = websocket, session, node, flow
        self._formats = hello.answered
        self._formats_in = hello.formats_in
        self._settings: Settings = node.settings
        self.closed = asyncio.Event()
        self.close_code: int | None = None  # the client's
        self._own_close: tuple[int, str] | None = None  # set when this connection ends for a reason of its own
        self._push: Callable[[Frame], None] = lambda frame: None
        self._group: asyncio.TaskGroup | None = None
        self._acknowledged = asyncio.Event()
        self._words = wire.Words()
        self._replay: deque[Event] = deque(maxlen=2 * EVENT_LOG)  # what the session has for us before `run`
        self._texts: BoundedQueue[str] = BoundedQueue(MAX_EVENTS, "block")
        self._control: BoundedQueue[dict[str, Any]] = BoundedQueue(MAX_CONTROL, "block")
        self._refused: dict[str, float] = {}  # "track/reason" -> when it was last told
        self._senders: dict[str, AudioSender | VideoSender] = {}
        self._receivers = self._make_receivers()
        video = self._formats.video
        jpeg = video is not None and video.codec == "jpeg"
        highest = video.bitrate if video is not None and video.bitrate else None
        self._rate = Rate(JPEG_START if jpeg else self._settings.start_bitrate, self._settings.min_bitrate,
                          highest or (JPEG_MAX if jpeg else self._settings.max_bitrate))
        callback = weakref.WeakMethod(self._keyframe_requested)

        def request(track: str | None) -> None:
            method = callback()
            if method is not None:
                method(track)

        session.on_keyframe_request(request)

    # source ----------------------------------------------------------------------------------------

    async def run(self, push: Callable[[Frame], None]) -> None:
        """Read until the client leaves or this connection is ended."""
        self._push = push
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._write_texts())
                group.create_task(self._run_controls())
                for receiver in self._receivers.values():
                    group.create_task(receiver.run())
                await self._read()
                raise _Ended
        except* (_Ended, *_GONE):
            pass
        finally:
            self._group = None

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self.close_code = message.get("code")
                return
            data = message.get("bytes")
            try:
                if data is not None:
                    self._media(data)
                else:
                    await self._text(message["text"])
            except AimassError as error:
                self._tell(error)

    def _media(self, data: bytes) -> None:
        try:
            media = wire.Media.decode(data)
        except InvalidMessage as error:
            self._refuse("", "unreadable", error.detail)
            return
        receiver = self._receivers.get(media.track)
        form = self._formats_in.video if media.track == wire.VIDEO_TRACK else self._formats_in.audio
        if receiver is None or form is None or form.number != media.codec:
            expected = "no such track" if form is None or receiver is None else form.codec
            self._refuse("", "unexpected", f"{media.codec.name} on track {media.track}; the hello says: {expected}")
            return
        receiver.put(media)

    async def _text(self, text: str) -> None:
        message = wire.load(text)
        match message["type"]:
            case "ack":
                self._flow.acknowledge(wire.Ack.decode(message).received, now())
                self._acknowledged.set()
                self._acknowledged = asyncio.Event()
            case "hello":
                raise Conflict("a second hello: this connection has its session; open another for another")
            case "text":
                self._say(wire.Text.decode(message))
            case _:
                await self._control.put(message)

    def _say(self, said: wire.Text) -> None:
        frame = self._words.frame(said)
        try:
            self._push(frame)
        except asyncio.QueueFull:
            self._refuse(said.track, "overload", "the pipeline has no room for more words now")

    async def _run_controls(self) -> None:
        """A change may take a while to start its stages; media is read on meanwhile."""
        while True:
            message, _ = await self._control.get()
            await self._session.control(message)

    def _make_receivers(self) -> dict[int, Receiver]:
        inlet = Inlet(self._session.meter, self._session.executor, lambda frame: self._push(frame), self._refuse,
                      self._ask_keyframe)
        receivers: dict[int, Receiver] = {}
        audio, video = self._formats_in.audio, self._formats_in.video
        if audio is not None:
            make = OpusReceiver if audio.codec == "opus" else PcmReceiver
            receivers[wire.AUDIO_TRACK] = make(inlet, "audio-0", audio)
        if video is not None:
            limits, codec = Limits(self._settings.max_width, self._settings.max_height), video.codec
            receivers[wire.VIDEO_TRACK] = VideoReceiver(inlet, "video-0", codec, lambda: video_decoder(codec, limits),
                                                        self._settings.max_fps)
        return receivers

    def _refuse(self, track: str, reason: str, detail: str) -> None:
        self._session.meter.drop(track or "media", track.partition("-")[0] or "any", reason)
        key = f"{track}/{reason}"
        if now() - self._refused.get(key, -REFUSE_EVERY) >= REFUSE_EVERY:
            self._refused[key] = now()
            self._session.event(events.MediaRefused(reason=reason, detail=detail), track=track or None)

    def _tell(self, error: AimassError) -> None:
        self._session.event(events.ErrorEvent(status=error.status, title=error.title, detail=error.detail,
                                              field=error.field))

    def _ask_keyframe(self, track: str) -> None:
        self._put_text(wire.KeyframeRequest(track=track).encode())

    def stats(self) -> dict[str, Any]:
        flow = self._flow
        return {"behind_ms": round(flow.behind(now()) * 1000, 1), "round_trip_ms": round(flow.base * 1000, 1),
                "unacknowledged_bytes": flow.bytes, "video_bitrate": self._rate.bitrate}

    # sink ------------------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        if self._group is None:
            self._replay.append(event)
        else:
            self._put_text(wire.dump(event.json()))

    def frame(self, frame: Frame) -> None:
        if isinstance(frame, TextFrame):
            self._put_text(wire.Text(text=frame.text[: wire.MAX_TEXT], track=frame.track, pts=frame.seconds,
                                     final=frame.final).encode())
            return
        sender = self._senders.get(frame.track) or self._make_sender(frame)
        if isinstance(frame, AudioFrame):
            if isinstance(sender, AudioSender):
                sender.put(frame)
        elif isinstance(sender, VideoSender):
            sender.put(frame)

    def _make_sender(self, frame: AudioFrame | VideoFrame) -> AudioSender | VideoSender | None:
        """None for a track that this client did not ask for, or one too many."""
        form = self._formats.audio if isinstance(frame, AudioFrame) else self._formats.video
        if form is None or len(self._senders) >= MAX_TRACKS or self._group is None:
            return None
        number = self._number(frame.track)
        outlet = Outlet(self._session.meter, self._session.executor, self._flow, self._send_media,
                        self._acknowledgement,
                        lambda data, track: self._session.event(data, track=track))
        sender: AudioSender | VideoSender
        if isinstance(form, wire.AudioFormat):
            sender = AudioSender(outlet, number, frame.track, form, self._settings.audio_bitrate)
        else:
            encoder = video_encoder(form.codec, self._rate.bitrate)
            sender = VideoSender(outlet, number, frame.track, form, encoder, self._rate)
        self._senders[frame.track] = sender
        self._group.create_task(self._run_sender(sender, wire.Track(number=number, track=frame.track, kind=frame.kind)))
        return sender

    def _number(self, track: str) -> int:
        fixed = {"audio-0": wire.AUDIO_TRACK, "video-0": wire.VIDEO_TRACK}
        return fixed.get(track, len(fixed) + len(set(self._senders) - set(fixed)))

    async def _run_sender(self, sender: AudioSender | VideoSender, track: wire.Track) -> None:
        if track.number > wire.VIDEO_TRACK:
            await self._send_text(track.encode())  # before its first frame
        await sender.run()

    def _keyframe_requested(self, track: str | None) -> None:
        for name, sender in self._senders.items():
            if isinstance(sender, VideoSender) and track in (None, name):
                sender.request_keyframe()

    def flush(self, track: str | None = None) -> None:
        for name, sender in self._senders.items():
            if track in (None, name):
                sender.clear()

    # sending ---------------------------------------------------------------------------------------

    def _put_text(self, text: str) -> None:
        try:
            self._texts.put_nowait(text)
        except asyncio.QueueFull:
            self._end(1013, f"more than {MAX_EVENTS} messages wait: this client does not acknowledge")

    async def _write_texts(self) -> None:
        while True:
            while not self._flow.text_may:
                await self._acknowledgement()
            await asyncio.sleep(0)  # thousands of events may wait here: others get their turn in between
            if self._replay:
                await self._send_text(wire.dump(self._replay.popleft().json()))
            else:
                await self._send_text((await self._texts.get())[0])

    async def _send_text(self, text: str) -> None:
        self._flow.send(len(text), "text", now())
        await self._websocket.send_text(text)

    async def _send_media(self, media: wire.Media) -> None:
        data = media.encode()
        self._flow.send(len(data), media.codec.kind, now())
        await self._websocket.send_bytes(data)

    async def _acknowledgement(self) -> None:
        await self._acknowledged.wait()

    # end -------------------------------------------------------------------------------------------

    def _end(self, code: int, reason: str) -> None:
        """End this connection, not the session: `run` returns and the session waits for another."""
        if self._own_close is None:
            self._own_close = (code, reason)
            if self._group is not None:
                self._group.create_task(_end_group())

    async def close(self, reason: str) -> None:
        """Send what is left to say, and the reason; give up on a client that does not take it."""
        if self.closed.is_set():
            return
        try:
            if self._websocket.client_state is WebSocketState.CONNECTED:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    code, text = self._own_close or (self._code(), reason)
                    if self._own_close is None:
                        await self._write_rest()
                    await self._websocket.close(code, text.encode()[:120].decode(errors="ignore"))
        except (TimeoutError, RuntimeError, *_GONE):
            pass  # it is gone, or does not read: the socket is cut when the endpoint returns
        finally:
            self.closed.set()

    def _code(self) -> int:
        if self._session.state != "closed":
            return wire.CLOSE_BASE + Conflict.status  # another connection took the session over
        return 1001 if self._node.draining else 1000

    async def _write_rest(self) -> None:
        while self._replay:
            await self._websocket.send_text(wire.dump(self._replay.popleft().json()))
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                await self._websocket.send_text(self._texts.get_nowait()[0])


class _Ended(Exception):
    """Ends the task group of a connection that is done."""


async def _end_group() -> None:
    raise _Ended
