"""A microphone of PulseAudio, or PipeWire, whose sound goes along with the pictures that `aimass camera` reads."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

from .. import children
from ..client.files import FileReader
from ..codecs import pcm
from ..errors import InvalidInput
from ..frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, VideoFrame
from .camera_pulse import PLAIN, VIRTUAL
from .camera_sources import PIECE, Live

UNSENT = 25  # pieces, 0.5 s
LATENCY = 20  # ms that parec gathers at most
SETTLED = 50  # pieces, 1 s, that all came late before the count is put right
LATE = 2 * PIECE  # samples; what comes as late as this once only was held up on its way
MOVED = re.compile(rb"Stream moved to device (\S+) \(")
FAILED = re.compile(rb".*(?:error|failure)", re.IGNORECASE)


class Arrivals:
    """When each piece began, in samples since `begun`, which is of `time.monotonic`.

    Samples are counted, because pieces come unevenly; but a microphone's clock is not that of the pictures, and in
    hours the two drift apart. No piece can have begun later than it came less its length.
    """

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._next: int | None = None
        self._late: deque[int] = deque(maxlen=SETTLED)

    def pts(self, arrived: float) -> int | None:
        """None for a piece to leave out: the count is ahead of the time by more than one."""
        latest = max(0, round((arrived - self._begun) * AUDIO_RATE) - PIECE)
        if self._next is None:
            self._next = latest
        if self._next - latest > PIECE:
            return None
        self._late.append(latest - self._next)
        if len(self._late) == SETTLED and min(self._late) > LATE:
            self._next += min(self._late)
            self._late.clear()
        pts, self._next = self._next, self._next + PIECE
        return pts


class Microphone:
    """A source, read by parec from `open` to `close`, on an event loop; `sound` blocks in a thread meanwhile.

    What nobody takes in time is dropped, the oldest first, and counted.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.drops: Counter[str] = Counter()  # pieces of 20 ms, by track and reason
        self._pieces: deque[AudioFrame] = deque(maxlen=UNSENT)
        self._change = threading.Condition()
        self._ended = False
        self._arrivals: Arrivals | None = None  # from when sound is wanted
        self._child: children.Child | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, tell: Callable[[str], None]) -> None:
        """`tell` gets a sentence when the sound comes from elsewhere or ends."""
        self._child = await children.start(
            ["parec", "--verbose", f"--device={self.name}", "--raw", "--format=s16le", f"--rate={AUDIO_RATE}",
             "--channels=1", f"--latency-msec={LATENCY}", "--client-name=aimass camera"],
            stdout=children.PIPE, stderr=children.PIPE, env=os.environ | PLAIN,
            start_new_session=True)  # Ctrl-C is for us alone
        self._tasks = [asyncio.create_task(self._hear(self._child)),
                       asyncio.create_task(self._watch(self._child, tell))]

    async def close(self) -> None:
        self.end()
        if self._child is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._child.kill()
        await self._child.wait()
        self._child.close()

    def end(self) -> None:
        """No more sound is wanted. May be called in any thread."""
        with self._change:
            self._ended = True
            self._change.notify()

    def sound(self) -> Iterator[AudioFrame]:
        self._arrivals = Arrivals(time.monotonic())
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._ended or self._pieces)
                    if self._ended:
                        return
                    piece = self._pieces.popleft()
                yield piece
        finally:
            self.end()  # what comes after whoever sends has stopped is not dropped for being late

    async def _hear(self, child: children.Child) -> None:
        assert child.stdout is not None
        try:
            while True:
                self._take(await child.stdout.readexactly(2 * PIECE))
        except asyncio.IncompleteReadError:
            self.end()

    def _take(self, data: bytes) -> None:
        if self._arrivals is None or self._ended:
            return
        pts = self._arrivals.pts(time.monotonic())
        if pts is None:
            self.drops["audio-0/fast_clock"] += 1
            return
        with self._change:
            if len(self._pieces) == UNSENT:
                self.drops["audio-0/unsent"] += 1
            self._pieces.append(AudioFrame(pts=pts, time_base=AUDIO_TIME_BASE, track="audio-0",
                                           samples=pcm.from_bytes(data, 1)))
            self._change.notify()

    async def _watch(self, child: children.Child, tell: Callable[[str], None]) -> None:
        """PulseAudio gives who reads a microphone that is unplugged another one, which may be our own."""
        assert child.stderr is not None
        source, said, why = self.name, b"", "parec has ended"
        while data := await child.stderr.read(children.PIECE):
            *lines, said = re.split(rb"[\r\n]", said + data)  # how late it is, it says many times in one line
            for line in lines:
                if FAILED.match(line):
                    why = line.decode(errors="replace")
                elif not (moved := MOVED.match(line)):
                    continue
                elif (name := moved[1].decode(errors="replace")) == VIRTUAL:
                    why = f"is it unplugged? PulseAudio put {VIRTUAL} in its place, which would hear itself"
                    child.kill()
                else:
                    tell(f"Sound comes from {name} now: {source} is gone, or somebody chose the other in PulseAudio.")
                    source = name
        self.end()
        tell(f"The microphone {source} gives no sound any more ({why}). The picture goes on without; start the command "
             "again to have sound.")


class Accompanied:
    """The pictures of one reader and the sound of a microphone, which ends with them."""

    audio = video = True

    def __init__(self, shown: FileReader | Live, microphone: Microphone) -> None:
        if not shown.video:
            raise InvalidInput(f"{shown.path} has no pictures that a microphone could go along with", field="from")
        self.path, self.duration = shown.path, shown.duration
        self._shown, self._microphone = shown, microphone

    def pictures(self) -> Iterator[VideoFrame]:
        try:
            yield from self._shown.pictures()
        finally:
            self._microphone.end()

    def sound(self) -> Iterator[AudioFrame]:
        return self._microphone.sound()
