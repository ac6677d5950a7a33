"""Words of an Emformer: committed once, whatever the pieces that the sound comes in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchaudio")

from aimass_stream.engines.emformer import Emformer
from aimass_stream.errors import InvalidInput, ModelFailed, NotFound
from aimass_stream.hearing.emformer import CLOSED, EmformerRecognizer, TokenWords
from aimass_stream.inference import CpuDevice, Engine, FolderStore
from aimass_stream.inference.device import Device
from aimass_stream.inference.engine import FAILURES
from aimass_stream.settings import Settings
from aimass_stream.speech.words import Word
from tests.engines.test_emformer import SMALL, VOCABULARY, sound

NAME = "emformer-small"


def feed(words: TokenWords, *frames: list[int]) -> bool:
    return words.feed([frame + [-1] * (2 - len(frame)) for frame in frames], [[0.9, 0.5]] * len(frames))


def test_tokens_become_words_with_times() -> None:
    words = TokenWords(["▁GOOD", "▁MOR", "NING", "<unk>"], 0.04)
    assert feed(words, [], [0], [], [1, 2])
    assert words.take() == ([Word("good", 0.04, 0.08, 0.9)], [Word("morning", 0.12, 0.16, 0.5)])
    assert not feed(words, [], []), "nothing new"
    assert feed(words, *[[]] * CLOSED)
    assert words.take() == ([Word("morning", 0.12, 0.16, 0.5)], [])
    assert feed(words, [0])
    assert [word.text for word in words.end()] == ["good"]


@pytest.fixture
async def engine() -> Any:
    engine = Engine(FolderStore([]), CpuDevice(threads=1))
    await engine.add(Emformer.generated(NAME, engine.device, vocabulary=VOCABULARY, seed=3, bias=1.0, slots=2, **SMALL))
    yield engine
    await engine.close()


@pytest.mark.anyio
async def test_the_pieces_that_sound_comes_in_make_no_difference(engine: Engine) -> None:
    whole = sound(11, 50_000)
    results = []
    for piece in (320, 4_000, 50_000):
        ears = await EmformerRecognizer.open(engine, Settings(), session="s", model=NAME)
        await ears.begin(5.0)
        committed: list[Word] = []
        for at in range(0, len(whole), piece):
            heard = await ears.accept(whole[at : at + piece])
            committed += heard.committed if heard is not None else ()
        last = await ears.finish()
        assert not last.partial
        results.append([*committed, *last.committed])
        await ears.close()
    texts = [[(word.text, word.start, word.end) for word in words] for words in results]
    assert texts[0]
    assert texts[0] == texts[1] == texts[2]
    assert all(5.0 <= word.start < word.end for word in results[0])
    assert not np.any(np.diff([word.start for word in results[0]]) < 0)


@pytest.mark.anyio
async def test_a_directory_is_loaded_once_and_anew_when_its_model_was_taken_out(
        engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Emformer] = []

    def from_folder(name: str, folder: Path, device: Device) -> Emformer:
        assert folder == tmp_path
        made.append(Emformer.generated(name, device, vocabulary=VOCABULARY, seed=3, bias=1.0, slots=2, **SMALL))
        return made[-1]

    monkeypatch.setattr(Emformer, "from_folder", from_folder)
    first, second = await asyncio.gather(*(
        EmformerRecognizer.open(engine, Settings(), session=each, model=str(tmp_path)) for each in "ab"))
    assert len(made) == 1
    monkeypatch.setattr(made[0], "run", lambda batch: 1 / 0)
    for _ in range(FAILURES):
        await first.begin(0.0)
        with pytest.raises(ModelFailed):
            await first.accept(sound(1, 20_000))
    third = await EmformerRecognizer.open(engine, Settings(), session="c", model=str(tmp_path))
    assert len(made) == 2
    await third.begin(0.0)
    await third.accept(sound(1, 20_000))
    for ears in (first, second, third):
        await ears.close()


@pytest.mark.anyio
async def test_what_it_can_not_do_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="English"):
        await EmformerRecognizer.open(engine, Settings(), session="s", model=NAME, language="de")
    with pytest.raises(InvalidInput, match="translate"):
        await EmformerRecognizer.open(engine, Settings(), session="s", model=NAME, task="translate")
    with pytest.raises(NotFound, match="neither a model nor a directory"):
        await EmformerRecognizer.open(engine, Settings(), session="s", model="/nowhere/at/all")
