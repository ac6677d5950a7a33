"""The model that comes with the package hears what the bundled voice says, word by word, by both policies."""

from __future__ import annotations

import asyncio

import jiwer
import numpy as np
import pytest
import soxr

from aimass_stream.errors import NotFound
from aimass_stream.hearing.recognizers import open_recognizer
from aimass_stream.inference import Engine, installed
from aimass_stream.speech.normal import normalise
from aimass_stream.speech.words import HEARING_RATE, Waveform, Word

from ..support.options import settings
from ..support.speech import speak

pytestmark = pytest.mark.anyio

NANO = "asr-nano-en"
SENTENCES = ("What time is it in Berlin?", "She found an old book under the table and gave it to her brother.",
             "Please open the window, it is very warm in here.")
MOST_WRONG = 0.4  # of the words: room for another run of its recipe


def trained() -> bool:
    try:
        return (installed().get(NANO).folder / "model.bin").is_file()
    except NotFound:
        return False


def spoken(text: str) -> Waveform:
    said = soxr.resample(speak(text)[:, 0].astype(np.float32) / 32768, 48_000, HEARING_RATE)
    silence = np.zeros(HEARING_RATE // 4, np.float32)
    return np.concatenate([silence, np.asarray(said, np.float32), silence])


@pytest.mark.skipif(not trained(), reason=f"models/{NANO} is not trained yet: see its recipe.py")
@pytest.mark.parametrize("policy", ["alignment", "local_agreement"])
async def test_words_come_while_they_are_spoken(policy: str) -> None:
    engine = Engine(installed())
    sounds = await asyncio.to_thread(lambda: [spoken(text) for text in SENTENCES])
    hearing = await open_recognizer(engine, settings(), session="s", want="whisper", model=NANO, policy=policy)
    heard: list[str] = []
    lags: list[float] = []
    for sound in sounds:
        committed: list[Word] = []
        await hearing.begin(0.0)
        for at in range(0, len(sound), 1600):
            news = await hearing.accept(sound[at : at + 1600])
            committed += news.committed if news else ()
            lags += [(at + 1600) / HEARING_RATE - word.end for word in news.committed] if news else []
        committed += (await hearing.finish()).committed
        assert [word.start for word in committed] == sorted(word.start for word in committed)
        assert all(0 <= word.start <= word.end <= len(sound) / HEARING_RATE + 0.05 for word in committed)
        heard.append(" ".join(word.text for word in committed))
    wrong = jiwer.wer([normalise(text) for text in SENTENCES], [normalise(text) or "-" for text in heard])
    assert wrong <= MOST_WRONG, heard
    assert sorted(lags)[len(lags) // 2] < 1.2
    await hearing.close()
    await engine.close()
