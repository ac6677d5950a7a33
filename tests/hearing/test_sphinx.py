"""What PocketSphinx commits inside an utterance, and when."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import InvalidInput
from aimass_stream.hearing.sphinx import CLEAR, FRAME, STEADY, Commits, Guess, SphinxRecognizer, guesses
from aimass_stream.inference import Engine, FolderStore
from aimass_stream.settings import Settings
from aimass_stream.speech.words import HEARING_RATE, Word
from tests.support.speech import speak

WAIT = round(max(STEADY, CLEAR) / FRAME) + 1  # frames


def path(*words: tuple[str, int, int]) -> list[Guess]:
    return [Guess(*word, -40.0) for word in words]


def test_a_word_is_committed_when_it_is_steady_and_clear() -> None:
    commits = Commits()
    assert commits.feed(path(("so", 0, 20)), 25) == ([], path(("so", 0, 20)))
    committed, partial = commits.feed(path(("so", 0, 21), ("it", 22, 30)), 25 + WAIT)
    assert (committed, partial) == (path(("so", 0, 21)), path(("it", 22, 30)))
    assert commits.feed(path(("so", 0, 21), ("it", 22, 30)), 30 + WAIT) == ([], path(("it", 22, 30))), "not yet steady"
    assert commits.feed(path(("so", 0, 21), ("it", 22, 30)), 40 + 2 * WAIT) == (path(("it", 22, 30)), [])


def test_a_changed_word_begins_to_wait_anew() -> None:
    commits = Commits()
    commits.feed(path(("so", 0, 20), ("far", 21, 40)), 45)
    committed, _ = commits.feed(path(("sew", 0, 20), ("far", 21, 40)), 45 + WAIT)
    assert not committed, "the first one is new, and no later one goes before it"


def test_nothing_is_retracted() -> None:
    commits = Commits()
    commits.feed(path(("so", 0, 20)), 30)
    assert commits.feed(path(("so", 0, 20)), 30 + WAIT)[0] == path(("so", 0, 20))
    committed, partial = commits.feed(path(("soda", 0, 34), ("is", 35, 50)), 100)
    assert not committed
    assert [word.text for word in partial] == ["is"], "what lies mostly before the committed end is old"
    assert [word.text for word in commits.end(path(("soda", 0, 34), ("was", 35, 50)))] == ["was"]


def test_noises_are_no_words() -> None:
    rows = [["<sil>", 0, 3, -1.0], ["the(2)", 4, 9, -30.0], ["[NOISE]", 10, 20, -9.0], ["++SMACK++", 21, 30, -9.0]]
    assert guesses(rows) == [Guess("the", 4, 9, -30.0)]


@pytest.mark.anyio
async def test_a_sentence_is_committed_while_it_is_spoken() -> None:
    sound = await asyncio.to_thread(speak, "The weather was good yesterday and she went to school in the city.")
    hearing = np.pad((sound[::3, 0] / 32768).astype(np.float32), (HEARING_RATE // 4, HEARING_RATE // 2))
    engine = Engine(FolderStore([]))
    try:
        ears = await SphinxRecognizer.open(engine, Settings(), session="s")
        await ears.begin(100.0)
        words: list[tuple[Word, float]] = []  # with the stream's time at their arrival
        for at in range(0, len(hearing), 512):
            heard = await ears.accept(hearing[at : at + 512])
            for word in heard.committed if heard is not None else ():
                words.append((word, 100 + (at + 512) / HEARING_RATE))
        early = len(words)
        last = await ears.finish()
        assert not last.partial
        words += [(word, 100 + len(hearing) / HEARING_RATE) for word in last.committed]
        await ears.close()
    finally:
        await engine.close()
    assert early >= len(words) / 2
    said = ["the", "weather", "was", "good", "yesterday", "and", "she", "went", "to", "school", "in", "the", "city"]
    texts = [word.text for word, _ in words]
    assert len(set(texts) & set(said)) >= len(said) / 3, texts
    assert statistics.median(arrived - word.end for word, arrived in words) <= 0.5
    starts = [word.start for word, _ in words]
    assert starts == sorted(starts)
    assert all(word.confidence is not None and 0 <= word.confidence <= 1 for word, _ in words)


@pytest.mark.anyio
@pytest.mark.parametrize("wish", [{"language": "de"}, {"task": "translate"}, {"model": "large"}])
async def test_what_it_can_not_do_is_refused(wish: dict[str, Any]) -> None:
    engine = Engine(FolderStore([]))
    with pytest.raises(InvalidInput):
        await SphinxRecognizer.open(engine, Settings(), session="s", **wish)
    await engine.close()
