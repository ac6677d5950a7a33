"""Command mode on voices that it was not fitted on, and on other talk: ``python -m benchmarks.speech_commands``.

The phrases are those that this package's skills and stages declare. Commands and half of the other talk are spoken by
espeak when this runs; the rest are people who read, where the project's shared recordings are there. Every utterance
has 0.3 s of silence before and 0.5 s after it, as a turn has.

With ``--fit`` the numbers in hearing/commands.py are found anew, on other voices, sentences and recordings.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from aimass_stream.engines.espeak import Espeak
from aimass_stream.hearing.commands import CommandEar, Evidence, evidence
from aimass_stream.hearing.confusions import Confusions, sounds_like
from aimass_stream.hearing.phones import FRAMES, phones
from aimass_stream.hearing.sphinx import NOISES, decoders, guesses
from aimass_stream.inference import Engine, FolderStore
from aimass_stream.settings import Settings
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.grammar import match
from aimass_stream.speech.words import HEARING_RATE, Waveform

from .speech_command_texts import COMMANDS, OTHER, OTHER_FITTED, declared, some
from .speech_confusions import Pair, trained, written

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech"
CONFUSIONS = Path(__file__).resolve().parents[1] / "aimass_stream" / "hearing" / "confusions.json"
FITTED = ("en-us", "en-us+f3", "en-us-nyc+m7", "en-gb-x-rp+f2", "en-us+Michael", "en-us+Annie", "en-gb+belinda",
          "en-us+f5", "en-gb-x-rp+m2", "en-us+anika")
FITTED_TOO = ("en-us+f1", "en-us+f2", "en-us+m4", "en-gb+f3", "en-gb+m1", "en-us+Alicia", "en-us+Andrea",
              "en-gb-scotland", "en-us-nyc+f4", "en-us+Denis")  # their other talk is the CC0 reader's prompts
PROMPT = 14  # words, at most
HELD_OUT = ("en-us+linda", "en-gb+f4", "en-us+benjamin", "en-us-nyc+f1")
EACH = 40  # commands of each voice that is fitted to
READERS = (("kathleen", 16, 0), ("ljspeech", 3, 0), ("librivox", 1, 0))  # every so many of their clips, from which on
READERS_FITTED = (("kathleen", 16, 8), ("ljspeech", 3, 1))  # others than those
BEFORE, AFTER = 0.3, 0.5  # s
ASKED = 0.2  # s of silence after which a turn asks
FRAME = HEARING_RATE // 50
ALLOWED = 2.0  # false triggers in 10 minutes of the other talk that is fitted to
HELD = 0.3  # how much a weight costs, where each kind of evidence has a standard deviation of 1
SELDOM, USUAL = 20, 8.0  # times that a phone is as good as not heard; frames
AT_ONCE = 2  # utterances that are decoded side by side


@dataclass(slots=True)
class Tally:
    commands: int = 0
    named: int = 0  # the right command
    right: int = 0  # and its slots
    others: int = 0
    other_seconds: float = 0.0
    false: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # s from the question to the decision
    work: list[float] = field(default_factory=list)  # s of the decoders' CPU from the end of the speech to the decision
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
            "decision_cpu_ms_p50": round(statistics.median(self.work) * 1000) if self.work else None,
            "decision_cpu_ms_p95": round(float(np.percentile(self.work, 95)) * 1000) if self.work else None,
            "voices": {voice: round(sum(hits) / len(hits), 3) for voice, hits in self.voices.items()},
            "false": self.false, "wrong": self.wrong}


def measure(voices: tuple[str, ...] = HELD_OUT, every: int = 1) -> dict[str, Any]:
    """`every`: take each so-manieth utterance only. About three minutes of work for all of them on one core."""
    return asyncio.run(_measure(voices, every))


async def _measure(voices: tuple[str, ...], every: int) -> dict[str, Any]:
    tally = Tally()
    async with opened() as (ear, espeak, clock):
        for voice in voices:
            for text in COMMANDS[::every]:
                await _command(ear, tally, clock, voice, text, await spoken(espeak, text, voice))
        others = _others(voices, OTHER, every) + _read_aloud(READERS, every)
        await _each(others, lambda clip: _other(ear, espeak, tally, clip))
    return tally.result()


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[CommandEar, Espeak, Clock]]:
    settings = Settings()
    engine = Engine(FolderStore([]))
    espeak = await Espeak.open(engine, settings)
    try:
        ear = await CommandEar.open(engine, settings, declared())
        yield ear, espeak, Clock(cast(Any, await decoders(engine)).process)
    finally:
        await espeak.close()
        await engine.close()


class Clock:
    """The CPU time of a process's children."""

    def __init__(self, process: int) -> None:
        self._process = process

    def __call__(self) -> float | None:
        """In s; None where the system does not tell."""
        children = Path(f"/proc/{self._process}/task/{self._process}/children")
        if not children.is_file():
            return None
        return sum(int(Path(f"/proc/{child}/schedstat").read_text().split()[0])
                   for child in children.read_text().split()) / 1e9


@dataclass(frozen=True, slots=True)
class Clip:
    name: str  # of the voice or of the recording
    text: str = ""
    path: Path | None = None

    async def sound(self, espeak: Espeak) -> Waveform:
        if self.path is None:
            return await spoken(espeak, self.text, self.name)
        return await asyncio.to_thread(_read, self.path)


async def _each(clips: list[Clip], use: Callable[[Clip], Awaitable[None]]) -> None:
    """As many at once as are decoded at once."""
    waiting = iter(clips)

    async def work() -> None:
        for clip in waiting:
            await use(clip)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())


async def spoken(espeak: Espeak, text: str, voice: str) -> Waveform:
    """As a turn: at HEARING_RATE, between silences."""
    pieces = [piece.samples[:, 0] async for piece in espeak.speak(text, Manner(voice=voice, speed=0.92))]
    return turn((np.concatenate(pieces) / 32768).astype(np.float32), espeak.rate)


def turn(samples: Waveform, rate: int) -> Waveform:
    sound = soxr.resample(samples, rate, HEARING_RATE)
    turned: Waveform = np.pad(sound, (int(BEFORE * HEARING_RATE), int(AFTER * HEARING_RATE))).astype(np.float32)
    return turned


async def _command(ear: CommandEar, tally: Tally, clock: Clock, voice: str, text: str, sound: Waveform) -> None:
    """As it comes, but faster: the decoders keep up with the speech, as they do at its pace."""
    listening = ear.listen(lambda work, name: asyncio.create_task(work, name=name))
    end = len(sound) - int(AFTER * HEARING_RATE)
    for at in range(0, end, FRAME):
        listening.hear(sound[at : min(at + FRAME, end)])
        await listening.settle()
    spent = clock()
    for at in range(end, end + int(ASKED * HEARING_RATE), FRAME):
        listening.hear(sound[at : at + FRAME])
        await listening.settle()
    begun = time.perf_counter()
    command = await listening.decide()
    tally.times.append(time.perf_counter() - begun)
    if spent is not None:
        tally.work.append((clock() or spent) - spent)
    listening.close()
    wanted = match(text, ear.phrases)
    assert wanted is not None
    named = command is not None and command.name == wanted.name
    right = command is not None and named and dict(command.slots) == dict(wanted.slots)
    tally.commands += 1
    tally.named += named
    tally.right += right
    tally.voices.setdefault(voice, []).append(named)
    if not right:
        tally.wrong.append(f"{voice}: {text} -> {command.text if command else '(not believed)'}")


async def _other(ear: CommandEar, espeak: Espeak, tally: Tally, clip: Clip) -> None:
    sound = await clip.sound(espeak)
    command = await ear.decide(sound)
    tally.others += 1
    tally.other_seconds += len(sound) / HEARING_RATE
    if command is not None:
        tally.false.append(f"{clip.name}: {clip.text} -> {command.text} ({command.confidence:.2f})")


def _others(voices: tuple[str, ...], texts: tuple[str, ...], every: int = 1) -> list[Clip]:
    return [Clip(voice, text=text) for voice in voices for text in texts[::every]]


def _read_aloud(readers: tuple[tuple[str, int, int], ...], every: int = 1) -> list[Clip]:
    found = []
    for folder, each, first in readers:
        clips = sorted(path for path in (SHARED / folder).rglob("*") if path.suffix in (".flac", ".wav"))
        found += [Clip(clip.stem, path=clip) for clip in clips[first :: each * every]]
    return found


def _prompts() -> list[str]:
    """What the CC0 reader read, but for the clips that are measured and fitted to; none where it is not here."""
    path = SHARED / "kathleen" / "metadata.csv"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    _, each, *_ = READERS[0]
    kept = {first % each for folder, _, first in READERS + READERS_FITTED if folder == "kathleen"}
    texts = [line.split("|")[2] for place, line in enumerate(lines) if place % each not in kept]
    return [text for text in texts if len(text.split()) <= PROMPT]


def _read(path: Path) -> Waveform:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate(frames, axis=1)[0]
    scale = 32768 if samples.dtype == np.int16 else 1 if samples.dtype.kind == "f" else 2**31
    return turn(samples.astype(np.float32) / scale, rate)


# fitting ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Example:
    clip: Clip
    seconds: float
    said: bool  # it is a command
    commanded: Sequence[Any]
    free: Sequence[Any]
    heard: bool  # the grammar's path is a command
    right: bool  # and the one that was said

    @property
    def voice(self) -> str:
        """Empty for a recording."""
        return self.clip.name if self.clip.path is None else ""

    @property
    def phones(self) -> Pair:
        """Of the grammar's path, and those that were heard."""
        commanded, free = (phones([item for item in path if not item[0].startswith(NOISES)])
                           for path in (self.commanded, self.free))
        return commanded, free

    def evidence(self, known: Confusions) -> Evidence:
        found = evidence(guesses(self.commanded), self.commanded, self.free)
        return found._replace(alike=sounds_like(*self.phones, known))


async def examples() -> list[Example]:
    """What the decoders make of the sounds that are fitted to, where the grammar heard anything."""
    found: list[Example] = []
    async with opened() as (ear, espeak, _):
        clips = [Clip(voice, text=text) for voice in FITTED + FITTED_TOO
                 for text in some(ear.phrases, random.Random(voice), EACH)]
        said = len(clips)
        clips += _others(FITTED, OTHER_FITTED) + _read_aloud(READERS_FITTED)
        prompts = _prompts()
        clips += [Clip(voice, text=text) for voice in FITTED_TOO if prompts
                  for text in random.Random(voice).sample(prompts, EACH)]
        commands = set(clips[:said])

        async def add(clip: Clip) -> None:
            sound = await clip.sound(espeak)
            paths = await ear.paths(sound)
            if paths is None:
                return
            heard = match(" ".join(word.text for word in guesses(paths[0])), ear.phrases)
            wanted = match(clip.text, ear.phrases) if clip in commands else None
            found.append(Example(clip, len(sound) / HEARING_RATE, clip in commands, *paths, heard is not None,
                                 wanted is not None and heard is not None and heard.name == wanted.name))

        await _each(clips, add)
    return found


def table(result: dict[str, Any]) -> str:
    voices = ", ".join(f"{voice} {share:.0%}" for voice, share in result["voices"].items())
    return "\n".join([
        f"{result['commands']} commands by held-out voices: {result['named']:.0%} the right command "
        f"({voices}), {result['right']:.0%} with all slots right",
        f"{result['other_utterances']} utterances of other talk, {result['other_minutes']} minutes: "
        f"{result['false_triggers']} taken for commands, {result['false_per_10_minutes']} in 10 minutes",
        f"decided {result['decision_ms_p50']} ms (p50), {result['decision_ms_p95']} ms (p95) after it was asked, for "
        f"{result['decision_cpu_ms_p50']} ms (p50), {result['decision_cpu_ms_p95']} ms (p95) of CPU after the speech"])


def fit(found: list[Example]) -> tuple[float, Evidence, float, Confusions]:
    """Bias, weights, from when on to believe, and what phones are heard as: so that ALLOWED is kept by voices that
    neither is fitted to. Commands that the grammar mistook for others teach nothing, for to believe them is wrong and
    not to believe them is, too."""
    used = [example for example in found if example.heard and (example.right or not example.said)]
    right = np.array([example.right for example in used])
    voices = np.array([example.voice for example in used])
    values = np.zeros((len(used), len(Evidence._fields)))
    for voice in set(voices):
        known = _confusions([example for example in used if example.voice != voice])
        for place in np.flatnonzero(voices == voice):
            values[place] = used[place].evidence(known)
    scale = values.std(axis=0)
    values = np.column_stack([np.ones(len(values)), values / scale])
    totals = np.zeros(len(used))
    for voice in set(voices):
        apart = voices == voice
        totals[apart] = values[apart] @ _regression(values[~apart], right[~apart])
    bias, *weights = _regression(values, right)
    others = np.sort(totals[~right])[::-1]
    most = int(ALLOWED * _minutes(found) / 10)
    print(f"of {right.sum()} commands of voices left out, {(totals[right] > others[most]).sum()} are believed")
    return (float(bias), Evidence(*(float(weight) for weight in weights / scale)), 1 / (1 + math.exp(-others[most])),
            _confusions(used))


def _confusions(used: Sequence[Example]) -> Confusions:
    return trained([example.phones for example in used if example.right], [example.phones[1] for example in used])


def _regression(values: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logistic, by Newton's method, with both kinds counting alike and a little held to nothing."""
    counts = np.where(right, 0.5 / right.mean(), 0.5 / (~right).mean())
    weights = np.zeros(values.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-values @ weights))
        slope = values.T @ (counts * (right - likely)) - HELD * weights
        bend = (values * (counts * likely * (1 - likely))[:, None]).T @ values + HELD * np.eye(len(weights))
        weights += np.linalg.solve(bend, slope)
    return weights


def lengths(found: list[Example]) -> dict[str, float]:
    """Frames that each phone takes, for hearing/phones.py: what explains the lengths of words best, where a phone that
    is seldom said is taken for one of USUAL. Of the grammar's words where it is right, else of those of free speech."""
    paths = [example.commanded if example.right else example.free for example in found]
    words = [(spelled.split(), last - first + 1) for path in paths for text, first, last, _, spelled in path
             if not text.startswith(NOISES)]
    counts = np.array([[spelled.count(phone) for phone in FRAMES] for spelled, _ in words], float)
    taken = counts.T @ np.array([frames for _, frames in words]) + SELDOM * USUAL
    solved = np.linalg.solve(counts.T @ counts + SELDOM * np.eye(len(FRAMES)), taken)
    return {phone: round(float(frames), 1) for phone, frames in zip(FRAMES, solved, strict=True)}


def _minutes(found: list[Example]) -> float:
    return sum(example.seconds for example in found if not example.said) / 60


def fitted(found: list[Example]) -> str:
    """Writes hearing/confusions.json; the lines for hearing/commands.py, and what both would have made of what they
    were fitted to."""
    bias, weights, accepted, known = fit(found)
    CONFUSIONS.write_text(written(known), encoding="utf-8")
    sure = [example for example in found if example.heard
            and bias + float(np.dot(weights, example.evidence(known))) > math.log(accepted / (1 - accepted))]
    said = [example for example in found if example.said]
    lines = [f"FRAMES = {lengths(found)}", f"BIAS = {bias:.3g}", "WEIGHTS = Evidence({})".format(", ".join(
        f"{name}={weight:.3g}" for name, weight in weights._asdict().items())), f"ACCEPTED = {accepted:.2f}", "",
        f"of {len(said)} commands, {sum(example.right for example in said)} are heard as the right one, and "
        f"{sum(example.right for example in sure)} of them believed",
        f"of {_minutes(found):.1f} minutes of other talk, {len(found) - len(said)} utterances, are believed:"]
    return "\n".join([*lines, *(f"{example.clip.name}: {example.clip.text} -> "
                                f"{' '.join(word.text for word in guesses(example.commanded))}"
                                for example in sure if not example.said)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Command mode, measured.")
    parser.add_argument("--fit", action="store_true", help="find the numbers in hearing/commands.py anew")
    parser.add_argument("--every", type=int, default=1, help="measure each so-manieth utterance only")
    given = parser.parse_args()
    if given.fit:
        print(fitted(asyncio.run(examples())))
    else:
        measured = measure(every=given.every)
        print(table(measured))
        print("\n".join(["", "false:", *measured["false"], "", "wrong:", *measured["wrong"]]))
