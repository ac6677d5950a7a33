"""How soon, how steadily and how clearly it speaks: ``python -m benchmarks.speech_voices [engine]``.

Time to first audio is from handing a text to the speaker until the first piece of sound is there, all sessions
starting in the same moment. Underruns are counted by the stage `tts` in sessions that speak in real time. The error
rate is of spoken sentences recognised again by the recogniser that `auto` takes, or a named one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import jiwer
import numpy as np

from aimass_stream.events import Event
from aimass_stream.frames import AudioFrame, Frame, TextFrame, now
from aimass_stream.hearing.files import transcribe
from aimass_stream.inference import Engine, installed
from aimass_stream.node import Node
from aimass_stream.ports import Caller
from aimass_stream.settings import Settings
from aimass_stream.speaking.speaker import Speaker, say_all
from aimass_stream.speaking.voices import open_synthesizer
from aimass_stream.spec import PipelineSpec
from aimass_stream.speech.audio import to_hearing
from aimass_stream.speech.contract import Manner, Synthesizer
from aimass_stream.speech.normal import normalise
from aimass_stream.stages import Registry

SESSIONS = (1, 4, 16)
ROUNDS = 20  # starts of all sessions
SECONDS = 10.0  # of speech in real time
TEXT = ("I can see nine boats in the harbour this morning, and all of them are painted blue. "
        "The smallest one belongs to the man who sells bread at the corner.")
SENTENCES = (
    "The old house stood at the end of a narrow street.", "She opened the window and listened to the rain.",
    "We walked along the river until the evening came.", "He gave the letter to his brother and left the room.",
    "There was nothing to be seen but water and sky.", "The children played in the garden all afternoon.",
    "It is a great pleasure to see you here again.", "They had been waiting for the train since seven in the morning.",
    "A small light was burning in the kitchen.", "The captain looked at the map for a long time.",
    "Nobody knew where the strange music came from.", "In the winter the road is covered with snow.")
VOICES = ("", "en-gb", "en-us+f3", "en-us+m3")  # of espeak; other engines say it with their default
LATE = 0.04  # s behind its place after the first frame, and a player without a larger buffer has a gap
TICK = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class FirstAudio:
    sessions: int
    p50_ms: float
    p95_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    sessions: int
    seconds: float  # of speech, of all sessions
    underruns: int  # the voice had not made what was due
    late: int  # frames of 20 ms that left over LATE s after their time, whatever held them up
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Clearness:
    voice: str
    recogniser: str
    model: str
    words: int
    wer: float


@dataclass
class Listener:
    """A sink that notes when each frame of speech came."""

    came: list[tuple[float, float]] = field(default_factory=list)  # moment, media time

    def frame(self, frame: Frame) -> None:
        if isinstance(frame, AudioFrame):
            self.came.append((now(), frame.seconds))

    def event(self, event: Event) -> None:
        """Nothing is told here."""

    def flush(self, track: str | None = None) -> None:
        """Nothing is held."""

    async def close(self, reason: str) -> None:
        """Nothing is held."""

    def delays(self) -> list[float]:
        """s of each frame behind its place after the first one of its run, with which a player begins that keeps
        nothing back; a run ends where the speech pauses."""
        found: list[float] = []
        run: list[float] = []
        last = -1.0
        for moment, media in self.came:
            if run and abs(media - last - 0.02) > 0.001:
                found += [each - run[0] for each in run]
                run = []
            run.append(moment - media)
            last = media
        return found + [each - run[0] for each in run]


class Still:
    """A source of nothing, until it is cancelled."""

    async def run(self, push: Any) -> None:
        await asyncio.Event().wait()

    def stats(self) -> dict[str, Any]:
        return {}


async def first_audio(synthesizer: Synthesizer, sessions: int, rounds: int = ROUNDS) -> FirstAudio:
    async def one() -> float:
        speaker = Speaker(synthesizer)
        begun = time.perf_counter()
        speaker.say(TEXT)
        speaker.finish()
        async with contextlib.aclosing(speaker.pieces()) as pieces:
            await anext(pieces)
            return time.perf_counter() - begun

    times: list[float] = []
    for _ in range(rounds):
        times += await asyncio.gather(*(one() for _ in range(sessions)))
        await asyncio.sleep(0.02)  # what was begun and not listened to has ended
    p50, p95 = (round(float(value) * 1000, 1) for value in np.percentile(times, [50, 95]))
    return FirstAudio(sessions, p50, p95, round(max(times) * 1000, 1))


async def steadiness(sessions: int, seconds: float = SECONDS, engine: str = "auto") -> Steadiness:
    """Sessions of a node with the stage `tts`, each speaking for about so many seconds."""
    models, stages = Engine(installed()), Registry()
    await asyncio.to_thread(stages.load)
    settings = Settings(max_load=1, max_loop_lag=10, max_sessions=max(32, sessions))
    node = Node(settings, stages, models)
    await node.start()
    listeners = [Listener() for _ in range(sessions)]
    try:
        opened = []
        for listener in listeners:
            spec = PipelineSpec.parse([{"stage": "tts", "engine": engine}])
            session = await node.open(spec, caller=Caller("bench"), transport="bench")
            await session.attach(Still(), listener)
            opened.append(session)
        begun = now()
        while now() - begun < seconds:
            for session in opened:
                session.push(TextFrame(text=TEXT, pts=round((now() - begun) / TICK), time_base=TICK, track="text-0"))
            await asyncio.sleep(8.0)  # about as long as it takes to say that
        underruns = sum(count for session in opened for name, count in session.meter.drops.items()
                        if name.endswith("tts:underrun"))
    finally:
        await node.close()
        await models.close()
    delays = [delay for listener in listeners for delay in listener.delays()]
    return Steadiness(sessions, round(len(delays) * 0.02, 1), underruns, sum(delay > LATE for delay in delays),
                      round(max(delays, default=0.0) * 1000, 1))


async def clearness(models: Engine, synthesizer: Synthesizer, voice: str = "", recogniser: str = "auto",
                    model: str = "") -> Clearness:
    """WER of the sentences, spoken and recognised again."""
    settings = Settings()
    reference, heard, engine, name = [], [], "", ""
    for sentence in SENTENCES:
        samples, _ = await say_all(synthesizer, sentence, Manner(voice))
        audio = await asyncio.to_thread(to_hearing, samples, synthesizer.rate)
        padded = np.concatenate([np.zeros(8000, np.float32), audio, np.zeros(8000, np.float32)])
        words = []
        async for segment in transcribe(models, settings, padded, want=recogniser, model=model, language="en",
                                        session="bench"):
            words.append(segment.text)
            engine, name = segment.engine, segment.model
        reference.append(normalise(sentence))
        heard.append(normalise(" ".join(words)))
    count = sum(len(line.split()) for line in reference)
    return Clearness(voice or "default", engine, name, count, round(float(jiwer.wer(reference, heard)), 3))


def measure(engine: str = "espeak", sessions: tuple[int, ...] = SESSIONS, rounds: int = ROUNDS,
            seconds: float = SECONDS, recogniser: str = "auto") -> dict[str, Any]:
    """All of it, as JSON has it."""
    return asyncio.run(_measure(engine, sessions, rounds, seconds, recogniser))


async def _measure(engine: str, sessions: tuple[int, ...], rounds: int, seconds: float,
                   recogniser: str) -> dict[str, Any]:
    models, settings = Engine(installed()), Settings()
    try:
        begun = time.perf_counter()
        synthesizer = await open_synthesizer(models, settings, engine)
        opened = time.perf_counter() - begun
        first = [await first_audio(synthesizer, count, rounds) for count in sessions]
        begun = time.perf_counter()
        samples, _ = await say_all(synthesizer, TEXT)
        speed = len(samples) / synthesizer.rate / (time.perf_counter() - begun)
        clear = [await clearness(models, synthesizer, voice, recogniser)
                 for voice in (VOICES if engine == "espeak" else ("",))]
    finally:
        await models.close()
    steady = [await steadiness(count, seconds, engine) for count in sessions]
    return {"engine": engine, "open_ms": round(opened * 1000), "times_real_time": round(speed),
            "first_audio": [asdict(row) for row in first], "steadiness": [asdict(row) for row in steady],
            "clearness": [asdict(row) for row in clear],
            "wer": round(statistics.mean(row.wer for row in clear), 3)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1] if len(sys.argv) > 1 else "espeak"), indent=2))
