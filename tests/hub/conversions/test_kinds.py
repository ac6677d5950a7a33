"""What each kind of conversion makes of small models, and how far that is from the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from aimass_stream.errors import InvalidInput
from aimass_stream.hub.conversions.kinds import KINDS
from aimass_stream.hub.formats import recognise
from aimass_stream.hub.formats.shards import INDEX
from aimass_stream.inference import safetensors
from tests.support.conversions import converted, laid_out, layers
from tests.support.model_files import linear


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path / "scratch")


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(str(path)).graph.node}


def told_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: manifest[key] for key in ("engine", "inputs", "outputs") if key in manifest}


def test_int8_is_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": layers()})
    report, made = converted(tmp_path, place, "int8", told_of(manifest))
    assert report["size"]["after"] < 0.5 * report["size"]["before"]
    assert report["difference"]["cosine"] > 0.99
    assert 0 < report["difference"]["mean"] < report["difference"]["max"]
    assert set(report["latency_ms"]) == {"before", "after"}
    assert min(report["latency_ms"].values()) > 0
    assert report["operators"] == 2
    assert {"MatMulInteger", "Conv"} <= operators(made / "model.onnx")


def test_int8_writes_nothing_beside_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed half-way, it would stay there, and the next one would find two graphs."""
    place, manifest = laid_out(tmp_path, {"model.onnx": layers()})
    seen: list[set[Path]] = []
    infer = onnx.shape_inference.infer_shapes_path

    def noting(*arguments: Any) -> None:
        infer(*arguments)
        seen.append(set(place.rglob("*")))

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes_path", noting)
    before = set(place.rglob("*"))
    converted(tmp_path, place, "int8", told_of(manifest))
    assert seen
    assert all(files == before for files in seen)


def test_int8_of_convolutions_as_well(tmp_path: Path) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": layers()})
    report, made = converted(tmp_path, place, "int8", told_of(manifest), convolutions=True, per_channel=True)
    assert report["operators"] == 3
    assert "ConvInteger" in operators(made / "model.onnx")


def test_half_keeps_inputs_outputs_and_arithmetic(tmp_path: Path) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": layers()})
    report, made = converted(tmp_path, place, "half", told_of(manifest))
    assert (report["tensors"], report["kept"]) == (3, 0)  # the bias is too short to matter
    assert report["size"]["after"] < 0.6 * report["size"]["before"]
    assert report["difference"]["cosine"] > 0.99999
    model = onnx.load(str(made / "model.onnx"))
    kinds = {each.type.tensor_type.elem_type for each in (*model.graph.input, *model.graph.output)}
    assert kinds == {TensorProto.FLOAT}
    assert {each.data_type for each in model.graph.initializer} == {TensorProto.FLOAT16, TensorProto.FLOAT}


def test_half_leaves_what_does_not_fit(tmp_path: Path) -> None:
    large = np.full((3, 64), 1e5, np.float32)
    place, manifest = laid_out(tmp_path, {"model.onnx": linear(large)})
    with pytest.raises(InvalidInput, match="fit into 16 bits"):
        converted(tmp_path, place, "half", told_of(manifest))


@pytest.mark.parametrize("across", ["tensor", "model"])
def test_prune_says_what_became_zero_and_what_that_gains(tmp_path: Path, across: str) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": layers()})
    report, made = converted(tmp_path, place, "prune", told_of(manifest), share=0.75, across=across)
    told = report["sparsity"]
    assert (told["asked"], told["before"], told["weights"]) == (0.75, 0, 4 * 27 + 256 * 64 + 64 * 8)
    assert told["after"] == pytest.approx(0.75, abs=0.001)
    assert report["size"]["after"] == pytest.approx(report["size"]["before"], abs=64)  # dense numbers all the same
    assert told["packed"]["after"] < 0.5 * told["packed"]["before"]
    weights = {each.name: numpy_helper.to_array(each) for each in onnx.load(str(made / "model.onnx")).graph.initializer}
    before = {each.name: numpy_helper.to_array(each)
              for each in onnx.load(str(place / "model.onnx")).graph.initializer}
    kept = weights["hidden"] != 0
    assert np.array_equal(weights["hidden"][kept], before["hidden"][kept])
    assert np.abs(before["hidden"][~kept]).max() <= np.abs(before["hidden"][kept]).min()
    assert np.array_equal(weights["bias"], before["bias"])


@pytest.mark.parametrize("kind", ["half", "prune", "onnx"])
def test_weights_of_an_architecture(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("torch", reason="torch, which runs these weights, is not installed")
    from tests.support import styles

    shape = ["n", 3, 32, 32]
    place, manifest = laid_out(
        tmp_path, {"w.safetensors": styles.safetensors(styles.weights())}, options={"architecture": "style"},
        inputs=[{"name": "image", "shape": shape}], outputs=[{"name": "styled", "shape": shape}])
    told = told_of(manifest) | ({"options": manifest["options"]} if kind != "onnx" else {"engine": "onnx"})
    report, made = converted(tmp_path, place, kind, told, "safetensors")
    if kind == "onnx":
        assert report["difference"]["max"] < 1e-4
        assert [path.name for path in made.iterdir()] == ["model.onnx"]
        return
    weights = safetensors.read(made / "w.safetensors")
    before = safetensors.read(place / "w.safetensors")
    assert {name: each.shape for name, each in weights.items()} == {name: each.shape for name, each in before.items()}
    if kind == "half":
        assert report["size"]["after"] < 0.55 * report["size"]["before"]
        assert all(np.allclose(weights[name], before[name], rtol=1e-3, atol=1e-4) for name in before)
    else:
        assert report["sparsity"]["after"] == pytest.approx(0.5, abs=0.01)


def test_shards_of_a_graph_answer_as_the_whole_does(tmp_path: Path) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": layers()})
    report, made = converted(tmp_path, place, "shards", told_of(manifest), megabytes=0.01)
    names = sorted(path.name for path in made.iterdir())
    assert names == ["model-00001-of-00002.onnx_data", "model-00002-of-00002.onnx_data", "model.onnx"]
    assert (report["shards"], report["difference"]) == (2, {"max": 0, "mean": 0, "cosine": 1})
    assert (made / names[0]).stat().st_size == 256 * 64 * 4  # one tensor is larger than a part, and is not cut
    with pytest.raises(InvalidInput, match="fit into one part"):
        again(tmp_path, place, told_of(manifest))


def again(folder: Path, place: Path, told: dict[str, Any]) -> None:
    (folder / "again").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder / "again")
        converted(folder, place, "shards", told)


def test_shards_of_weights_are_read_as_the_whole_is(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch, which runs these weights, is not installed")
    from tests.support import styles

    shape = ["n", 3, 32, 32]
    told: dict[str, Any] = {"options": {"architecture": "style"}, "inputs": [{"name": "image", "shape": shape}],
                            "outputs": [{"name": "styled", "shape": shape}]}
    place, _ = laid_out(tmp_path, {"w.safetensors": styles.safetensors(styles.weights())}, **told)
    report, made = converted(tmp_path, place, "shards", told, "safetensors", megabytes=0.3)
    index = json.loads((made / INDEX).read_text())
    parts = sorted(path.name for path in made.glob("*.safetensors"))
    assert report["shards"] == len(parts) > 1
    assert parts[0] == f"model-00001-of-{len(parts):05d}.safetensors"
    assert set(index["weight_map"].values()) == set(parts)
    assert report["difference"]["max"] == 0
    assert index["metadata"]["total_size"] == sum(each.nbytes for each in safetensors.read(
        place / "w.safetensors").values())
    assert all((made / part).stat().st_size < 320_000 for part in parts)
    (made / parts[1]).rename(made / "model-9.safetensors")
    with pytest.raises(InvalidInput, match="which was not sent"):
        recognise(made)
    (made / "model-9.safetensors").rename(made / parts[1])
    first = next(iter(index["weight_map"]))
    for places, reason in ((index["weight_map"] | {first: parts[-1]}, "does not have it"),
                           (index["weight_map"] | {"more": parts[0]}, "in none of the files")):
        (made / INDEX).write_text(json.dumps({"weight_map": places}))
        with pytest.raises(InvalidInput, match=reason):
            recognise(made)
    (made / INDEX).write_text("[]")
    with pytest.raises(InvalidInput, match="has no weight_map"):
        recognise(made)


@pytest.mark.parametrize(("kind", "content", "reason"), [
    ("int8", linear(operator="Add", matrix=np.ones((1, 3), np.float32)), "nothing in this graph"),
    ("prune", linear(operator="Add", matrix=np.ones((1, 3), np.float32)), "no matrices of weights"),
    ("half", linear(), "no 32-bit weights"),
])
def test_where_there_is_nothing_to_change(tmp_path: Path, kind: str, content: bytes, reason: str) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": content}, example={"x": [[1]]} if kind != "half" else {
        "x": [[1, 2, 3]]})
    with pytest.raises(InvalidInput, match=reason):
        converted(tmp_path, place, kind, told_of(manifest))


def test_an_answer_that_is_no_number_makes_no_version(tmp_path: Path) -> None:
    place, manifest = laid_out(tmp_path, {"model.onnx": linear(np.full((3, 64), 3e38, np.float32))},
                               example={"x": [[0, 0, 0]]})
    with pytest.raises(InvalidInput, match="no finite numbers"):
        converted(tmp_path, place, "prune", told_of(manifest) | {"example": {"x": [[0, 0, 0]]}})


@pytest.mark.parametrize(("kind", "options", "reason"), [
    ("prune", {"share": 2}, "share is 0.01 to 0.99"), ("prune", {"share": True}, "share is of the type number"),
    ("prune", {"across": "town"}, "across is one of tensor, model"), ("half", {"x": 1}, "has no option 'x'"),
    ("int8", {"per_channel": 1}, "per_channel is of the type boolean"),
])
def test_options_that_make_no_sense(kind: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        KINDS[kind].chosen(options)  # type: ignore[index]
