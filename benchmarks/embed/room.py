"""The section on a room: four people talk in a Janus VideoRoom, all get captions and one a processed picture."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
import pytest
import soxr

from aimass_stream.client import Client
from aimass_stream.engines.pocketsphinx import child
from aimass_stream.errors import AimassError
from aimass_stream.frames import AUDIO_RATE, Samples
from aimass_stream.speech.words import HEARING_RATE, Word
from tests.support.janus import Guest, Meeting, Running, meeting
from tests.support.meeting import Voice
from tests.support.rtc import Camera

from ..aims import Aim
from ..platform.own import FAILURES, ours
from ..servers import Server
from ..speech.corpus import Stream
from ..speech.delays import Scores, Update, score
from ..speech.section import Result, percent, seconds, table
from . import conversation
from .page import failure, spread

PEOPLE = 4
SECONDS, QUICK = 300.0, 30.0
SETTLE = 6.0  # s
QUIET = 4.0  # s without a caption, after which all of them are there
LATE = 60.0  # s that captions are waited for at most
DELAY = 2.0  # s
GROWTH = 0.5  # s that the last third of the words may be later than the first: else it is not real time
RATE = 30.0  # pictures/s that are sent
HELD = 0.9  # share of them that has to be shown
PAINTER, SCRIBE = "Painter", "Scribe"

Shown = list[tuple[float, str]]  # an utterance's texts, each from its moment on


@dataclass(frozen=True)
class Case:
    name: str
    turns: bool  # else all speak at once
    title: str
    asr: dict[str, Any]
    share: float = 1.0  # of the length
    aims: bool = True


SPHINX = {"stage": "asr", "engine": "pocketsphinx"}  # what `auto` takes where no weights were fetched
NANO = {"stage": "asr", "engine": "whisper", "model": "asr-nano-en"}
# the nano model was trained on synthetic voices: it shows what Whisper's path costs, and has no aim on speech like this
CASES = (Case("turns", True, "in turns, pocketsphinx", SPHINX),
         Case("once", False, "all at once, pocketsphinx", SPHINX, 0.5),
         Case("nano", False, "all at once, whisper (nano)", NANO, 0.3, aims=False))


def run(quick: bool) -> Result:
    try:
        janus = Running()
    except (pytest.skip.Exception, AssertionError) as error:  # there is none, or it does not start
        return failure(error)
    try:
        with ours("embed") as server:
            return asyncio.run(measure(server, janus, quick))
    except (*FAILURES, AimassError, AssertionError) as error:
        return failure(error)
    finally:
        janus.close()


async def measure(server: Server, janus: Running, quick: bool) -> Result:
    told = await conversation.voices(PEOPLE)
    result: Result = {"machine_cores": os.cpu_count(), "cases": {}}
    for case in CASES:
        length = QUICK if quick else SECONDS * case.share
        streams = conversation.in_turns(told, length) if case.turns else conversation.at_once(told, length)
        result["cases"][case.name] = figures = await attended(case, server, janus, streams)
        print(f"  {case.title}: {figures['delay_ms']} ms, WER {figures['wer']:.1%}, {figures['cores']}", flush=True)
    return result


async def attended(case: Case, server: Server, janus: Running, streams: Sequence[Stream]) -> Result:
    """One conversation in a room of its own."""
    camera = await asyncio.to_thread(Camera, 640, 480)
    sounds = [sound(stream) for stream in streams]  # before anybody's clock runs: it would stand, and then hurry
    async with meeting(janus) as held, Client(server.base) as client:
        voices = [Voice() for _ in streams]
        for number, voice in enumerate(voices):
            await held.guest(f"P{number}", *([voice, camera] if number == 0 else [voice]))
        listener = await held.guest("Bob")
        rooms = await joined(case, held, client, listener)
        await asyncio.sleep(SETTLE)
        seen = await talk(server, listener, voices, streams, sounds)
        shown = [await client.rooms.show(room["id"]) for room in rooms]
        for room in rooms:
            await client.rooms.leave(room["id"])
        left = [name for name in await listener.others() if "AI Mass" in name]
    return seen | {"lost": shown[0]["captions_lost"], "left": left,
                   "served": sum(one["state"] == "served" for one in shown[0]["participants"])}


async def joined(case: Case, held: Meeting, client: Client, listener: Guest) -> list[dict[str, Any]]:
    """One participant of ours writes for all of them, one shows a processed picture; the listener gets both."""
    rooms = [await client.rooms.join(held.url, held.room, name=SCRIBE, pipeline=[case.asr],
                                     participants=[f"P{number}" for number in range(PEOPLE)]),
             await client.rooms.join(held.url, held.room, name=PAINTER, pipeline=[{"stage": "mirror"}],
                                     participants=["P0"], publish=["video"], captions=False)]
    await listener.subscribe(f"{SCRIBE} (AI Mass)")
    await listener.subscribe("P0 (AI Mass)")
    return rooms


async def talk(server: Server, listener: Guest, voices: Sequence[Voice], streams: Sequence[Stream],
               sounds: Sequence[Samples]) -> Result:
    """Everybody says theirs, and the captions of all of it are waited for."""
    length = max(len(each) for each in sounds) / AUDIO_RATE
    pictures, before, begun = listener.pictures, used(server), time.monotonic()
    for voice, clip in zip(voices, sounds, strict=True):
        voice.say(clip)
    await asyncio.sleep(length)
    took = time.monotonic() - begun
    cores = {part: round((each - before[part]) / took, 2) for part, each in used(server).items()}
    flowed, load = listener.pictures - pictures, os.getloadavg()[0]
    await settled(listener)
    speakers, overlap = conversation.speaking(streams)
    return scored(streams, listener.texts, begun) | {
        "seconds": round(took), "pictures_s": round(flowed / took, 1), "cores": cores, "load": round(load, 1),
        "speakers": speakers, "overlap": overlap}


def sound(stream: Stream) -> Samples:
    wide = soxr.resample(stream.audio, HEARING_RATE, AUDIO_RATE)
    samples: Samples = (np.clip(wide, -1, 1) * 32767).astype(np.int16)[:, None]
    return samples


async def settled(listener: Guest) -> None:
    """No caption has come for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LATE):
            while True:
                count = len(listener.texts)
                await asyncio.sleep(QUIET)
                if len(listener.texts) == count:
                    return


def scored(streams: Sequence[Stream], texts: Sequence[tuple[float, str]], begun: float) -> Result:
    """What the captions were worth; all speakers began at `begun` (s, monotonic)."""
    total, growth = Scores(), []
    for number, stream in enumerate(streams):
        one = Scores()
        for words, ends, updates in matched(stream, utterances(f"P{number}", texts, begun)):
            one.add(score(words, updates, ends))
        third = len(one.delays) // 3
        if third:
            growth.append(float(np.median(one.delays[-third:]) - np.median(one.delays[:third])))
        total.add(one)
    return {"delay_ms": spread([1000 * delay for delay in total.delays]),
            "final_ms": spread([1000 * delay for delay in total.finals]), "wer": round(total.wer, 4),
            "words": total.words, "growth_s": round(max(growth), 2) if growth else None,
            "tail_s": round(max(at for at, _ in texts) - begun - max(stream.ends[-1] for stream in streams), 2)
            if texts else None,
            "utterances": sum(len(stream.ends) for stream in streams)}


def utterances(name: str, texts: Sequence[tuple[float, str]], begun: float) -> list[Shown]:
    """What was shown of each utterance of somebody, s after `begun`; in the order in which they began."""
    found: dict[str, Shown] = {}
    for at, text in texts:
        told = json.loads(text)
        if told["name"] == name:
            found.setdefault(told["utterance"], []).append((at - begun, told["text"]))
    return list(found.values())


def matched(stream: Stream, said: Sequence[Shown]) -> list[tuple[list[Word], list[float], list[Update]]]:
    """Sentences that are told together: their words, the end of each, and what was shown of the utterances whose first
    words came between the middle of the pause before them and that of the one behind. Over the whole conversation,
    where half of the words are wrong, they would be paired with those of another sentence, many seconds away. What is
    late by a whole sentence shows at the conversation's end.
    """
    groups = together(stream, said)
    middles = [_middle(before[-1], after[0]) for (before, _), (after, _) in pairwise(groups)]
    found = []
    for (words, ends), begin, until in zip(groups, [0.0, *middles], [*middles, math.inf], strict=True):
        texts: dict[int, str] = {}
        updates = []
        for at, number, text in sorted((at, number, text) for number, shown in enumerate(said)
                                       if begin <= shown[0][0] < until for at, text in shown):
            texts[number] = text
            updates.append(Update(at, " ".join(texts[each] for each in sorted(texts)), ""))
        found.append((words, ends, updates))
    return found


def together(stream: Stream, said: Sequence[Shown]) -> list[tuple[list[Word], list[float]]]:
    """Words and ends of sentences between which an utterance went on: the recogniser holds a short pause behind what
    is no whole sentence for a pause in it.
    """
    groups: list[tuple[list[Word], list[float]]] = []
    for words, end in zip(conversation.by_sentence(stream), stream.ends, strict=True):
        if groups and any(shown[0][0] < _middle(groups[-1][0][-1], words[0]) and words[0].end < shown[-1][0]
                          for shown in said):
            groups[-1][0].extend(words)
            groups[-1][1].append(end)
        else:
            groups.append((list(words), [end]))
    return groups


def _middle(before: Word, after: Word) -> float:
    return (before.end + after.start) / 2


def used(server: Server) -> dict[str, float]:
    """Core-seconds so far of the server, its decoders, Janus, and the people with the listener, who are this process.

    Decoders live as long as the sessions do, so none has ended in between.
    """
    here = psutil.Process()
    found = {"server": 0.0, "decoders": 0.0, "people": _seconds(here),
             "janus": sum(_seconds(each) for each in here.children() if each.name() == "janus")}
    root = psutil.Process(server.process.pid)
    for one in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found["decoders" if child.__file__ in one.cmdline() else "server"] += _seconds(one)
    return found


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def aims(result: Result) -> list[Aim]:
    texts = {case.name: f"room with {PEOPLE} people, {case.title}: words behind their end, p95 <= {DELAY:g} s"
             for case in CASES if case.aims}
    holds = "the same: holds 5 minutes, the words get no later, the picture flows"
    if "error" in result:
        return [Aim(text, result["error"], None) for text in (*texts.values(), holds)]
    found: list[Aim] = []
    for name, text in texts.items():
        delay = result["cases"][name]["delay_ms"]
        found.append(Aim(text, f"{delay['p95'] / 1000:.2f} s", delay["p95"] <= 1000 * DELAY) if delay
                     else Aim(text, "no caption came", False))
    return [*found, _holds(holds, [result["cases"][name] for name in texts])]


def _holds(text: str, cases: Sequence[Result]) -> Aim:
    whole = all(one["served"] == PEOPLE and not one["lost"] and one["pictures_s"] >= HELD * RATE
                and one["growth_s"] is not None and one["growth_s"] <= GROWTH and one["tail_s"] <= DELAY
                for one in cases)
    long = max(one["seconds"] for one in cases)
    growth = max((one["growth_s"] for one in cases if one["growth_s"] is not None), default=None)
    measured = (f"{long} s: at most {seconds(growth)} s later, {sum(one['lost'] for one in cases)} captions lost; "
                f"{min(one['pictures_s'] for one in cases)} pictures/s")
    return Aim(text, measured, whole if long >= SECONDS or not whole else None)


def tell(result: Result) -> str:
    if "error" in result:
        return f"It could not be measured: {result['error']}"
    cases = [result["cases"][case.name] for case in CASES]

    def row(title: str, cell: Any) -> list[object]:
        return [title, *(cell(one) for one in cases)]

    rows = [row("length, s", lambda one: one["seconds"]),
            row("who speak at a time, on the average; share of the speech that is over another's",
                lambda one: f"{one['speakers']:.1f}; {one['overlap']:.0%}"),
            row("a word's end to its caption, p50 / p95 / longest, s", lambda one: _spread(one["delay_ms"])),
            row("a sentence's end to its last word's caption, the same", lambda one: _spread(one["final_ms"])),
            row("last third of the words against the first, s", lambda one: f"{one['growth_s'] or 0:+.2f}"),
            row("WER", lambda one: f"{percent(one['wer'])} of {one['words']}"),
            row("from the last word of all to the last caption of all, s", lambda one: seconds(one["tail_s"])),
            row("captions lost on the way", lambda one: one["lost"]),
            row("processed pictures shown, 1/s", lambda one: one["pictures_s"]),
            row("cores: server / its decoders / the people and the listener / Janus",
                lambda one: " / ".join(f"{each:.2f}" for each in one["cores"].values())),
            row("load of the machine, 1 min", lambda one: one["load"]),
            row("people served", lambda one: f"{one['served']} of {PEOPLE}"),
            row("of ours in the room after we left", lambda one: ", ".join(one["left"]) or "nothing")]
    return (f"A Janus VideoRoom with {PEOPLE} people (stock aiortc), one with a camera of 640x480 at {RATE:g}/s. Two "
            "read from LibriVox, where those recordings are here, the others are voices of espeak. *In turns*: one "
            f"after another without a pause, each {conversation.OVERLAP:g} s into the one before. *All at once*: "
            f"everybody all the time, with {conversation.PAUSE:g} s between their sentences, which is harder than any "
            "meeting. One participant of ours writes captions for all of them, one shows the mirrored picture of the "
            "one with the camera; a fifth person gets both. Janus, server, people and listener share the "
            f"{result['machine_cores']} cores. A word's delay counts from its end, as it is given to the encoder, to "
            "the text on the data channel that holds it, right or wrong: words are paired by the least edit distance, "
            "each sentence with the utterances whose captions began after it did, and with its neighbour where an "
            "utterance went on over their pause.\n\n"
            + table(["", *(case.title for case in CASES)], rows))


def _spread(one: dict[str, float] | None) -> str:
    return " / ".join(seconds(None if one is None else one[name] / 1000) for name in ("p50", "p95", "max"))
