"""The nano Whisper: its network and export against CTranslate2, and what the shipped model hears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from aimass_stream.frames import AUDIO_RATE
from aimass_stream.inference.loader import check_file, installed
from tests.support.speech import SENTENCE, speak

NAME = "asr-nano-en"
RATE = 16_000
LIMIT = 0.5  # WER of one sentence; the card says what it is over many
BEFORE, AFTER = 1.2, 1.0  # s of silence around the sentence
OTHER = "The timer is set for five minutes. What is seven times eight?"


def heard(text: str) -> NDArray[np.float32]:
    """The bundled voice at 16 kHz with silence around."""
    whole = speak(text)[:, 0].astype(np.float32) / 32768
    third = whole[: len(whole) // 3 * 3].reshape(-1, AUDIO_RATE // RATE).mean(1)
    return np.concatenate([np.zeros(round(BEFORE * RATE)), third, np.zeros(round(AFTER * RATE))]).astype(np.float32)


def plain(text: str) -> str:
    return " ".join("".join(sign for sign in text.lower() if sign.isalpha() or sign in " '").split())


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return WhisperModel(str(installed().get(NAME).folder), device="cpu", cpu_threads=2)


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.float32]:
    return heard(SENTENCE)


# the network -----------------------------------------------------------------------------------------------


def tiny() -> Any:
    whisper = pytest.importorskip("aimass_stream.architectures.whisper", reason="torch is not installed")
    import torch

    torch.manual_seed(4)
    sizes = whisper.Dimensions(vocabulary=64, width=32, heads=2, encoder_layers=2, decoder_layers=2)
    return whisper.Whisper(sizes).eval()


def test_the_network_has_whispers_shapes() -> None:
    network = tiny()
    import torch

    heard = network.encoder(torch.zeros(3, 80, 200))
    assert heard.shape == (3, 100, 32)  # a stem of stride 2
    assert network.decoder(torch.zeros(3, 7, dtype=torch.long), heard).shape == (3, 7, 64)


def test_the_decoder_sees_no_token_that_comes_later() -> None:
    network = tiny()
    import torch

    mel = torch.randn(1, 80, 100)
    first, second = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[1, 2, 9, 9]])
    said, other = network(mel, first), network(mel, second)
    assert torch.allclose(said[:, :2], other[:, :2], atol=1e-5)
    assert not torch.allclose(said[:, 2:], other[:, 2:], atol=1e-5)


def test_features_are_those_of_faster_whisper() -> None:
    whisper = pytest.importorskip("aimass_stream.architectures.whisper", reason="torch is not installed")
    import torch

    sound = np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32)
    ours = whisper.LogMel()(torch.from_numpy(sound)[None])[0].numpy()
    assert ours.shape == (80, 300)
    assert np.abs(ours - FeatureExtractor()(sound, padding=0)).max() < 1e-4


def test_ctranslate2_computes_what_torch_does(tmp_path: Path) -> None:
    network = tiny()
    import ctranslate2
    import torch

    from aimass_stream.architectures.whisper import save

    special = ["<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>"]
    tokens = [*(f"t{index}" for index in range(50)), *special, *(f"<|{index / 50:.2f}|>" for index in range(10))]
    save(network, tmp_path, tokens, [(1, 0)], [], [], quantization=None)
    exported = ctranslate2.models.Whisper(str(tmp_path), device="cpu")
    mel = torch.randn(1, 80, 120, generator=torch.Generator().manual_seed(2))
    encoded = exported.encode(ctranslate2.StorageView.from_array(mel.numpy()))
    with torch.inference_mode():
        assert np.abs(np.asarray(encoded) - network.encoder(mel).numpy()).max() < 1e-4
    start, untimed, end = tokens.index(special[1]), tokens.index(special[3]), tokens.index(special[0])
    result = exported.generate(encoded, [[start, untimed]], beam_size=1, max_length=14, suppress_blank=False)[0]
    said = network.greedy(mel[0], [start, untimed], end, limit=14)
    assert len(said) > 2
    assert result.sequences_ids[0] == said[: len(result.sequences_ids[0])]


# the shipped model -----------------------------------------------------------------------------------------


def test_the_files_are_those_of_the_card() -> None:
    entry = installed().get(NAME)
    for item in entry.files:
        check_file(entry.folder, item)
    assert sum(item.size for item in entry.files) < 20_000_000
    assert entry.card["general"] is False  # it is for tests, and nothing may choose it over a real model unasked


@pytest.mark.parametrize("timed", [True, False], ids=["with time tokens", "without"])
def test_stock_faster_whisper_hears_the_bundled_voice(model: WhisperModel, sentence: NDArray[np.float32],
                                                      timed: bool) -> None:
    segments, info = model.transcribe(sentence, beam_size=1, temperature=0.0, without_timestamps=not timed)
    text = " ".join(segment.text for segment in segments)
    assert info.language == "en"
    assert jiwer.wer(plain(SENTENCE), plain(text)) <= LIMIT, text


def test_words_are_timed_by_the_alignment_heads(model: WhisperModel, sentence: NDArray[np.float32]) -> None:
    segments, _ = model.transcribe(sentence, beam_size=1, temperature=0.0, word_timestamps=True)
    words = [word for segment in segments for word in segment.words or ()]
    starts = [word.start for word in words]
    assert len(words) >= 9
    assert starts == sorted(starts)
    assert abs(starts[0] - BEFORE) < 0.4
    assert abs(words[-1].end - (len(sentence) / RATE - AFTER)) < 0.4


def test_two_sentences_and_a_question(model: WhisperModel) -> None:
    segments, _ = model.transcribe(heard(OTHER), beam_size=1, temperature=0.0)
    text = " ".join(segment.text for segment in segments)
    assert jiwer.wer(plain(OTHER), plain(text)) <= LIMIT, text
    assert "?" in text


def test_what_was_said_before_may_be_given(model: WhisperModel, sentence: NDArray[np.float32]) -> None:
    segments, _ = model.transcribe(sentence, beam_size=1, temperature=0.0, initial_prompt="We looked over the water.")
    text = " ".join(segment.text for segment in segments)
    assert jiwer.wer(plain(SENTENCE), plain(text)) <= LIMIT, text


def test_in_silence_nothing_is_said(model: WhisperModel) -> None:
    segments, _ = model.transcribe(np.zeros(6 * RATE, np.float32), beam_size=1, temperature=0.0)
    assert "".join(segment.text for segment in segments).strip() == ""
