"""A session without a peer: something goes in, and what comes out is kept. For probes, and for apps called by REST."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import soxr

from ..errors import InvalidInput
from ..events import Event
from ..frames import (
    AUDIO_RATE,
    AUDIO_TIME_BASE,
    VIDEO_TIME_BASE,
    AudioFrame,
    Frame,
    Picture,
    Pixels,
    Samples,
    TextFrame,
    VideoFrame,
    now,
)
from ..node import Node
from ..painting.inline import decoded
from ..ports import AppCall, Caller
from ..speaking.voices import open_synthesizer
from ..spec import PipelineSpec
from ..speech.contract import Manner
from .examples import Expected, Input

SIZE = (640, 480)  # px of a picture that is drawn
PIECE = 960  # samples of a frame of sound: 20 ms
TICK = Fraction(1, 1_000_000)  # s, of texts
MOST_KEPT = 500  # events and texts
QUIET = 1.0  # s without news after the last input, where nobody said what has to come
FAR = 2.0  # mean difference of the levels of two pictures that are not the same


@dataclass(slots=True)
class Came:
    """What came out of a session."""

    frames: Counter[str] = field(default_factory=Counter)
    texts: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    picture: VideoFrame | None = None  # the last
    changed: bool = False  # it differs from what was sent
    failures: int = 0
    seconds: float = 0.0

    def missing(self, expected: Expected) -> str:
        """What has not come yet; empty: all has."""
        for kind, least in expected.frames.items():
            if self.frames[kind] < least:
                return f"{self.frames[kind]} of {least} {kind} frames came"
        for name, has in expected.events:
            if not any(event.type == name and has.lower() in _words(event) for event in self.events):
                return f"no event {name}" + (f" with {has!r}" if has else "")
        if expected.says and not any(expected.says.lower() in text.lower() for text in self._said()):
            return f"nobody said {expected.says!r}"
        if expected.changed and not self.changed:
            return "the picture is as it was"
        return ""

    def _said(self) -> list[str]:
        return [*self.texts, *(_words(event) for event in self.events)]


class Feed:
    """A `ports.Source` and a `ports.Sink`. It sends in real time, then silence where there was sound."""

    def __init__(self, given: Input, picture: Picture | None, sound: Samples | None) -> None:
        self.came = Came()
        self.over = asyncio.Event()  # nothing more is sent but silence
        self.news = asyncio.Event()
        self.closed: str | None = None
        self._given, self._picture, self._sound = given, picture, sound

    async def run(self, push: Callable[[Frame], None]) -> None:
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(self._texts(push))]
            if self._picture is not None:
                sent.append(group.create_task(self._pictures(push, self._picture)))
            if self._sound is not None:
                heard = asyncio.Event()
                group.create_task(self._sounds(push, self._sound, heard))
                sent.append(group.create_task(_waited(heard)))
            await asyncio.wait(sent)
            self.over.set()
            self.news.set()
            await asyncio.get_running_loop().create_future()  # a source that returns is a peer that is gone

    async def _texts(self, push: Callable[[Frame], None]) -> None:
        for index, text in enumerate(self._given.text):
            push(TextFrame(pts=index * 1000, time_base=TICK, track="text-0", text=text))
            await asyncio.sleep(0)

    async def _pictures(self, push: Callable[[Frame], None], picture: Picture) -> None:
        begun = now()
        for index in range(self._given.count):
            seconds = index / self._given.fps
            await asyncio.sleep(max(0.0, begun + seconds - now()))
            push(VideoFrame(pts=round(seconds / VIDEO_TIME_BASE), time_base=VIDEO_TIME_BASE, track="video-0",
                            picture=picture, captured=seconds))

    async def _sounds(self, push: Callable[[Frame], None], sound: Samples, heard: asyncio.Event) -> None:
        begun, silence = now(), np.zeros((PIECE, 1), np.int16)
        for at in range(0, 1 << 40, PIECE):
            await asyncio.sleep(max(0.0, begun + at / AUDIO_RATE - now()))
            piece = sound[at : at + PIECE] if at < len(sound) else silence
            if at >= len(sound):
                heard.set()
            push(AudioFrame(pts=at, time_base=AUDIO_TIME_BASE, track="audio-0", samples=piece,
                            captured=at / AUDIO_RATE))

    def stats(self) -> dict[str, Any]:
        return {}

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        self.came.frames[frame.kind] += 1
        if isinstance(frame, TextFrame):
            self.came.texts.append(frame.text)
        elif isinstance(frame, VideoFrame):
            self.came.picture = frame
        self.news.set()

    def event(self, event: Event) -> None:
        if event.type != "session.stats":
            self.came.events.append(event)
            self.news.set()

    def flush(self, track: str | None = None) -> None:
        """Nothing waits here."""

    async def close(self, reason: str) -> None:
        self.closed = reason
        self.news.set()


async def run(node: Node, caller: Caller, call: AppCall, given: Input, expected: Expected | None, *, within: float,
              transport: str) -> tuple[Came, str]:
    """What came out, and what is missing of what was expected. Without that it ends when nothing more comes.

    Raises what `Node.open` raises, and `InvalidInput` for a picture that can't be read.
    """
    picture = None if given.picture is None else await asyncio.to_thread(_picture, given.picture)
    sound = None if given.sound is None else await _sound(node, given.sound)
    session = await node.open(PipelineSpec(), caller=caller, transport=transport, app=call)
    feed, begun = Feed(given, picture, sound), time.monotonic()
    try:
        await session.attach(feed, feed)
        try:
            async with asyncio.timeout(within):
                await (_quiet(feed, given) if expected is None else _met(feed, expected, picture))
        except TimeoutError:
            pass  # what is missing says so
    finally:
        await session.close("done")
    feed.came.seconds, feed.came.failures = time.monotonic() - begun, session.failures
    if picture is not None and feed.came.picture is not None and not feed.came.changed:
        feed.came.changed = await asyncio.to_thread(_differ, picture, feed.came.picture.picture)
    missing = "" if expected is None else feed.came.missing(expected)
    return feed.came, missing or (f"{session.failures} failures of its stages" if session.failures else "")


async def _met(feed: Feed, expected: Expected, picture: Picture | None) -> None:
    while feed.closed is None:
        feed.news.clear()
        latest = feed.came.picture
        if expected.changed and not feed.came.changed and picture is not None and latest is not None:
            feed.came.changed = await asyncio.to_thread(_differ, picture, latest.picture)
        if not feed.came.missing(expected):
            return
        await feed.news.wait()


async def _quiet(feed: Feed, given: Input) -> None:
    """Returns when all was sent and nothing but sound came for a while."""
    await feed.over.wait()
    while feed.closed is None:
        came = feed.came
        before = len(came.events), len(came.texts), came.frames["video"]
        if given.picture is not None and not given.text and given.sound is None and before[2] >= given.count:
            return
        await asyncio.sleep(QUIET)
        if before == (len(came.events), len(came.texts), came.frames["video"]):
            return


def shown(came: Came) -> dict[str, Any]:
    """As REST answers: the last picture is a JPEG. Takes milliseconds: in a thread."""
    picture = None
    if came.picture is not None:
        done, data = cv2.imencode(".jpg", came.picture.bgr)
        picture = base64.b64encode(data.tobytes()).decode() if done else None
    return {"texts": list(came.texts), "frames": dict(came.frames), "picture": picture,
            "events": [event.json() for event in came.events if event.type not in HIDDEN],
            "seconds": round(came.seconds, 3), "failures": came.failures}


HIDDEN = frozenset({"session.created", "session.updated", "session.ended", "session.closing"})  # with its secrets


async def _waited(event: asyncio.Event) -> None:
    await event.wait()


def _words(event: Event) -> str:
    return str(event.data).lower() if event.type not in HIDDEN else ""


def _picture(given: Any) -> Picture:
    """Raises `InvalidInput`."""
    if "draw" in given:
        return Picture.from_bgr(_drawn(given["draw"]))
    try:
        return Picture.from_bgr(decoded(given["url"]))
    except ValueError as error:
        raise InvalidInput(str(error), field="input.picture.url") from None


def _drawn(words: str) -> Pixels:
    """A scene with edges and colours, and the words on a sign in it."""
    width, height = SIZE
    scene = np.empty((height, width, 3), np.uint8)
    scene[:] = np.linspace((200, 160, 90), (60, 110, 160), height)[:, None]
    cv2.circle(scene, (120, 110), 50, (80, 210, 250), -1, cv2.LINE_AA)
    for index in range(6):
        cv2.rectangle(scene, (60 + index * 95, 380 - index % 3 * 40), (120 + index * 95, 480), (70, 60, 50), -1)
    if words:
        cv2.rectangle(scene, (20, 200), (620, 310), (250, 250, 250), -1)
        (wide, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 1, 2)
        scale = min(2.2, 560 / max(wide, 1))
        cv2.putText(scene, words, (40, 270), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), max(1, round(scale * 2)),
                    cv2.LINE_AA)
    return scene


async def _sound(node: Node, given: Any) -> Samples:
    """(n, 1) int16 at 48 kHz. Raises `Unavailable` where something is to be said and there is no voice."""
    if "speech" not in given:
        return await asyncio.to_thread(_tone, given.get("tone", 440), given.get("seconds", 1))
    voice = await open_synthesizer(node.engine, node.settings)
    pieces = [piece.samples async for piece in voice.speak(given["speech"], Manner())]
    said = np.concatenate(pieces) if pieces else np.zeros((PIECE, 1), np.int16)
    made = await asyncio.to_thread(soxr.resample, said, voice.rate, AUDIO_RATE)
    return np.asarray(made, np.int16).reshape(-1, 1)


def _tone(frequency: float, seconds: float) -> Samples:
    moments = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    return np.asarray(np.sin(2 * np.pi * frequency * moments) * 8000, np.int16)[:, None]


def _differ(one: Picture, other: Picture) -> bool:
    if (one.width, one.height) != (other.width, other.height):
        return True
    return float(np.abs(one.bgr.astype(np.int16) - other.bgr).mean()) > FAR
