"""The family ``output_audio_buffer``: replies that are played out by this server, at the pace they are heard (WebRTC).

Over a websocket the client plays, as fast or slow as it likes; here the server knows what was heard, so that an
interrupted reply is cut to that by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ...codecs import pcm
from ...frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples, now
from .echo import Echo
from .errors import Refused
from .line import Events

TRACK = "reply"
STEP = 0.02  # s of one frame
LEAD = 0.06  # s that sound leaves ahead of its time
LONGEST = 30.0  # s that wait to be played; then the voice waits


@dataclass(slots=True)
class _Piece:
    response: str
    item: str
    frame: AudioFrame
    text: str  # that begins with it


@dataclass(slots=True)
class Cut:
    """A reply that was not heard to its end."""

    response: str
    item: str
    seconds: float  # of the item that were played


class Player:
    """Sound in as fast as it is made; frames of 20 ms out when their time has come."""

    def __init__(self, events: Events, output: Callable[[AudioFrame], None], flush: Callable[[], None],
                 spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        """`output` gets what is to be heard, `flush` takes back what of it has not left yet. `changed` may be set: it
        is told when playing begins and ends."""
        self.echo = Echo()
        self.changed: Callable[[bool], None] = lambda playing: None
        self._events, self._output, self._flush, self._spawn = events, output, flush, spawn
        self._pieces: deque[_Piece] = deque(maxlen=int(LONGEST / STEP) * 4)
        self._waiting = 0.0  # s
        self._news, self._space = asyncio.Event(), asyncio.Event()
        self._converter = pcm.Converter(AUDIO_RATE, 1)
        self._pts = 0
        self._rest: dict[str, Samples] = {}
        self._response = ""  # whose sound is being played
        self._item = ""
        self._played: dict[str, float] = {}  # s of the items of this response
        self._making: str | None = None  # the item that more is to come of
        self._expected: tuple[str, Callable[[float], None]] | None = None
        self._from = 0.0  # s, monotonic: when the next frame's time is

    def start(self) -> None:
        self._spawn(self._run(), "player")

    @property
    def playing(self) -> bool:
        return bool(self._response)

    @property
    def remaining(self) -> float:
        """Seconds that are still to be heard."""
        return self._waiting + (max(0.0, self._from - now()) if self.playing else 0.0)

    async def room(self) -> None:
        while self._waiting > LONGEST:
            self._space.clear()
            await self._space.wait()

    def expect(self, response: str, told: Callable[[float], None]) -> None:
        """`told` gets the moment (s, monotonic) at which this response begins to be heard."""
        self._expected = (response, told)

    def put(self, response: str, item: str, samples: Samples, rate: int, text: str = "") -> None:
        """(n, 1) int16 of this item's sound. `text`: a clause that begins with it."""
        self._making = item
        for frame in self._frames(samples, rate):
            self._pieces.append(_Piece(response, item, frame, text))
            text = ""
            self._waiting += frame.duration
        self._news.set()

    def whole(self, item: str) -> None:
        """All of this item's sound was put."""
        if self._making == item:
            self._making = None
            self._news.set()

    def _frames(self, samples: Samples, rate: int) -> list[AudioFrame]:
        frame = AudioFrame(samples=samples, pts=0, time_base=AUDIO_TIME_BASE, track=TRACK, rate=rate)
        frame.pts, frame.time_base = self._pts, AUDIO_TIME_BASE
        self._pts += round(len(samples) * AUDIO_RATE / rate)
        converted = self._converter.convert(frame)
        if converted is None:
            return []
        size, sound = int(STEP * AUDIO_RATE), converted.samples
        return [converted.replace(samples=sound[begin : begin + size], pts=0) for begin in range(0, len(sound), size)]

    # playing ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            if not self._pieces:
                if self.playing and self._making is None:
                    await self._until(self._from)
                    if not self._pieces:
                        self._stop("output_audio_buffer.stopped")
                    continue
                self._news.clear()
                await self._news.wait()
                continue
            await self._until(self._from - LEAD)
            if self._pieces:
                self._play(self._pieces.popleft())

    async def _until(self, moment: float) -> None:
        if moment > now():
            await asyncio.sleep(moment - now())

    def _play(self, piece: _Piece) -> None:
        if piece.response != self._response:
            if self._response:
                self._stop("output_audio_buffer.stopped")
            self._response = piece.response
            self._events.send("output_audio_buffer.started", response_id=piece.response)
            self.changed(True)
        length = piece.frame.duration
        moment = now()
        begin = max(self._from, moment)
        self._from = begin + length
        self._item = piece.item
        self._played[piece.item] = self._played.get(piece.item, 0.0) + length
        self._waiting = max(0.0, self._waiting - length)
        self._space.set()
        if self._expected is not None and self._expected[0] == piece.response:
            told, self._expected = self._expected[1], None
            told(moment)
        self.echo.played(piece.frame.samples, begin - LEAD, piece.text)
        self._output(piece.frame.replace(pts=round(begin * AUDIO_RATE), arrived=moment))

    def _stop(self, kind: str) -> None:
        response, self._response = self._response, ""
        self._played.clear()
        self._item = ""
        self._events.send(kind, response_id=response)
        self.changed(False)

    def clear(self) -> Cut | None:
        """Silence at once. Answers what was cut, None if nothing was being played."""
        self._pieces.clear()
        self._waiting = 0.0
        self._making = None
        self._expected = None
        self._space.set()
        self._flush()
        self.echo.cleared(now() - LEAD)
        if not self.playing:
            return None
        unheard = max(0.0, self._from - now())
        cut = Cut(self._response, self._item, max(0.0, self._played.get(self._item, 0.0) - unheard))
        self._from = now()
        self._stop("output_audio_buffer.cleared")
        self._news.set()
        return cut


async def refuse_clear(event: dict[str, Any]) -> None:
    """``output_audio_buffer.clear`` over a websocket."""
    raise Refused("'output_audio_buffer.clear' is for WebRTC: over a websocket the client plays the sound itself.",
                  code="invalid_value", param="type")
