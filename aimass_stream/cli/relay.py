"""A file played in real time into a session, and everything that comes back measured and written."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..client import MediaSession
from ..errors import AimassError, Unavailable
from ..frames import AudioFrame, VideoFrame, now
from ..queues import BoundedQueue
from .latency import Latency

AHEAD = 12  # frames that are read ahead of their time
UNWRITTEN = 128  # frames that wait for the file
HELD = 0.2  # s without a frame after which what was shown last is shown on
QUIET = 1.0  # s without a frame after which nothing more is expected
LONGEST_TAIL = 6.0  # s at most to wait for what is still on its way

TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "error": lambda data: f"The server refuses: {data['detail']}",
    "stage.failed": lambda data: f"{data['stage']} failed: {data['detail']} ({data['failures']} in a row)",
    "stage.bypassed": lambda data: f"{data['stage']} is passed by from now on: {data['detail']}",
    "latency.missed": lambda data: f"{data['latency_ms']} ms can't be kept ({data['p95_ms']:.0f} ms): {data['why']}",
    "media.dropped": lambda data: f"{data['frames']} of those sent were left out: {why(data['reason'])}",
    "media.refused": lambda data: f"The server can't use some of what is sent: {data['detail'] or why(data['reason'])}",
    "session.closing": lambda data: f"The session ends in {data['seconds']:.0f} s: {data['reason']}",
}
REASONS = {  # what the commonest drops are for; docs/api/rest.md has all of them
    "decode_overload": "the server decodes too slowly", "encode_overload": "the server encodes too slowly",
    "no_keyframe": "what they build on was lost", "slow_client": "they are not taken fast enough",
    "governor": "the frame rate was lowered for the promised latency", "relink": "the pipeline was changed just then",
    "frame_rate": "more a second than the server takes", "unsent": "they could not be sent in time",
    "fast_clock": "the microphone is faster than the clock", "unread": "no other program took them",
    "cut": "there was no connection"}

LOST = "The connection to the server is lost. It is tried again."
BACK = "The connection is back."
ANEW = "The connection is back, with a new session: what the one before had gathered is gone."

OF_STAGES = {"overload": "is too slow", "deadline": "was late", "busy": "was busy", "removed": "was taken out"}


def why(reason: str) -> str:
    """Of a drop, in words."""
    stage, _, what = reason.rpartition(":")
    if stage:
        return f"{stage} {OF_STAGES.get(what, what.replace('_', ' '))}"
    return REASONS.get(reason, reason.replace("_", " "))


class Reader(Protocol):
    """What is sent: files, cameras. The iterators block."""

    path: str
    audio: bool
    video: bool
    duration: float | None  # s

    def pictures(self) -> Iterator[VideoFrame]: ...
    def sound(self) -> Iterator[AudioFrame]: ...


class Writer(Protocol):
    """Where what comes back goes. It blocks."""

    written: dict[str, int]

    def write(self, frame: AudioFrame | VideoFrame) -> None: ...


class Relay:
    """`hold` is called, in a thread, each time that nothing came back for a while."""

    def __init__(self, session: MediaSession, reader: Reader, writer: Writer, *,
                 hold: Callable[[], None] | None = None) -> None:
        self.session, self.reader, self.writer, self._hold = session, reader, writer, hold
        self.trouble: Unavailable | None = None  # why what is read ended, if by itself
        self.cut = False  # whether there is no connection, and one is tried
        self._id = ""  # of the session that was connected to last
        self._earlier: Counter[str] = Counter()  # drops in the sessions before this one
        self.position = 0.0  # s of the file that were sent
        self._played: set[str] = set()  # tracks that were sent to their end
        self.tracks: dict[str, Latency] = {kind: Latency() for kind in ("audio", "video") if getattr(reader, kind)}
        self.drops: dict[str, int] = {}
        self.latency: dict[str, Any] | None = None  # how a promised one was kept at last
        self.steps = 0  # of stages, for that
        self._recent: deque[float] = deque(maxlen=60)
        self._news: deque[str] = deque(maxlen=20)
        self._stopped = asyncio.Event()
        self._last_frame = now()
        self._unwritten: BoundedQueue[AudioFrame | VideoFrame] = BoundedQueue(UNWRITTEN, "block")

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    @property
    def through(self) -> bool:
        """Whether all of the file was sent."""
        return self._played >= self.tracks.keys()

    def stop(self) -> None:
        """Send no more; what is on its way is still written."""
        self._stopped.set()

    async def open(self) -> None:
        await self.session.open()
        self._id = self.session.id

    async def run(self) -> None:
        """Until the file is through, `stop` was called or the session ended."""
        listening = [asyncio.create_task(self._receive()), asyncio.create_task(self._write()),
                     asyncio.create_task(self._listen())]
        try:
            begun = now()
            plays = [asyncio.create_task(self._play(kind, begun)) for kind in self.tracks]
            playing = asyncio.create_task(_all(plays))
            ended = asyncio.create_task(_either(self._stopped, listening[0]))
            await asyncio.wait([playing, ended], return_when=asyncio.FIRST_COMPLETED)
            for task in (playing, ended, *plays):
                task.cancel()
            await asyncio.wait([playing, ended, *plays])
            await self._tail(listening[0])
            self._look()
        finally:
            await self.session.close()
            await asyncio.wait(listening)
        for task in listening:
            task.result()
        if self.session.error is not None:
            raise self.session.error
        if self.trouble is not None:
            raise self.trouble

    async def _play(self, kind: str, begun: float) -> None:
        frames = self.reader.pictures() if kind == "video" else self.reader.sound()
        queue: BoundedQueue[AudioFrame | VideoFrame] = BoundedQueue(AHEAD, "block")
        reading = asyncio.create_task(_read(frames, queue))
        try:
            while True:
                try:
                    frame, _ = await queue.get()
                except EOFError:
                    await asyncio.wait([reading])
                    error = reading.exception()
                    if isinstance(error, Unavailable):
                        self.trouble = error
                    else:
                        self._played.add(kind)
                    break
                await asyncio.sleep(max(0.0, begun + frame.seconds - now()))
                # when it should have left is when it left: sending late is part of the delay
                self.tracks[kind].left(_end(frame), max(begun + frame.seconds, now() - 0.005))
                self._look()
                try:
                    await self.session.send(frame)
                except AimassError:
                    return  # the session is over; `run` says why
                self.position = max(self.position, frame.seconds)
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    def _look(self) -> None:
        """Tell when the connection goes, and when it is back."""
        cut = not (self.session.connected or self.session.closed)
        if cut is self.cut:
            return
        self.cut = cut
        if cut:
            self.tell(LOST)
        else:
            self.tell(BACK if self.session.id == self._id else ANEW)
            self._id = self.session.id

    async def _receive(self) -> None:
        try:
            async for frame in self.session.frames():
                if isinstance(frame, AudioFrame | VideoFrame):
                    self._last_frame = now()
                    track = self.tracks.get(frame.kind)
                    took = None if track is None else track.back(_end(frame), frame.arrived)
                    if took is not None and frame.kind == "video":
                        self._recent.append(took)
                    await self._unwritten.put(frame)
        finally:
            self._unwritten.close()

    async def _write(self) -> None:
        try:
            with contextlib.suppress(EOFError):
                while True:
                    frame = await self._next()
                    await asyncio.to_thread(self.writer.write, frame)
        except BaseException:
            self._unwritten.close()  # `_receive` would wait for room
            self.stop()
            raise

    async def _next(self) -> AudioFrame | VideoFrame:
        while True:
            try:
                async with asyncio.timeout(HELD if self._hold is not None else None):
                    return (await self._unwritten.get())[0]
            except TimeoutError:
                assert self._hold is not None
                await asyncio.to_thread(self._hold)

    async def _listen(self) -> None:
        async for event in self.session.events():
            if event.type == "session.stats":
                self.drops, self.latency = dict(self._earlier + Counter(event.data["drops"])), event.data["latency"]
            elif event.type == "session.created":
                self._earlier = Counter(self.drops)
            elif event.type == "governor.stepped":
                self.steps += 1
                self._news.append(stepped(event.data))
            elif event.type in TOLD:
                self._news.append(TOLD[event.type](event.data))

    async def _tail(self, receiving: asyncio.Task[None]) -> None:
        """Wait for what is still on its way: a pipeline may hold frames back."""
        self._last_frame = now()
        deadline = self._last_frame + LONGEST_TAIL
        while not receiving.done() and (rest := min(self._last_frame + QUIET, deadline) - now()) > 0:
            await asyncio.wait([receiving], timeout=rest)

    def note(self) -> str:
        """How late pictures come back now."""
        if self.cut:
            return "no connection"
        recent = sorted(self._recent)
        return f"{recent[len(recent) // 2] * 1000:.0f} ms" if recent else ""

    def tell(self, line: str) -> None:
        """A line for whoever watches, as of what is sent."""
        self._news.append(line)

    def news(self) -> list[str]:
        """What the server, or who sends, said since last asked."""
        lines = list(self._news)
        self._news.clear()
        return lines

    def summary(self) -> dict[str, Any]:
        drops = self.drops | {f"{track}/cut": count for track, count in self.session.unsent.items()}
        return {"tracks": {f"{kind}-0": track.summary() for kind, track in self.tracks.items()}, "drops": drops,
                "latency": None if self.latency is None else self.latency | {"steps": self.steps},
                "resumed": self.session.resumed, "cut": self.cut, "seconds": round(self.position, 3),
                "written": self.writer.written}


def stepped(step: dict[str, Any]) -> str:
    """A step of the governor in a line."""
    way = "with less" if step["down"] else "with more again"
    return (f"{step['stage']} works {way}: {step['before']} -> {step['after']} ({step['why']}: {step['p95_ms']:.0f} of "
            f"{step['latency_ms']} ms)")


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def _either(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _end(frame: AudioFrame | VideoFrame) -> float:
    return frame.seconds + (frame.duration if isinstance(frame, AudioFrame) else 0.0)


async def _read(frames: Iterator[AudioFrame | VideoFrame], queue: BoundedQueue[AudioFrame | VideoFrame]) -> None:
    """Decode in a thread, a few frames ahead."""
    try:
        while (frame := await asyncio.to_thread(next, frames, None)) is not None:
            await queue.put(frame)
    finally:
        queue.close()
