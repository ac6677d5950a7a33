"""Command mode on voices that it was not fitted on, and on other talk: ``python -m benchmarks.speech_commands``.

Commands and half of the other talk are spoken by espeak when this runs; the rest are people who read, where the
project's shared recordings are there. Every utterance has 0.3 s of silence before and 0.5 s after it, as a turn has.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr

from aimass_stream.engines.espeak import Espeak
from aimass_stream.hearing.commands import CommandEar
from aimass_stream.inference import Engine, FolderStore
from aimass_stream.settings import Settings
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.grammar import Phrase, match
from aimass_stream.speech.words import HEARING_RATE, Waveform

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech"
FITTED = ("en-us", "en-us+f3", "en-us-nyc+m7")  # the numbers in hearing/commands.py come from these, and one reader
HELD_OUT = ("en-us+linda", "en-gb+f4", "en-us+benjamin", "en-us-nyc+f1")
READERS = (("kathleen", 16), ("ljspeech", 3), ("librivox", 1))  # every so many of their clips
BEFORE, AFTER = 0.3, 0.5  # s

PHRASES = (
    Phrase("time", ("what time is it", "what is the time", "tell me the time")),
    Phrase("date", ("what is the date [today]", "what day is it [today]")),
    Phrase("timer", ("(set|start) a timer for <duration>", "(set|start) a <duration> timer",
                     "remind me in <duration>")),
    Phrase("timer.cancel", ("(cancel|stop) the timer",)),
    Phrase("timer.left", ("how (long|much time) is left [on the timer]",)),
    Phrase("alarm", ("(set|start) an alarm for <time>", "wake me [up] at <time>")),
    Phrase("sum", ("(what is|calculate|how much is) <a:number> <op> <b:number>",),
           {"op": ("plus", "minus", "times", "divided by")}),
    Phrase("convert", ("convert <number> <from:unit> (to|into) <to:unit>",
                       "(what is|how much is) <number> <from:unit> in <to:unit>")),
    Phrase("style", ("make it [look like] [a] <style>", "turn [me|it] into [a] <style>"),
           {"style": {"cartoon": "cartoon", "black and white": "gray", "sketch": "edges", "pencil sketch": "edges"}}),
    Phrase("mirror", ("mirror (the picture|the image|the video|me|it)", "flip the picture")),
    Phrase("blur", ("blur (the picture|the image|the background|it)",)),
    Phrase("rotate", ("(turn|rotate) the picture [by <number> degrees]",)),
    Phrase("off", ("(stop|remove|clear) (the effects|all effects)", "back to normal")),
    Phrase("louder", ("louder", "make it louder", "turn (it|the volume) up", "turn up the volume")),
    Phrase("quieter", ("quieter", "make it quieter", "turn (it|the volume) down", "turn down the volume")),
    Phrase("mute", ("mute [the sound]", "mute (me|the microphone)")),
)

COMMANDS = (
    "what time is it", "what is the time", "tell me the time please", "what is the date today", "what day is it",
    "set a timer for twenty five minutes", "start a timer for an hour and a half", "set a ten minute timer",
    "remind me in thirty seconds", "set a timer for two hours and fifteen minutes", "cancel the timer",
    "how long is left on the timer", "set an alarm for half past seven", "wake me up at six thirty in the morning",
    "set an alarm for nine p m", "what is twelve plus thirty", "what is seven times eight",
    "calculate ninety minus four", "how much is one hundred and twenty divided by six",
    "convert ten miles to kilometers", "what is seventy pounds in kilograms",
    "convert two hundred grams into ounces", "make it look like a cartoon", "make it black and white",
    "turn me into a sketch", "mirror the picture", "could you mirror the picture please", "flip the picture",
    "blur the background", "rotate the picture by ninety degrees", "stop the effects", "remove all effects please",
    "back to normal", "louder", "make it louder", "turn it up", "quieter please", "turn down the volume",
    "mute the sound", "please mute the microphone")

OTHER = (
    "The harbour was quiet when the first boats came in.", "I think we should leave before it gets dark.",
    "She told him the time of the train, but he forgot it.", "What time did you arrive last night?",
    "My brother works for a company that makes chairs.", "It was a lovely day and nobody wanted to go home.",
    "He set the table for twenty five people.", "The alarm in the old building rang for an hour.",
    "Do you remember where we put the keys?", "The picture on the wall is a mirror of her own mind.",
    "Turn left at the next corner and walk to the bridge.", "I would like a cup of coffee with two sugars.",
    "They made it to the top of the hill in thirty minutes.",
    "The volume of traffic in the city has doubled since last year.",
    "Nobody could say what the effects of the storm would be.", "Yes, of course.", "No, I don't think so.",
    "Well, maybe tomorrow.", "That sounds good to me.", "I see what you mean.", "Really?", "Thank you very much.",
    "Let me think about it.", "Not yet.", "All right then.", "The bank opens at nine and closes at half past four.",
    "We flew about two hundred miles to the north.", "She bought ten pounds of apples and a bag of flour.",
    "Could you pass me the salt please?", "I have never been louder in my life.",
    "It's a cartoon that my children like to watch.", "The background of the story is rather complicated.",
    "Please tell your mother that I called.", "How much did you pay for that car?",
    "He is back to his normal self again.", "You can stop the car over there.", "Time is money, as they say.",
    "The doctor said that I should rest for a week.", "There are seven days in a week and twelve months in a year.",
    "I wonder what the date of the wedding is.", "Could you help me with the dishes?")


@dataclass(slots=True)
class Tally:
    commands: int = 0
    named: int = 0  # the right command
    right: int = 0  # and its slots
    others: int = 0
    other_seconds: float = 0.0
    false: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # s from the end of the utterance to the decision
    voices: dict[str, list[bool]] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        minutes = self.other_seconds / 60
        return {
            "commands": self.commands, "named": round(self.named / max(1, self.commands), 3),
            "right": round(self.right / max(1, self.commands), 3), "other_utterances": self.others,
            "other_minutes": round(minutes, 1), "false_triggers": len(self.false),
            "false_per_10_minutes": round(len(self.false) * 10 / max(minutes, 0.01), 2),
            "decision_ms_p50": round(statistics.median(self.times) * 1000) if self.times else None,
            "decision_ms_p95": round(float(np.percentile(self.times, 95)) * 1000) if self.times else None,
            "voices": {voice: round(sum(hits) / len(hits), 3) for voice, hits in self.voices.items()},
            "false": self.false, "wrong": self.wrong}


def measure(voices: tuple[str, ...] = HELD_OUT, every: int = 1) -> dict[str, Any]:
    """`every`: take each so-manieth utterance only. About two minutes of work for all of them on one core."""
    return asyncio.run(_measure(voices, every))


async def _measure(voices: tuple[str, ...], every: int) -> dict[str, Any]:
    settings = Settings()
    engine = Engine(FolderStore([]))
    espeak = await Espeak.open(engine, settings)
    tally = Tally()
    try:
        ear = await CommandEar.open(engine, settings, PHRASES)
        for voice in voices:
            for text in COMMANDS[::every]:
                await _command(ear, tally, voice, text, await spoken(espeak, text, voice))
            for text in OTHER[::every]:
                await _other(ear, tally, f"{voice}: {text}", await spoken(espeak, text, voice))
        async for name, sound in _readers(every):
            await _other(ear, tally, name, sound)
    finally:
        await espeak.close()
        await engine.close()
    return tally.result()


async def spoken(espeak: Espeak, text: str, voice: str) -> Waveform:
    """As a turn: at HEARING_RATE, between silences."""
    pieces = [piece.samples[:, 0] async for piece in espeak.speak(text, Manner(voice=voice, speed=0.92))]
    return turn((np.concatenate(pieces) / 32768).astype(np.float32), espeak.rate)


def turn(samples: Waveform, rate: int) -> Waveform:
    sound = soxr.resample(samples, rate, HEARING_RATE)
    turned: Waveform = np.pad(sound, (int(BEFORE * HEARING_RATE), int(AFTER * HEARING_RATE))).astype(np.float32)
    return turned


async def _command(ear: CommandEar, tally: Tally, voice: str, text: str, sound: Waveform) -> None:
    begun = time.perf_counter()
    command = await ear.decide(sound)
    tally.times.append(time.perf_counter() - begun)
    wanted = match(text, PHRASES)
    assert wanted is not None
    named = command is not None and command.name == wanted.name
    right = command is not None and named and dict(command.slots) == dict(wanted.slots)
    tally.commands += 1
    tally.named += named
    tally.right += right
    tally.voices.setdefault(voice, []).append(named)
    if not right:
        tally.wrong.append(f"{voice}: {text} -> {command.text if command else '(not believed)'}")


async def _other(ear: CommandEar, tally: Tally, name: str, sound: Waveform) -> None:
    command = await ear.decide(sound)
    tally.others += 1
    tally.other_seconds += len(sound) / HEARING_RATE
    if command is not None:
        tally.false.append(f"{name} -> {command.text} ({command.confidence:.2f})")


async def _readers(every: int) -> AsyncIterator[tuple[str, Waveform]]:
    for folder, each in READERS:
        clips = sorted(path for path in (SHARED / folder).rglob("*") if path.suffix in (".flac", ".wav"))
        for clip in clips[:: each * every]:
            yield clip.stem, await asyncio.to_thread(_read, clip)


def _read(path: Path) -> Waveform:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate(frames, axis=1)[0]
    scale = 32768 if samples.dtype == np.int16 else 1 if samples.dtype.kind == "f" else 2**31
    return turn(samples.astype(np.float32) / scale, rate)


def table(result: dict[str, Any]) -> str:
    voices = ", ".join(f"{voice} {share:.0%}" for voice, share in result["voices"].items())
    return "\n".join([
        f"{result['commands']} commands by held-out voices: {result['named']:.0%} the right command "
        f"({voices}), {result['right']:.0%} with all slots right",
        f"{result['other_utterances']} utterances of other talk, {result['other_minutes']} minutes: "
        f"{result['false_triggers']} taken for commands, {result['false_per_10_minutes']} in 10 minutes",
        f"decided {result['decision_ms_p50']} ms (p50), {result['decision_ms_p95']} ms (p95) after the utterance"])


if __name__ == "__main__":
    measured = measure()
    print(table(measured))
    print("\n".join(["", "false:", *measured["false"], "", "wrong:", *measured["wrong"]]))
