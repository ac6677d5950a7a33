"""An Emformer's streaming pass is its offline pass, cut into steps. On generated weights: no trained ones are here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchaudio")
from safetensors.torch import save_file  # noqa: E402

from aimass_stream.engines.emformer import Emformer, read_vocabulary  # noqa: E402
from aimass_stream.errors import Busy, InvalidInput  # noqa: E402
from aimass_stream.inference import CpuDevice, Engine, FolderStore  # noqa: E402
from aimass_stream.inference.contract import SLOT  # noqa: E402

SMALL: dict[str, Any] = {
    "time_reduction_input_dim": 16, "transformer_num_heads": 4, "transformer_ffn_dim": 96, "transformer_num_layers": 3,
    "encoding_dim": 48, "symbol_embedding_dim": 32, "num_lstm_layers": 2, "transformer_left_context_length": 10}
VOCABULARY = [f"▁w{number}" if number % 3 == 0 else f"s{number}" for number in range(32)]
STEPS = 9


def model(device: CpuDevice, slots: int = 4) -> Emformer:
    return Emformer.generated("emformer-small", device, vocabulary=VOCABULARY, seed=3, bias=1.0, slots=slots, **SMALL)


@pytest.fixture
def device() -> Any:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def sound(seed: int, samples: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    loudness = np.interp(np.arange(samples), np.arange(0, samples, 2000), rng.uniform(0, 0.3, -(-samples // 2000)))
    return (rng.standard_normal(samples) * loudness).astype(np.float32)


def segments(emformer: Emformer, whole: np.ndarray[Any, np.dtype[np.float32]]) -> list[Any]:
    return [whole[None, at : at + emformer.samples]
            for at in range(0, len(whole) - emformer.samples + 1, emformer.advance)]


def offline(emformer: Emformer, whole: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[Any, list[int]]:
    """By torchaudio's own pass over the whole, and a greedy search with its own predictor and joiner."""
    network = emformer.stepper.network
    with torch.inference_mode():
        frames = emformer.features(torch.from_numpy(whole[None]))
        encoded, _ = network.transcribe(frames, torch.tensor([frames.shape[1]]))
        one = torch.tensor([1])
        predicted, _, state = network.predict(torch.tensor([[emformer.stepper.blank]]), one, None)
        tokens: list[int] = []
        for frame in encoded[0]:
            for _ in range(emformer.stepper.most_symbols):
                logits, _, _ = network.join(frame[None, None], one, predicted, one)
                token = int(logits.argmax())
                if token == emformer.stepper.blank:
                    break
                tokens.append(token)
                predicted, _, state = network.predict(torch.tensor([[token]]), one, state)
    return encoded[0], tokens


def said(answer: Any) -> list[int]:
    return [token for token in answer["tokens"].reshape(-1).tolist() if token >= 0]


def test_streams_at_different_places_get_what_the_offline_pass_gives(device: CpuDevice) -> None:
    emformer = model(device)
    length = emformer.samples + (STEPS - 1) * emformer.advance
    wholes = [sound(seed, length) for seed in range(3)]
    slots, begins = [2, 0, 3], [0, 2, 3]
    encoded: list[list[Any]] = [[], [], []]
    tokens: list[list[int]] = [[], [], []]
    with torch.inference_mode():
        for step in range(STEPS + max(begins)):
            rows = [row for row in range(3) if 0 <= step - begins[row] < STEPS]
            batch = torch.from_numpy(np.concatenate([segments(emformer, wholes[r])[step - begins[r]] for r in rows]))
            places = torch.tensor([slots[row] for row in rows])
            outputs = emformer.stepper.encode(emformer.features(batch), places)
            found, _ = emformer.stepper.tokens(outputs, places)
            for place, row in enumerate(rows):
                encoded[row].append(outputs[place])
                tokens[row] += said({"tokens": found[place].numpy()})
    for row, whole in enumerate(wholes):
        expected, expected_tokens = offline(emformer, whole)
        assert torch.allclose(torch.cat(encoded[row]), expected, atol=1e-5)
        assert tokens[row] == expected_tokens
    assert all(tokens)


@pytest.mark.anyio
async def test_sessions_share_runs_and_no_state(device: CpuDevice) -> None:
    emformer = model(device)
    engine = Engine(FolderStore([]), device)
    await engine.add(emformer)
    length = emformer.samples + (STEPS - 1) * emformer.advance
    wholes = [sound(seed, length) for seed in range(4)]
    expected = await asyncio.to_thread(lambda: [offline(emformer, whole)[1] for whole in wholes])

    async def stream(number: int) -> list[int]:
        tokens: list[int] = []
        for piece in segments(emformer, wholes[number]):
            tokens += said(await engine.submit(emformer.name, {"sound": piece}, session=f"s{number}"))
        return tokens

    try:
        assert await asyncio.gather(*map(stream, range(4))) == expected
        with pytest.raises(Busy):
            await engine.submit(emformer.name, {"sound": segments(emformer, wholes[0])[0]}, session="one too many")
        engine.forget(emformer.name, "s3")
        assert await stream(1) != expected[1], "a stream that goes on has a past"
        assert await stream(3) == expected[3], "a slot that was given back has none"
    finally:
        await engine.close()


def test_a_directory_holds_weights_vocabulary_and_statistics(tmp_path: Path, device: CpuDevice) -> None:
    first = model(device)
    save_file(first.stepper.network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    (tmp_path / "vocabulary.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    with pytest.raises(InvalidInput, match="statistics"):
        Emformer.from_folder("x", tmp_path, device)
    (tmp_path / "statistics.json").write_text(json.dumps({"mean": [0.0] * 80, "invstddev": [0.2] * 80}))
    second = Emformer.from_folder("x", tmp_path, device)
    piece = {"sound": segments(first, sound(5, 60_000))[3], SLOT: np.array([1])}
    assert np.array_equal(first.run(piece)["tokens"], second.run(piece)["tokens"])
    (tmp_path / "vocabulary.txt").write_text("one\ntwo", encoding="utf-8")
    with pytest.raises(InvalidInput, match="no Emformer that fits"):
        Emformer.from_folder("x", tmp_path, device)


def test_the_pieces_of_a_sentencepiece_model(tmp_path: Path) -> None:
    pieces = ["<unk>", "▁the", "s"]
    entries = [b"\x0a" + bytes([len(piece.encode())]) + piece.encode() + b"\x15\x00\x00\x80\xbf\x18\x01"
               for piece in pieces]
    path = tmp_path / "tokens.model"
    path.write_bytes(b"".join(b"\x0a" + bytes([len(entry)]) + entry for entry in entries) + b"\x12\x02\x08\x01")
    assert read_vocabulary(path) == pieces
    path.write_bytes(path.read_bytes()[:-5] + b"\xff")
    with pytest.raises(ValueError, match="SentencePiece"):
        read_vocabulary(path)
