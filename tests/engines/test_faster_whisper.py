"""Whisper's engine on random weights: shapes, batches, languages, and directories that are none. Words come later."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.engines.faster_whisper import FasterWhisper, compression, entry, languages
from aimass_stream.errors import InvalidInput
from aimass_stream.inference import CpuDevice, Engine
from aimass_stream.speech.words import HEARING_RATE, HearRequest, Hypothesis

from ..support.models import Shelf
from ..support.whisper import LANGUAGES, make


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "english")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "several", multilingual=True)


def opened(folder: Path) -> FasterWhisper:
    return FasterWhisper(entry("random", folder), CpuDevice())


def noise(seconds: float, **given: Any) -> HearRequest:
    audio = np.random.default_rng(round(seconds * 100)).normal(0, 0.1, round(seconds * HEARING_RATE))
    return HearRequest(audio.astype(np.float32), **given)


def hear(model: FasterWhisper, *requests: object) -> list[Hypothesis]:
    rows = np.empty(len(requests), object)
    rows[:] = requests
    return list(model.run({"request": rows})["hypothesis"])


def test_rows_of_all_kinds_go_in_together_and_come_out_in_order(several: Path) -> None:
    model = opened(several)
    requests = [noise(1.5, language="en"), noise(7.3, language="de"), noise(0.02, language="en"),
                noise(3, language="en", prefix="ab cd"), noise(3, language="en", prefix="ab ce"),
                noise(2, language="zh"), noise(2, language="en", word_times=False),
                noise(2, language="en", prompt="before", hotwords="rare"), noise(2, language="en", beam=3)]
    together = hear(model, *requests)
    for request, heard in zip(requests, together, strict=True):
        assert heard.language == request.language
        assert heard.mean_log_probability < 0
        assert 0 <= heard.no_speech <= 1
        length = len(request.audio) / HEARING_RATE
        assert all(0 <= word.start <= word.end <= max(length, 0.1) + 0.03 for word in heard.words)
        assert all(0 <= (word.confidence or 0) <= 1 for word in heard.words)
        assert [word.start for word in heard.words] == sorted(word.start for word in heard.words)
        assert bool(heard.segments) <= (not request.word_times)
        assert not heard.text.startswith("ab c")  # a prefix is not given back
    alone = [hear(model, request)[0] for request in requests]
    for number in (1, 5, 6, 7, 8):  # those that share a run with none
        assert alone[number].text == together[number].text
    model.close()


def test_a_batch_of_alike_rows_hears_what_single_runs_hear(english: Path) -> None:
    model = opened(english)
    requests = [noise(4.01 + 0.01 * number, prefix="ab") for number in range(4)]  # all padded to 6 s
    for one, many in zip([hear(model, each)[0] for each in requests], hear(model, *requests), strict=True):
        assert (one.text, one.words) == (many.text, many.words)
        assert one.mean_log_probability == pytest.approx(many.mean_log_probability, abs=0.05)
    model.close()


def test_the_language_is_detected_where_none_is_given(several: Path) -> None:
    model = opened(several)
    first, second = hear(model, noise(2), noise(3))
    assert first.language in model.languages
    assert 0 < second.language_probability < 1
    model.close()


def test_hotwords_context_and_task_reach_the_model_as_its_tokens(several: Path) -> None:
    model = opened(several)
    row = model._row(noise(1, language="de", task="translate", prompt="before", hotwords="rare words"))
    tokenizer = model._tokenizer("de", "translate")
    assert row.before[0] == tokenizer.sot_prev
    assert tokenizer.decode(row.before[1:]) == " rare words before"
    assert row.start[:3] == [tokenizer.sot, tokenizer.language, tokenizer.translate]
    assert row.prompt[: len(row.before)] == row.before
    (plain,), (other,) = hear(model, noise(1, language="de")), hear(model, noise(1, language="de", hotwords="rare"))
    assert plain.mean_log_probability != other.mean_log_probability
    model.close()


def test_warmer_attempts_keep_the_best_answer(english: Path) -> None:
    model = opened(english)
    (once,), (again,) = hear(model, noise(3)), hear(model, noise(3, retries=2))
    assert again.mean_log_probability >= once.mean_log_probability - 1e-6
    model.close()


@pytest.mark.parametrize("prefix", ["", "ab cd ef " * 40])
def test_much_that_was_said_before_leaves_room_for_an_answer(english: Path, prefix: str) -> None:
    model = opened(english)
    (heard,) = hear(model, noise(0.5, prompt="a long story of rare words " * 20, prefix=prefix))
    assert np.isfinite(heard.mean_log_probability)
    model.close()


@pytest.mark.parametrize(("request_", "told"), [
    (noise(30.1), "30.1 s"), (noise(1, language="xx"), "'xx'"), (noise(1, task="translate"), "English only"),
    ("words", "not str")])
def test_what_it_can_not_do_is_refused(english: Path, request_: object, told: str) -> None:
    model = opened(english)
    with pytest.raises(InvalidInput, match=told):
        hear(model, request_)
    model.close()


def test_numbers_that_are_none_are_heard_as_silence(english: Path) -> None:
    model = opened(english)
    sound = np.full(HEARING_RATE, np.nan, np.float32)
    sound[:100] = np.inf
    assert np.isfinite(hear(model, HearRequest(sound))[0].mean_log_probability)
    model.close()


@pytest.mark.anyio
async def test_the_inference_engine_measures_it_and_one_bad_row_costs_no_other(english: Path) -> None:
    engine = Engine(Shelf())
    await engine.add(FasterWhisper(entry("random", english), engine.device))
    assert 1 in engine.statistics()["random"].measured
    rows = np.empty(1, object)
    rows[0] = noise(31)
    with pytest.raises(InvalidInput):
        await engine.submit("random", {"request": rows}, session="bad")
    rows = np.empty(1, object)
    rows[0] = noise(1)
    assert (await engine.submit("random", {"request": rows}, session="good"))["hypothesis"][0].language == "en"
    await engine.close()


def test_languages_by_the_directory(english: Path, several: Path) -> None:
    assert languages(english) == ("en",)
    assert set(languages(several)) == set(LANGUAGES) == set(opened(several).languages)


@pytest.mark.parametrize(("harm", "told"), [
    (lambda folder: (folder / "model.bin").unlink(), "lacks model.bin"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "lacks tokenizer.json"),
    (lambda folder: (folder / "vocabulary.json").unlink(), "lacks vocabulary.json"),
    (lambda folder: (folder / "model.bin").write_bytes(b"PK\3\4" * 99), "can't load"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), "can't be read"),
    (lambda folder: shutil.rmtree(folder), "no directory"),
])
def test_a_directory_that_is_no_model_says_what_is_wrong(english: Path, tmp_path: Path, harm: Any, told: str) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(english, folder)
    harm(folder)
    with pytest.raises(InvalidInput, match=told):
        opened(folder)


def test_how_repetitive_text_is() -> None:
    assert compression("thank you " * 50) > 5
    assert compression("Nine boats left the harbour at dawn, and the bell rang twice.") < 1.5
    assert compression("") == 1
