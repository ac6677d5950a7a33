"""Commands are told from other talk; the numbers over many voices come from benchmarks/speech_commands.py."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from aimass_stream.hearing.commands import ACCEPTED, LONGEST, CommandEar, Evidence, decided, evidence, likelihood
from aimass_stream.hearing.sphinx import guesses
from aimass_stream.inference import Engine, FolderStore
from aimass_stream.settings import Settings
from aimass_stream.speech.grammar import Phrase
from aimass_stream.speech.words import HEARING_RATE
from tests.engines.test_pocketsphinx import spoken

PHRASES = (
    Phrase("time", ("what time is it",)),
    Phrase("timer", ("set a timer for <duration>",)),
    Phrase("mirror", ("mirror (the picture|me)",)),
    Phrase("note", ("remember [that] <text>",)),
)

COMMANDED = [["<sil>", 0, 19, -10.0], ["mirror", 20, 59, -40.0], ["me", 60, 79, -30.0], ["<sil>", 80, 99, -10.0]]


def test_other_talk_fits_free_speech_better() -> None:
    same = evidence(guesses(COMMANDED), COMMANDED, COMMANDED)
    assert same == Evidence(whole=0.0, worst=0.0, missed=0.0)
    assert likelihood(same) > ACCEPTED
    free = [["<sil>", 0, 9, -10.0], ["near", 10, 39, -35.0], ["or", 40, 59, -20.0], ["my(2)", 60, 79, -30.0],
            ["knee", 80, 94, -25.0], ["<sil>", 95, 99, -10.0]]
    other = evidence(guesses(COMMANDED), COMMANDED, free)
    assert other.worst == pytest.approx((20 * -5 + 20 * -20) / 40)
    assert other.missed == pytest.approx(25 / 100)
    assert likelihood(other) < ACCEPTED
    assert decided(COMMANDED, free, PHRASES) is None
    command = decided(COMMANDED, COMMANDED, PHRASES)
    assert command is not None
    assert (command.name, command.text) == ("mirror", "mirror me")


def test_words_that_are_no_phrase_are_no_command() -> None:
    assert decided([["mirror", 0, 9, -9.0]], [], PHRASES) is None
    assert decided([], [], PHRASES) is None


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
