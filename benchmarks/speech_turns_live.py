"""Conversations with a running server over its websocket, measured at the client: how long a reply takes, how soon it
stops when somebody speaks into it, and how often it stops when it should not or goes on when it should stop.

Users are the bundled voices at wall-clock pace with a little noise; coughs are shaped bursts of noise, half of them
with a voiced end; "mhm" is said by the voices; the echo is what came back, mixed into the microphone again, quieter and
later.

A real interruption is *missed* when the reply goes on, and its ms are from the first audible sample of the user to the
first silent frame after the last one that sounds. An interruption is *false* when a reply is cut for good without a
word said to it. A reply that pauses for a cough and goes on is neither; how often and how long it does is told, too.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aimass_stream import wire
from aimass_stream.client import Client
from aimass_stream.events import Event
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples
from aimass_stream.inference import Engine, installed
from aimass_stream.settings import Settings
from aimass_stream.speaking.speaker import say_all
from aimass_stream.speaking.voices import open_synthesizer
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.resample import Resampler

FRAME = AUDIO_RATE // 50
LOUD = 200  # of 32767: less is silence
IN_FLIGHT = 0.1  # s that sound may come after the word that there will be no more
ABREAST = 4  # conversations at once
VOICES = ("en-us+m3", "en-us+f2", "en-gb+m7", "en-gb+f4", "en-us+m1", "en-us+f5")
STORY = ("Here is a long story about a harbour in the north. Twelve boats leave it every morning, and each one of them "
         "carries nets, ropes, a lamp, and a bell that rings when the wind blows hard. In the evening they come back "
         "one after the other, and the people on the wall count them until the last one is home.")
QUESTIONS = ("what time is it", "what is two plus two", "what is the date today", "mirror the picture",
             "what can you do", "set a timer for ten minutes")
SPOKEN_INTO = ("stop", "wait a moment please", "what time is it", "no that is wrong", "stop talking now",
               "set a timer for five minutes", "be quiet please", "hold on a second")
MURMURS = ("m,h'm:", "Vh'V", "m'hm", "@h'@")  # espeak's phonemes: written as words, its voices spell them
PLAYOUT = 0.06  # s that the client's player is behind what comes: echo is later by that

Kind = Literal["words", "cough", "murmur", "echo"]


@dataclass(frozen=True)
class Case:
    """Somebody who makes a sound into a reply."""

    kind: Kind
    sound: Samples  # (n, 1) at AUDIO_RATE, beginning with its first voiced sample; empty: nobody speaks
    label: str
    after: float  # s from the reply's first sound
    echo_db: float | None = None  # of the reply in the microphone; None: none
    echo_delay: float = 0.0  # s


@dataclass
class Call:
    """One conversation at the client. `sent` and `came` are moments, s, by media time in frames of 20 ms."""

    microphone: Samples
    echo_db: float | None = None
    echo_delay: float = 0.0
    events: list[tuple[float, Event]] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    came: list[tuple[float, int]] = field(default_factory=list)  # (moment, peak) of each frame that came back
    first_sound: float | None = None  # s, monotonic, of the reply
    insert: tuple[float, Samples] | None = None  # s after the first sound, and what is said then
    began: float | None = None  # s, monotonic: the inserted sound's first sample was sent
    _echo: Samples = field(default_factory=lambda: np.zeros((0, 1), np.int16))
    _at: int = 0  # samples sent
    _returned: dict[int, Samples] = field(default_factory=dict)
    _placed: int | None = None  # frames: where the inserted sound begins
    _prepared: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold(self, client: Client, pipeline: list[dict[str, Any]], ready: str = "hearing.ready") -> None:
        """Talk until the microphone's sound is over. It begins when the server says `ready`."""
        sound = wire.AudioFormat.decode({"codec": "pcm_s16le", "rate": AUDIO_RATE, "channels": 1})
        async with client.stream(pipeline=pipeline, audio=sound) as session:
            async def read_events() -> None:
                async for event in session.events():
                    self.events.append((time.monotonic(), event))
                    if event.type == ready:
                        self._prepared.set()

            async def read_frames() -> None:
                async for frame in session.frames():
                    if isinstance(frame, AudioFrame):
                        self._back(frame)

            readers = [asyncio.create_task(read_events()), asyncio.create_task(read_frames())]
            try:
                await self._send(session)
            finally:
                for reader in readers:
                    reader.cancel()
                await asyncio.wait(readers)

    async def _send(self, session: Any) -> None:
        begun, number, start = time.monotonic(), 0, -1
        while start < 0 or (number - start) * FRAME < len(self.microphone):
            if start < 0 and self._prepared.is_set():
                start = number
            at = (number - start) * FRAME
            voice = self.microphone[at : at + FRAME] if start >= 0 else np.zeros((FRAME, 1), np.int16)
            await asyncio.sleep(max(0.0, begun + number * 0.02 - time.monotonic()))
            samples = self._heard(number, voice)
            await session.send(AudioFrame(samples=samples, pts=number * FRAME, time_base=AUDIO_TIME_BASE,
                                          track="audio-0"))
            if start >= 0:
                self.sent.append(time.monotonic())
            number += 1

    def _heard(self, number: int, voice: Samples) -> Samples:
        """What the microphone hears in this frame: the user, what is inserted, and the reply's echo."""
        mixed = np.zeros((FRAME, 1), np.int32)
        mixed[: len(voice)] += voice
        if self.echo_db is not None:
            begin = number * FRAME - round((PLAYOUT + self.echo_delay) * AUDIO_RATE)
            mixed += (self._played(begin) * 10 ** (self.echo_db / 20)).astype(np.int32)
        if self.insert is not None and self.first_sound is not None and self._prepared.is_set():
            after, sound = self.insert
            if self._placed is None and time.monotonic() >= self.first_sound + after:
                self._placed, self.began = number, time.monotonic()
            if self._placed is not None:
                at = (number - self._placed) * FRAME
                piece = sound[at : at + FRAME]
                mixed[: len(piece)] += piece
        return np.clip(mixed, -32768, 32767).astype(np.int16)

    def _played(self, begin: int) -> Samples:
        """The reply from this sample of media time on, as far as it has come back."""
        whole, offset = divmod(begin, FRAME)
        nothing = np.zeros((FRAME, 1), np.int16)
        both = np.concatenate([self._returned.get(whole, nothing), self._returned.get(whole + 1, nothing)])
        return both[offset : offset + FRAME]

    def _back(self, frame: AudioFrame) -> None:
        moment, peak = time.monotonic(), int(np.abs(frame.samples.astype(np.int32)).max(initial=0))
        self.came.append((moment, peak))
        if peak > LOUD and self.first_sound is None:
            self.first_sound = moment
        number = round(frame.seconds * 50)
        padded = np.zeros((FRAME, 1), np.int16)
        padded[: min(FRAME, len(frame.samples))] = frame.samples[:FRAME, :1]
        self._returned[number] = padded
        self._returned.pop(number - 100, None)

    def typed(self, kind: str) -> list[Event]:
        return [event for _, event in self.events if event.type == kind]

    def silence_after(self, began: float) -> float | None:
        """s from `began` to the first silent frame behind the last one of the reply that was interrupted. None where
        none was, or was silent by itself when it was spoken into."""
        told = next((moment for moment, event in self.events if event.type == "assistant.interrupted"), None)
        if told is None:
            return None
        sounding = [moment for moment, peak in self.came if peak > LOUD and moment <= told + IN_FLIGHT]
        if not sounding or sounding[-1] < began:
            return None
        return next((moment for moment, _ in self.came if moment > sounding[-1]), sounding[-1]) - began

    def pauses(self) -> list[float]:
        """s of each silence in a reply that was held and went on."""
        loud = [moment for moment, peak in self.came if peak > LOUD]
        found = []
        for told, event in self.events:
            if event.type == "assistant.resumed":
                before = max((moment for moment in loud if moment < told), default=told)
                found.append(min((moment for moment in loud if moment >= told), default=told) - before)
        return found


# sounds -------------------------------------------------------------------------------------------------


async def say(texts: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Samples]:
    """(text, voice) as sound at AUDIO_RATE that begins and ends with its voice."""
    engine = Engine(installed())
    try:
        synthesizer = await open_synthesizer(engine, Settings(), "espeak")
        found = {}
        for text, voice in texts:
            samples, _ = await say_all(synthesizer, text, Manner(voice))
            found[text, voice] = trimmed(Resampler(synthesizer.rate, AUDIO_RATE)(samples, last=True))
        return found
    finally:
        await engine.close()


_HUM = """
import ctypes, sys, espeakng_loader
lib = ctypes.CDLL(espeakng_loader.get_library_path())
rate = lib.espeak_Initialize(1, 0, espeakng_loader.get_data_path().encode(), 0)
pieces = []
def heard(samples, count, events):
    if samples and count:
        pieces.append(ctypes.string_at(samples, count * 2))
    return 0
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(heard)
lib.espeak_SetSynthCallback(callback)
lib.espeak_SetVoiceByName(sys.argv[2].encode())
text = ("[[" + sys.argv[1] + "]]").encode()
lib.espeak_Synth(text, len(text) + 1, 0, 0, 0, 0x101, None, None)  # UTF-8, phonemes in brackets
lib.espeak_Synchronize()
sys.stdout.buffer.write(rate.to_bytes(4, "little") + b"".join(pieces))
"""


def hum(phonemes: str, voice: str) -> Samples:
    """Sounds that are no words, by espeak in a process of its own."""
    done = subprocess.run([sys.executable, "-c", _HUM, phonemes, voice], capture_output=True, check=True, timeout=20)
    samples = np.frombuffer(done.stdout[4:], "<i2").astype(np.int16)[:, None]
    return trimmed(Resampler(int.from_bytes(done.stdout[:4], "little"), AUDIO_RATE)(samples, last=True))


def trimmed(sound: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(sound[:, 0].astype(np.int32)) > LOUD)
    return sound[loud[0] : loud[-1] + 1]


def cough(seed: int) -> Samples:
    """One or two bursts of noise between 300 and 3000 Hz with a sharp begin and a quick decay; every other one ends as
    coughs do when the vocal folds close again: 60 to 120 ms of a rough, falling vowel."""
    rng = np.random.default_rng(seed)
    bursts = []
    for _ in range(1 + seed % 2):
        length = int(AUDIO_RATE * rng.uniform(0.12, 0.3))
        spectrum = np.fft.rfft(rng.normal(0, 1, length))
        hertz = np.fft.rfftfreq(length, 1 / AUDIO_RATE)
        noise = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3000)) / (1 + hertz / 900), length)
        shape = np.minimum(1, np.arange(length) / (0.008 * AUDIO_RATE)) * np.exp(-np.arange(length) / (0.25 * length))
        noise *= shape
        bursts += [noise / np.abs(noise).max() * 15_000, np.zeros(int(AUDIO_RATE * 0.08))]
    if seed % 4 >= 2:
        bursts[-1] = _vowel(rng)
    return np.concatenate(bursts).astype(np.int16)[:, None]


def _vowel(rng: np.random.Generator) -> NDArray[np.float64]:
    length = int(AUDIO_RATE * rng.uniform(0.06, 0.12))
    pitch = np.linspace(rng.uniform(260, 380), 200, length) * (1 + 0.05 * rng.normal(0, 1, length))
    pulses = (np.diff(np.floor(np.cumsum(pitch) / AUDIO_RATE), prepend=0) > 0).astype(float)
    pulses += rng.normal(0, 0.02, length)
    hertz = np.fft.rfftfreq(length, 1 / AUDIO_RATE)
    throat = sum(level / (1 + np.square((hertz - at) / width))
                 for at, width, level in ((650, 90, 1.0), (1150, 110, 0.6), (2500, 160, 0.25)))
    sound = np.fft.irfft(np.fft.rfft(pulses) * throat, length) * np.hanning(length)
    return np.asarray(sound / np.abs(sound).max() * 8000)


def room(seconds: float, seed: int = 0) -> Samples:
    """The noise of a quiet room."""
    return np.random.default_rng(seed).normal(0, 12, (int(seconds * AUDIO_RATE), 1)).astype(np.int16)


def mixed(base: Samples, sound: Samples, at: float) -> Samples:
    begin = int(at * AUDIO_RATE)
    out = base.astype(np.int32)
    out[begin : begin + len(sound)] += sound[: len(out) - begin]
    return np.clip(out, -32768, 32767).astype(np.int16)


# measurements -------------------------------------------------------------------------------------------


async def voice_to_voice(url: str, count: int, *, silence_ms: int = 500, engine: str = "auto",
                         key: str | None = None, at_once: int = ABREAST) -> dict[str, Any]:
    """ms from the last voiced sample's leaving to the reply's first loud sample's coming, over `count` questions, so
    many `at_once`: they are spoken within the same second."""
    rng = random.Random(7)
    asked = [(QUESTIONS[n % len(QUESTIONS)], VOICES[n % len(VOICES)]) for n in range(count)]
    sounds = await say(sorted(set(asked)))
    totals: list[float] = []
    parts: list[dict[str, float]] = []
    words: list[tuple[str, str]] = []

    async def one(question: tuple[str, str]) -> None:
        sound, at = sounds[question], rng.uniform(0.5, 1.0)
        call = Call(mixed(room(at + len(sound) / AUDIO_RATE + 4), sound, at))
        pipeline = [{"stage": "assistant", "brain": "offline", "silence_ms": silence_ms, "engine": engine}]
        async with Client(url, key) as client:
            await call.hold(client, pipeline)
        spoken_end = at + len(sound) / AUDIO_RATE
        ended = call.sent[int(spoken_end * 50)]
        answers = [moment for moment, peak in call.came if peak > LOUD and moment > ended]
        words.append((question[0], " ".join(event.data["text"] for event in call.typed("transcript.committed"))))
        if answers:
            totals.append((answers[0] - ended) * 1000)
            parts.extend(event.data for event in call.typed("turn.latency")[:1])

    await _warm(url, engine, key)
    await _abreast([one(question) for question in asked], at_once)
    return {"asked": count, "answered": len(totals), "silence_ms": silence_ms, "ms": spread(totals),
            "parts": {name: spread([part[name] for part in parts]) for name in
                      ("endpoint", "recognition", "brain", "voice", "wire", "total")}, "heard": words}


async def interruptions(url: str, each: int, *, engine: str = "auto", key: str | None = None,
                        kinds: Sequence[Kind] = ("words", "cough", "murmur", "echo")) -> dict[str, Any]:
    """How soon and how rightly a reply stops, over `each` cases of every kind (twice as many with real words)."""
    chosen = await cases(each, kinds)
    rows: list[dict[str, Any]] = []

    async def one(case: Case) -> None:
        call = Call(room(case.after + len(case.sound) / AUDIO_RATE + 6), case.echo_db, case.echo_delay)
        call.insert = (case.after, case.sound)
        async with Client(url, key) as client:
            await call.hold(client, [{"stage": "assistant", "brain": "offline", "greeting": STORY, "engine": engine}])
        stopped = call.typed("assistant.interrupted")
        silence = call.silence_after(call.began) if call.began is not None and case.kind == "words" else None
        rows.append({"kind": case.kind, "label": case.label, "interrupted": bool(stopped),
                     "resumed": len(call.typed("assistant.resumed")),
                     "pauses_ms": [round(pause * 1000) for pause in call.pauses()], "echo_db": case.echo_db,
                     "echo_delay": case.echo_delay, "ms": None if silence is None else silence * 1000,
                     "heard": " ".join(event.data["text"] for event in call.typed("transcript.committed"))})

    await _warm(url, engine, key)
    await _abreast([one(case) for case in chosen])
    real = [row for row in rows if row["kind"] == "words"]
    others = [row for row in rows if row["kind"] != "words"]
    return {"ms": spread([row["ms"] for row in real if row["interrupted"] and row["ms"] is not None]),
            "missed": sum(not row["interrupted"] for row in real), "real": len(real),
            "false": sum(row["interrupted"] for row in others), "others": len(others),
            "held": sum(bool(row["resumed"]) for row in others),
            "pause_ms": spread([pause for row in others for pause in row["pauses_ms"]]), "rows": rows}


async def cases(each: int, kinds: Sequence[Kind]) -> list[Case]:
    rng = random.Random(11)
    said = [(SPOKEN_INTO[n % len(SPOKEN_INTO)], VOICES[n % len(VOICES)]) for n in range(2 * each)]
    murmured = [(MURMURS[n % len(MURMURS)], VOICES[(n // 2) % len(VOICES)]) for n in range(each)]
    sounds = await say(sorted(set(said)))
    hummed = {one: await asyncio.to_thread(hum, *one) for one in sorted(set(murmured))}

    def echo(number: int) -> tuple[float | None, float]:
        """Half of the microphones hear the reply."""
        return (None, 0.0) if number % 2 else (rng.uniform(-20, -6), rng.uniform(0.02, 0.3))

    found: list[Case] = []
    if "words" in kinds:
        found += [Case("words", sounds[one], one[0], rng.uniform(1.5, 5), *echo(n)) for n, one in enumerate(said)]
    if "murmur" in kinds:
        found += [Case("murmur", hummed[one], one[0], rng.uniform(1.5, 5), *echo(n)) for n, one in enumerate(murmured)]
    if "cough" in kinds:
        found += [Case("cough", cough(n), "cough", rng.uniform(1.5, 5), *echo(n)) for n in range(each)]
    if "echo" in kinds:
        nothing = np.zeros((0, 1), np.int16)
        found += [Case("echo", nothing, "echo alone", 5.0, -20 + 14 * n / max(1, each - 1), rng.uniform(0.02, 0.3))
                  for n in range(each)]
    return found


async def _warm(url: str, engine: str, key: str | None) -> None:
    """The server has loaded what it hears and speaks with."""
    async with Client(url, key) as client:
        await Call(room(1.0)).hold(client, [{"stage": "assistant", "engine": engine}])


async def _abreast(work: Sequence[Any], at_once: int = ABREAST) -> None:
    room_for = asyncio.Semaphore(at_once)

    async def one(coroutine: Any) -> None:
        async with room_for:
            await coroutine

    await asyncio.gather(*(one(each) for each in work))


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"p50": None, "p95": None, "count": 0}
    return {"p50": round(float(np.percentile(values, 50)), 1), "p95": round(float(np.percentile(values, 95)), 1),
            "count": len(values)}
