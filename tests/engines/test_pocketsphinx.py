"""PocketSphinx in its processes: bounded, each stream's memory goes with it, and its death is its own."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.engines.pocketsphinx import Decoders, Stream
from aimass_stream.errors import Busy, InvalidInput, ModelFailed, Unavailable
from aimass_stream.inference.device import cores
from aimass_stream.speech.words import HEARING_RATE, Waveform
from tests.support.speech import speak

pytestmark = pytest.mark.anyio

GRAMMAR = "#JSGF V1.0;\ngrammar commands;\npublic <command> = set a timer for (ten | twenty) minutes | louder;"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def decoders(anyio_backend: object) -> Any:
    decoders = await Decoders.open(3)
    yield decoders
    await decoders.close()


def spoken(text: str) -> Waveform:
    """At 16 kHz, between silences."""
    samples: Waveform = (speak(text)[::3, 0] / 32768).astype(np.float32)
    return np.pad(samples, (HEARING_RATE // 5, HEARING_RATE // 2))


def children(process: int | None) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    if not path.is_file():
        pytest.skip(f"{path.parent} tells no children here")
    return [int(child) for child in path.read_text().split()]


async def until_gone(process: int | None, gone: set[int]) -> None:
    async with asyncio.timeout(30):
        while gone & set(await asyncio.to_thread(children, process)):
            await asyncio.to_thread(os.sched_yield)


async def test_two_streams_hear_their_own(decoders: Decoders) -> None:
    texts = ("What are you going to do about it?", "He was one of the first men in the world.")
    sounds = await asyncio.gather(*(asyncio.to_thread(spoken, text) for text in texts))

    async def heard(sound: Waveform) -> list[str]:
        stream = await decoders.stream()
        await stream.begin()
        for at in range(0, len(sound), 4000):
            await stream.hear(sound[at : at + 4000])
        last = await stream.finish()
        assert abs(last["frames"] - len(sound) / 160) <= 5
        await stream.close()
        return [word[0].split("(")[0] for word in last["words"]]

    said = [set(text.lower().rstrip(".?").split()) for text in texts]
    first, second = (set(words) for words in await asyncio.gather(*map(heard, sounds)))
    assert len(first & said[0]) >= 3, first
    assert len(second & said[1]) >= 3, second
    assert not first & (said[1] - said[0]), "each hears nothing of the other"


async def test_a_grammar_hears_nothing_else(decoders: Decoders) -> None:
    stream = await decoders.stream()
    assert await stream.known(["timer", "grayscale", "blorxyz"]) == ["timer", "grayscale"]
    with pytest.raises(InvalidInput, match="grammar"):
        await stream.listen_for("this is none")
    await stream.listen_for(GRAMMAR)
    sound = await asyncio.to_thread(spoken, "set a timer for twenty minutes")
    path = await path_of(stream, sound, 3200)
    assert " ".join(word[0] for word in path if word[0] != "<sil>") == "set a timer for twenty minutes"
    assert await path_of(stream, sound, 1000) == path, "neither the pieces nor what was before make a difference"
    await stream.feed(sound[: len(sound) // 2])
    assert await path_of(stream, sound, 3200) == path, "what was begun before is forgotten"
    assert await path_of(stream, np.zeros(HEARING_RATE, np.float32), 3200) == []
    assert await path_of(stream, sound[:800], 3200) != path  # too short to be anything
    await stream.close()


async def path_of(stream: Stream, sound: Waveform, piece: int) -> list[list[Any]]:
    await stream.begin()
    for at in range(0, len(sound), piece):
        await stream.feed(sound[at : at + piece])
    return await stream.path()


async def test_streams_are_bounded_and_leave_nothing(decoders: Decoders) -> None:
    before = set(children(decoders.process))
    streams = [await decoders.stream() for _ in range(3)]
    for stream in streams:
        await stream.begin()
    with pytest.raises(Busy, match="3 streams"):
        await decoders.stream()
    processes = set(children(decoders.process)) - before
    assert len(processes) == 3
    for stream in streams:
        await stream.close()
    await until_gone(decoders.process, processes)
    assert not decoders.streams


async def test_commands_and_recognisers_take_no_streams_from_each_other() -> None:
    decoders = await Decoders.open(2, 2)
    try:
        commands = await asyncio.gather(*(decoders.stream(command=True) for _ in range(4)))
        recognisers = await asyncio.gather(*(decoders.stream() for _ in range(2)))
        for command, most in ((True, 4), (False, 2)):
            with pytest.raises(Busy, match=f"{most} streams"):
                await decoders.stream(command=command)
        await asyncio.gather(*(stream.begin() for stream in [*commands, *recognisers]))
        commands[0].drop()
        await (await decoders.stream(command=True)).begin()
    finally:
        await decoders.close()
    assert Decoders().pairs * 2 == Decoders().most == 4 * cores()


async def test_a_death_is_one_streams_own(decoders: Decoders) -> None:
    before = set(children(decoders.process))
    doomed = await decoders.stream()
    await doomed.begin()
    (process,) = set(children(decoders.process)) - before
    other = await decoders.stream()
    await other.begin()
    os.kill(process, signal.SIGKILL)
    with pytest.raises(ModelFailed, match="died"):
        await doomed.hear(np.zeros(1600, np.float32))
    assert doomed.failed
    assert (await other.hear(np.zeros(16_000, np.float32)))["frames"] > 50
    await asyncio.gather(doomed.close(), other.close())


async def test_a_call_that_was_given_up_ends_the_stream(decoders: Decoders) -> None:
    stream: Stream = await decoders.stream()
    await stream.begin()
    call = asyncio.create_task(stream.hear(np.zeros(160_000, np.float32)))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    with pytest.raises(ModelFailed):  # the answer to that would be taken for the answer to this
        await stream.finish()
    await stream.close()


async def test_the_process_is_started_anew_and_ends() -> None:
    decoders = await Decoders.open(1)
    first = decoders.process
    assert first is not None
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(60):
        while decoders.process == first:
            stream = await decoders.stream()
            with suppress(ModelFailed):  # it was given to the one that is dying
                await stream.begin()
            await stream.close()
    second = decoders.process
    assert second not in (None, first)
    await decoders.close()
    with pytest.raises(Unavailable):
        await decoders.stream()
    assert second is not None
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
