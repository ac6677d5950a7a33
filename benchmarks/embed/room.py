"""The section on a room: four people talk in a Janus VideoRoom, all get captions and one a processed picture."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest

from aimass_stream.client import Client
from aimass_stream.errors import AimassError
from aimass_stream.frames import AUDIO_RATE, Samples
from tests.support.janus import Guest, Running, meeting
from tests.support.meeting import Voice
from tests.support.rtc import Camera
from tests.support.speech import speak

from ..aims import Aim
from ..platform.own import FAILURES, ours
from ..servers import Server
from ..speech.section import Result, seconds, table
from .page import failure, spread

PEOPLE = 4
SECONDS, QUICK = 300.0, 30.0
SETTLE = 6.0  # s
APART = 1.7  # s between the first words of two of them
PAUSE = 1.0  # s between a caption and the next words
LATE = 20.0  # s, after which a caption counts as lost
EARLY = 0.3  # s before the end of the clip, which is silent there
DELAY = 2.0  # s
RATE = 30.0  # pictures/s that are sent
HELD = 0.9  # share of them that has to be shown
ENGINE = "pocketsphinx"  # the one that needs nothing from a network
SAID = ("Nine boats left the harbour at dawn, and the bell rang twice.", "Turn the volume down a little, please.",
        "The quick brown fox jumps over the lazy dog.")
PAINTER, SCRIBE = "Painter", "Scribe"


def run(quick: bool) -> Result:
    try:
        janus = Running()
    except (pytest.skip.Exception, AssertionError) as error:  # there is none, or it does not start
        return failure(error)
    try:
        with ours("embed") as server:
            return asyncio.run(measure(server, janus, QUICK if quick else SECONDS))
    except (*FAILURES, AimassError, AssertionError) as error:
        return failure(error)
    finally:
        janus.close()


async def measure(server: Server, janus: Running, length: float) -> Result:
    clips = [await asyncio.to_thread(speak, text) for text in SAID]
    camera = await asyncio.to_thread(Camera, 640, 480)
    async with meeting(janus) as held, Client(server.base) as client:
        voices = [Voice() for _ in range(PEOPLE)]
        for number, voice in enumerate(voices):
            await held.guest(f"P{number}", *([voice, camera] if number == 0 else [voice]))
        listener = await held.guest("Bob")
        rooms = [await client.rooms.join(held.url, held.room, name=SCRIBE,
                                         pipeline=[{"stage": "asr", "engine": ENGINE}],
                                         participants=[f"P{number}" for number in range(PEOPLE)]),
                 await client.rooms.join(held.url, held.room, name=PAINTER, pipeline=[{"stage": "mirror"}],
                                         participants=["P0"], publish=["video"], captions=False)]
        await listener.subscribe(f"{SCRIBE} (AI Mass)")
        await listener.subscribe("P0 (AI Mass)")
        await asyncio.sleep(SETTLE)
        seen = await talk(server, listener, voices, clips, length)
        told = [await client.rooms.show(room["id"]) for room in rooms]
        for room in rooms:
            await client.rooms.leave(room["id"])
        left = [name for name in await listener.others() if "AI Mass" in name]
    return seen | {"lost": told[0]["captions_lost"], "left": left,
                   "states": sorted({one["state"] for room in told for one in room["participants"]}),
                   "served": sum(one["state"] == "served" for one in told[0]["participants"])}


async def talk(server: Server, listener: Guest, voices: list[Voice], clips: list[Samples], length: float) -> Result:
    """Everybody says something, waits for its caption, and goes on, until `length` s are over."""
    delays: list[float] = []
    missing: list[str] = []
    before, cpu, begun = listener.pictures, used(server), time.monotonic()

    async def person(number: int, voice: Voice) -> None:
        await asyncio.sleep(number * APART)
        count = number
        while time.monotonic() - begun < length:
            clip = clips[count % len(clips)]
            count += 1
            since = time.monotonic() + len(clip) / AUDIO_RATE - EARLY
            voice.say(clip)
            at = await captioned(listener, f"P{number}", since)
            if at is None:
                missing.append(f"P{number}, {time.monotonic() - begun:.0f} s")
                continue
            delays.append(at - voice.said_at)
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(person(number, voice) for number, voice in enumerate(voices)))
    took = time.monotonic() - begun
    return {"seconds": round(took), "delay_ms": spread([1000 * delay for delay in delays]), "missing": missing,
            "pictures_s": round((listener.pictures - before) / took, 1), "cores": round((used(server) - cpu) / took, 2),
            "load": round(os.getloadavg()[0], 1), "machine_cores": os.cpu_count()}


async def captioned(listener: Guest, name: str, since: float) -> float | None:
    """Waits for `caption`; None where it does not come."""
    try:
        await listener.until(lambda: caption(listener, name, since) is not None, LATE)
    except TimeoutError:
        return None
    return caption(listener, name, since)


def caption(listener: Guest, name: str, since: float) -> float | None:
    """When the first whole caption of somebody came after `since`; both s, monotonic."""
    for at, text in reversed(listener.texts):
        if at <= since:
            break
        told: dict[str, Any] = json.loads(text)
        if told["name"] == name and told["final"]:
            return at
    return None


def used(server: Server) -> float:
    """Core-seconds of the server and those it has started, so far."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(server.process.pid)
        for one in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
    return total


def aims(result: Result) -> list[Aim]:
    texts = (f"room with {PEOPLE} people: caption behind the words, p95 <= {DELAY:g} s",
             "the same: holds 5 minutes, every utterance gets its caption, the picture flows")
    if "error" in result or not result["delay_ms"]:
        why = result.get("error", "no caption came")
        return [Aim(text, why, None) for text in texts]
    delay = result["delay_ms"]
    shown = (f"{delay['count']} captions, {len(result['missing']) + result['lost']} lost; {result['pictures_s']} "
             "pictures/s")
    whole = (not result["missing"] and not result["lost"] and result["served"] == PEOPLE
             and result["pictures_s"] >= HELD * RATE)
    return [Aim(texts[0], f"{delay['p95'] / 1000:.2f} s", delay["p95"] <= 1000 * DELAY),
            Aim(texts[1], f"{result['seconds']} s: {shown}",
                whole if result["seconds"] >= SECONDS or not whole else None)]


def tell(result: Result) -> str:
    if "error" in result:
        return f"It could not be measured: {result['error']}"
    delay = result["delay_ms"] or {}
    rows = [["last word to whole caption, p50 / p95 / longest, s",
             " / ".join(seconds(None if name not in delay else delay[name] / 1000) for name in ("p50", "p95", "max"))],
            ["captions", delay.get("count", 0)],
            ["without one within 20 s", "; ".join(result["missing"]) or "none"],
            ["lost on the way", result["lost"]],
            ["processed pictures shown, 1/s", result["pictures_s"]],
            ["server and its children, cores", f"{result['cores']} of {result['machine_cores']}"],
            ["load of the machine, 1 min", result["load"]],
            ["people served", f"{result['served']} of {PEOPLE}"],
            ["of ours in the room after we left", ", ".join(result["left"]) or "nothing"]]
    return (f"A Janus VideoRoom with {PEOPLE} people (stock aiortc), one with a camera of 640x480 at {RATE:g}/s, who "
            f"each say something, wait for its caption and {PAUSE:g} s more, and go on, over each other as it comes, "
            f"for {result['seconds']} s. One participant of ours writes captions for all of them ({ENGINE}), "
            f"one shows the "
            "mirrored picture of the one; a fifth person gets both. Janus, server, people and listener share the "
            "machine. A caption's delay counts from the last sample of the clip, as it is given to the encoder, to its "
            "whole text on the data channel.\n\n"
            + table(["", ""], rows))
