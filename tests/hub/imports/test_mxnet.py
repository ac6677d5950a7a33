"""MXNet's files, made here byte by byte, become ONNX that answers as the operators are documented."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from aimass_stream.errors import InvalidInput
from aimass_stream.hub.examine import examine
from aimass_stream.hub.imports import foreign, kinds, translated
from aimass_stream.hub.imports.params import TYPES, V2, read

NOWHERE = Path("/nowhere")
RNG = np.random.default_rng(3)
KERNEL, GAMMA = RNG.normal(size=(2, 3, 3, 3)).astype(np.float32), RNG.random(2).astype(np.float32)
BETA, MEAN, SPREAD = (RNG.random(2).astype(np.float32) for _ in range(3))
HIDDEN, BIAS = RNG.normal(size=(4, 8)).astype(np.float32), RNG.normal(size=4).astype(np.float32)
PARAMS = {"arg:kernel": KERNEL, "arg:gamma": GAMMA, "arg:beta": BETA, "aux:mean": MEAN, "aux:spread": SPREAD,
          "arg:hidden": HIDDEN, "arg:bias": BIAS}
INPUTS = {"inputs": [{"name": "data", "shape": ["n", 3, 4, 4]}]}


def parameters(arrays: dict[str, NDArray[Any]], *, old: bool = False) -> bytes:
    """As `mx.nd.save` writes them; `old`: as it did before it had magic numbers for arrays."""
    made = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for values in arrays.values():
        kind = next(number for number, name in TYPES.items() if np.dtype(name) == values.dtype)
        axes = f"<{values.ndim}{'I' if old else 'q'}"
        made += struct.pack("<I", values.ndim) if old else struct.pack("<IiI", V2, 0, values.ndim)
        made += struct.pack(axes, *values.shape) + struct.pack("<iii", 1, 0, kind) + values.tobytes()
    made += struct.pack("<Q", len(arrays))
    return made + b"".join(struct.pack("<Q", len(name)) + name.encode() for name in arrays)


def symbol(*nodes: tuple[str, str, list[int], dict[str, str]]) -> bytes:
    told = [{"op": op, "name": name, "inputs": [[place, 0, 0] for place in inputs], "attrs": attrs}
            for op, name, inputs, attrs in nodes]
    return json.dumps({"nodes": told, "heads": [[len(told) - 1, 0, 0]]}).encode()


NET = symbol(
    ("null", "data", [], {}), ("null", "kernel", [], {}), ("null", "gamma", [], {}), ("null", "beta", [], {}),
    ("null", "mean", [], {}), ("null", "spread", [], {}), ("null", "hidden", [], {}), ("null", "bias", [], {}),
    ("Convolution", "conv", [0, 1], {"kernel": "(3, 3)", "num_filter": "2", "pad": "(1, 1)", "no_bias": "True"}),
    ("BatchNorm", "norm", [8, 2, 3, 4, 5], {"fix_gamma": "False", "eps": "0.001"}),
    ("Activation", "relu", [9], {"act_type": "relu"}),
    ("Pooling", "pool", [10], {"kernel": "(2, 2)", "stride": "(2, 2)", "pool_type": "max"}),
    ("_mul_scalar", "half", [11], {"scalar": "0.5"}), ("elemwise_add", "sum", [11, 12], {}),
    ("FullyConnected", "dense", [13, 6, 7], {"num_hidden": "4"}), ("null", "softmax_label", [], {}),
    ("SoftmaxOutput", "softmax", [14, 15], {}))


def reference(pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    padded = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    made = np.einsum("nchwij,fcij->nfhw", windows, KERNEL)
    gamma, beta, mean, spread = (each.reshape(1, -1, 1, 1) for each in (GAMMA, BETA, MEAN, SPREAD))
    made = np.maximum((made - mean) / np.sqrt(spread + 1e-3) * gamma + beta, 0)
    pooled = 1.5 * made.reshape(len(made), 2, 2, 2, 2, 2).max(axis=(3, 5))
    logits = pooled.reshape(len(made), -1) @ HIDDEN.T + BIAS
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def laid(folder: Path, net: bytes, arrays: bytes) -> Path:
    place = folder / "fish@1"
    place.mkdir()
    (place / "fish-symbol.json").write_bytes(net)
    (place / "fish-0000.params").write_bytes(arrays)
    return place


def test_a_network_answers_as_its_operators_are_documented(tmp_path: Path) -> None:
    place = laid(tmp_path, NET, parameters(PARAMS))
    assert foreign(place) == "mxnet"
    *_, last = examine(str(place), "", INPUTS, 1 << 30)
    result = json.loads(last)["result"]
    assert (result["state"], result["format"]) == ("ready", "onnx")
    assert result["facts"]["imported"]["format"] == "mxnet"
    assert result["manifest"]["inputs"][0]["shape"] == ["n", 3, 4, 4]
    assert sorted(path.name for path in place.iterdir()) == ["model.onnx", "model.toml"]
    pictures = RNG.random((2, 3, 4, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(place / "model.onnx"), providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(None, {"data": pictures})[0], reference(pictures), atol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_parameters_are_read(tmp_path: Path, old: bool) -> None:
    given: dict[str, NDArray[Any]] = {"arg:a": KERNEL, "aux:b": np.arange(3, dtype=np.int64),
                                     "c": np.array([1.5], np.float16)}
    (tmp_path / "p.params").write_bytes(parameters(given, old=old))
    found = read(tmp_path / "p.params")
    assert list(found) == ["a", "b", "c"]
    assert all(np.array_equal(one, other) for one, other in zip(found.values(), given.values(), strict=True))


@pytest.mark.parametrize("cut", [9, 30, 60, 200, -3])
def test_parameters_that_are_cut_off(tmp_path: Path, cut: int) -> None:
    (tmp_path / "p.params").write_bytes(parameters(PARAMS)[:cut])
    with pytest.raises(InvalidInput, match="cut off"):
        read(tmp_path / "p.params")


@pytest.mark.parametrize(("net", "arrays", "told", "reason"), [
    (NET, PARAMS, {}, "say its inputs"),
    (NET, PARAMS, {"inputs": [{"name": "picture", "shape": [1]}]}, "no input 'picture'|have no data"),
    (NET, {name: each for name, each in PARAMS.items() if name != "arg:bias"}, INPUTS, "the parameters have no bias"),
    (symbol(("null", "data", [], {}), ("Custom", "x", [0], {"op_type": "mine"})), PARAMS, INPUTS,
     "the operator 'Custom' of MXNet"),
    (b"[1]", PARAMS, INPUTS, "is no symbol of MXNet"), (b"{", PARAMS, INPUTS, "is no symbol of MXNet"),
    (symbol(("null", "data", [], {}), ("Pooling", "x", [9], {})), PARAMS, INPUTS, "is no symbol of MXNet"),
    (NET, PARAMS | {"arg:bias": np.full(4, np.nan, np.float32)}, INPUTS, "no finite numbers"),
])
def test_what_can_not_be_translated_says_why(tmp_path: Path, net: bytes, arrays: dict[str, NDArray[Any]],
                                            told: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        translated(laid(tmp_path, net, parameters(arrays)), told, NOWHERE)


def test_what_there_is_says_what_is_missing() -> None:
    told = {each["format"]: each["install"] for each in kinds(NOWHERE)}
    assert told["mxnet"] == ""
    assert told["keras"] == "" or "bin/pip install tensorflow tf2onnx" in told["keras"]
