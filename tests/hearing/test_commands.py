"""Commands are told from other talk; the numbers over many voices come from benchmarks/speech_commands.py."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import Busy, ModelFailed
from aimass_stream.hearing.commands import (
    ACCEPTED,
    LONGEST,
    WEIGHTS,
    CommandEar,
    Evidence,
    Listening,
    decided,
    evidence,
    likelihood,
)
from aimass_stream.hearing.pairs import MOST_WAITING, Pairs
from aimass_stream.hearing.phones import FRAMES
from aimass_stream.hearing.sphinx import guesses
from aimass_stream.inference import Engine, FolderStore
from aimass_stream.settings import Settings
from aimass_stream.speech.grammar import Phrase
from aimass_stream.speech.words import HEARING_RATE, Waveform
from tests.engines.test_pocketsphinx import spoken

PHRASES = (
    Phrase("time", ("what time is it",)),
    Phrase("timer", ("set a timer for <duration>",)),
    Phrase("mirror", ("mirror (the picture|me)",)),
    Phrase("note", ("remember [that] <text>",)),
)

QUIET = ["<sil>", 0, 19, -10.0, "SIL"]
COMMANDED = [QUIET, ["mirror", 20, 59, -40.0, "M IH R ER"], ["me", 60, 79, -30.0, "M IY"],
             ["<sil>", 80, 99, -10.0, "SIL"]]


def heard(text: str, score: float = -40.0) -> list[Any]:
    """A path of phones through the time that COMMANDED's words take."""
    said = text.split()
    each = 60 / len(said)
    return [QUIET, *([f"phone-{phone}", round(20 + place * each), round(20 + (place + 1) * each) - 1, score, phone]
                     for place, phone in enumerate(said)), COMMANDED[-1]]


def test_other_talk_fits_mere_phones_better() -> None:
    same = heard("M IH R ER M IY", -36.7)
    found = evidence(guesses(COMMANDED), COMMANDED, same)
    assert (found.paused, found.counted) == (0, 0)
    assert found.worst == pytest.approx(-40 + 36.7)
    assert found.alike > 1
    assert likelihood(found) > ACCEPTED
    command = decided(COMMANDED, same, PHRASES)
    assert command is not None
    assert (command.name, command.text) == ("mirror", "mirror me")
    far = heard("CH AO K S OW F AH Z", -20.0)
    other = evidence(guesses(COMMANDED), COMMANDED, far)
    assert other.worst == pytest.approx(-20)
    assert other.spoken == pytest.approx(-15)
    assert other.alike < 0
    assert likelihood(other) < ACCEPTED
    assert decided(COMMANDED, far, PHRASES) is None


def test_phones_that_are_often_mistaken_are_no_evidence_against_a_command() -> None:
    near, far = heard("N IH R ER N IY"), heard("CH AO K S OW F AH Z")
    assert decided(COMMANDED, near, PHRASES) is not None
    assert decided(COMMANDED, far, PHRASES) is None


def test_a_command_with_a_number_has_to_be_surer() -> None:
    timer = [QUIET, ["ten", 20, 49, -40.0, "T EH N"], ["minutes", 50, 109, -40.0, "M IH N AH T S"]]
    assert evidence(guesses(timer), timer, timer).counted == 1
    assert WEIGHTS.counted < 0


def test_words_forced_on_other_sounds_last_too_long_or_have_pauses() -> None:
    near = heard("N IH L ER N IY")
    usual = evidence(guesses(COMMANDED), COMMANDED, near)
    assert likelihood(usual) > ACCEPTED
    long = [QUIET, ["mirror", 20, 28, -40.0, "M IH R ER"], ["me", 29, 79, -30.0, "M IY"], COMMANDED[-1]]
    found = evidence(guesses(long), long, near)
    assert found.stretched > 0.6
    assert odds(usual._replace(stretched=found.stretched)) < odds(usual) / 10
    torn = [QUIET, ["mirror", 20, 49, -40.0, "M IH R ER"], ["<sil>", 50, 64, -10.0, "SIL"],
            ["me", 65, 79, -30.0, "M IY"], COMMANDED[-1]]
    found = evidence(guesses(torn), torn, near)
    assert found.paused == pytest.approx(15 / 100)
    assert odds(usual._replace(paused=found.paused)) < odds(usual) / 10


def odds(found: Evidence) -> float:
    return likelihood(found) / (1 - likelihood(found))


def test_words_that_are_no_phrase_are_no_command() -> None:
    assert decided([["mirror", 0, 9, -9.0, "M IH R ER"]], [], PHRASES) is None
    assert decided([], [], PHRASES) is None


@pytest.mark.parametrize(("words", "each", "most"), [(4, 4, 800), (30, 4, 4000), (100, 3, 12_000)])
def test_evidence_holds_the_event_loop_for_little(words: int, each: int, most: int) -> None:
    """10 s of talk, by the calls that it takes: four to eight for a phone, however many there are beside it."""
    random = Random(1)
    commanded, free = ([["word", word * (1000 // words), (word + 1) * (1000 // words) - 1, -40.0,
                         " ".join(random.choices(list(FRAMES), k=each))] for word in range(words)] for _ in range(2))
    calls = 0

    def count(frame: object, kind: str, what: object) -> None:
        nonlocal calls
        calls += kind in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = evidence(guesses(commanded), commanded, free)
    finally:
        sys.setprofile(before)
    assert found.alike < 0.5
    assert calls < most
    seconds = []
    for _ in range(5):
        begun = time.thread_time()
        evidence(guesses(commanded), commanded, free)
        seconds.append(time.thread_time() - begun)
    assert min(seconds) < 0.05


@pytest.mark.anyio
async def test_commands_and_other_talk_by_voice() -> None:
    engine = Engine(FolderStore([]))
    try:
        ear, again = await asyncio.gather(*(CommandEar.open(engine, Settings(), PHRASES) for _ in range(2)))
        assert ear is again, "sessions with the same phrases share their decoders"
        assert ear.left_out == ("remember [that] <text>",)
        texts = ["what time is it", "please set a timer for ten minutes", "mirror the picture",
                 "the doctor said that I should rest for a week", "she bought ten pounds of apples at the market"]
        sounds = await asyncio.gather(*(asyncio.to_thread(spoken, text) for text in texts))
        commands = await asyncio.gather(*(ear.decide(sound) for sound in sounds[:3]))
        found: list[Any] = [command and (command.name, dict(command.slots)) for command in commands]
        assert found == [("time", {}), ("timer", {"duration": 600}), ("mirror", {})]
        assert [await ear.decide(sound) for sound in sounds[3:]] == [None, None]
        assert await ear.decide(np.zeros(HEARING_RATE, np.float32)) is None
        assert await ear.decide(np.tile(sounds[0], int(LONGEST) + 1)) is None
    finally:
        await engine.close()


class Stream:
    """A decoder that notes what it is given; `gate` holds it back."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.failed = False
        self.fed = 0
        self.calls: list[str] = []

    async def begin(self) -> None:
        self.fed = 0
        self.calls.append("begin")

    async def feed(self, sound: Waveform) -> None:
        self.failed = True  # as long as nobody has the answer
        await self.pool.gate.wait()
        self.failed = self.pool.broken
        if self.failed:
            raise ModelFailed("it has died")
        self.fed += len(sound)

    async def path(self) -> list[Any]:
        self.calls.append(f"path {self.fed}")
        return COMMANDED

    async def known(self, words: list[str]) -> list[str]:
        return words

    async def listen_for(self, grammar: str) -> None:
        self.calls.append("grammar")

    async def listen_freely(self) -> None:
        self.calls.append("free")

    def drop(self) -> None:
        self.pool.streams.remove(self)
        self.pool.dropped.set()


class Pool:
    """With room for so many pairs."""

    def __init__(self, pairs: int = 4) -> None:
        self.pairs = pairs
        self.streams: list[Stream] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.dropped = asyncio.Event()
        self.broken = False

    async def stream(self, *, command: bool = False) -> Stream:
        assert command, "a recogniser's would be taken"
        if len(self.streams) >= 2 * self.pairs:
            raise Busy("no more", retry_after=1)
        self.streams.append(Stream(self))
        return self.streams[-1]

    async def close(self) -> None:
        return None


def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.create_task(work, name=name)


HALF: Waveform = np.zeros(HEARING_RATE // 2, np.float32)


@pytest.mark.anyio
async def test_it_is_decoded_while_it_is_heard_and_anew_when_it_goes_on() -> None:
    pool = Pool()
    listening = CommandEar(Pairs(pool), PHRASES).listen(spawn)
    listening.hear(HALF)
    await listening.settle()
    assert [stream.fed for stream in pool.streams] == [8000, 8000]
    listening.hear(HALF[:1000])
    await listening.settle()
    assert pool.streams[0].fed == 8000  # less than a step waits for more
    command = await listening.decide()
    assert command is not None
    assert command.name == "mirror"
    listening.hear(HALF)
    assert await listening.decide() is not None
    assert pool.streams[0].calls == ["grammar", "begin", "path 9000", "begin", "path 17000"]
    listening.close()
    assert await listening.decide() is None
    assert len(pool.streams) == 2


async def begun(ear: CommandEar, count: int) -> list[Listening]:
    """So many utterances at once, each of which has its turn, or waits for it."""
    listened = [ear.listen(spawn) for _ in range(count)]
    for listening in listened:
        listening.hear(HALF)
        for _ in range(20):
            await asyncio.sleep(0)
    return listened


@pytest.mark.anyio
@pytest.mark.parametrize("pairs", [4, 1])
async def test_utterances_wait_for_a_turn_and_those_that_end_free_it(pairs: int) -> None:
    pool = Pool(pairs)
    ear = CommandEar(Pairs(pool), PHRASES)
    count = pairs + MOST_WAITING + 1
    listened = await begun(ear, count)
    assert [stream.fed for stream in pool.streams] == [8000] * 2 * pairs, "as many are decoded while they are spoken"
    assert await listened[-1].decide() is None, "one too many: it is decided by its text alone"
    waiting = [asyncio.create_task(listening.decide()) for listening in listened[:-1]]
    for listening in listened[:1]:
        listening.close()
    commands = await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert [command is not None for command in commands] == [False] + [True] * (count - 2)
    assert len(pool.streams) == 2 * pairs
    await ear.close()
    assert not pool.streams


@pytest.mark.anyio
async def test_ears_share_the_pairs_and_the_longest_idle_makes_room() -> None:
    pool = Pool(2)
    pairs = Pairs(pool)
    one, other = CommandEar(pairs, PHRASES), CommandEar(pairs, PHRASES[:2])
    for listening in await begun(one, 2):
        assert await listening.decide() is not None
    first, second = pool.streams[:2], pool.streams[2:]
    assert await other.decide(HALF) is None  # what it heard is none of its phrases
    assert pool.streams[:2] == second
    assert len(pool.streams) == 4
    assert not set(first) & set(pool.streams)
    assert await one.decide(HALF) is not None, "it has one left"
    assert pool.streams[:2] == second
    await one.close()
    assert len(pool.streams) == 2
    await pairs.close()
    assert not pool.streams


@pytest.mark.anyio
async def test_pairs_that_nobody_needs_are_closed_but_for_one() -> None:
    pool = Pool()
    pairs = Pairs(pool, kept=0.01)
    ear = CommandEar(pairs, PHRASES)
    for listening in await begun(ear, 3):
        assert await listening.decide() is not None
    async with asyncio.timeout(30):
        while len(pool.streams) > 2:
            pool.dropped.clear()
            await pool.dropped.wait()
    assert await ear.decide(HALF) is not None
    assert len(pool.streams) == 2
    listened = await begun(ear, 2)
    await pairs.close()
    for listening in listened:
        listening.close()
    assert not pool.streams, "what was in use is closed when it is given back"


@pytest.mark.anyio
async def test_a_session_that_ends_in_the_middle_frees_its_decoder() -> None:
    pool = Pool(1)
    ear = CommandEar(Pairs(pool), PHRASES)
    tasks: list[asyncio.Task[None]] = []

    def kept(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        tasks.append(spawn(work, name))
        return tasks[-1]

    pool.gate.clear()
    listening = ear.listen(kept)
    listening.hear(HALF)
    for _ in range(20):
        await asyncio.sleep(0)
    (first, _), _ = pool.streams, tasks[0].cancel()
    await asyncio.wait(tasks)
    listening.close()
    assert first not in pool.streams, "its answer would be taken for another's"
    pool.gate.set()
    assert await asyncio.wait_for(ear.decide(HALF), 30) is not None


@pytest.mark.anyio
async def test_a_decoder_that_dies_is_replaced() -> None:
    pool = Pool(1)
    ear = CommandEar(Pairs(pool), PHRASES)
    pool.broken = True
    assert await ear.decide(HALF) is None
    assert not pool.streams
    pool.broken = False
    assert await ear.decide(HALF) is not None
    assert await ear.decide(np.zeros(int(LONGEST * HEARING_RATE) + 1, np.float32)) is None
    assert await ear.decide(HALF[:0]) is None
    assert len(pool.streams) == 2


def test_an_open_phrase_is_not_what_a_grammar_heard() -> None:
    phrases = (*PHRASES, Phrase("anything", ("<text>",)), Phrase("note", ("note <text>", "my notes")))
    ear = CommandEar(Pairs(Pool()), phrases)
    assert [(phrase.name, phrase.patterns) for phrase in ear.phrases[3:]] == [("note", ("my notes",))]
