"""What uploaded files are, and what is said of those that are broken, hostile or nobody's model."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.engines.onnx import graph
from aimass_stream.engines.onnx.graph import fields
from aimass_stream.engines.onnx.steady import steady
from aimass_stream.errors import InvalidInput
from aimass_stream.hub.formats import Found, recognise
from aimass_stream.hub.formats.pickles import calls, told
from aimass_stream.hub.manifests import merged
from aimass_stream.inference.safetensors import read
from tests.support import networks
from tests.support.model_files import MATRIX, ctranslate2, linear, safetensors, zipped

Files = dict[str, bytes]


def found(folder: Path, files: Files) -> Found:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return recognise(folder)


class Acting:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/never",)


def test_an_onnx_file_and_its_graph(tmp_path: Path) -> None:
    model = found(tmp_path, {"model.onnx": linear(), "README.md": b"# It multiplies"})
    assert (model.format, model.engine, model.code) == ("onnx", "onnx", "")
    assert model.facts["opset"] == 17
    assert model.facts["parameters"] == 7
    told = model.graph.json()
    assert [node["kind"] for node in told["nodes"]] == ["MatMul", "Add"]
    assert told["inputs"] == ({"name": "x", "dtype": "float32", "shape": ("n", 3)},)
    assert told["tensors"][0] == {"name": "matrix", "dtype": "float32", "shape": (3, 2), "bytes": 24}


def test_weights_beside_an_onnx_file(tmp_path: Path) -> None:
    model = found(tmp_path, {"model.onnx": linear(external="w.data", offset=8), "w.data": bytes(8) + MATRIX.tobytes()})
    assert model.graph.tensors[0].bytes == 24


def test_safetensors(tmp_path: Path) -> None:
    model = found(tmp_path, {"w.safetensors": safetensors({"a": MATRIX, "b": MATRIX.T.copy()})})
    assert (model.format, model.engine, model.facts["parameters"]) == ("safetensors", "torch", 12)


def test_a_folder_of_ctranslate2(tmp_path: Path) -> None:
    model = found(tmp_path, {"model.bin": ctranslate2(), "config.json": b"{}", "vocabulary.json": b"[]"})
    assert (model.format, model.task, model.facts["parameters"]) == ("ctranslate2", "speech-recognition", 6)


@pytest.mark.parametrize(("kind", "files"), [
    ("caffe", {"n.caffemodel": networks.caffemodel(), "n.prototxt": networks.PROTOTXT.encode()}),
    ("tensorflow", {"n.pb": networks.frozen_graph()}),
    ("darknet", {"n.weights": networks.darknet_weights(), "n.cfg": networks.DARKNET_CFG.encode()})])
def test_what_opencv_reads(tmp_path: Path, kind: str, files: Files) -> None:
    model = found(tmp_path, files)
    assert (model.format, model.engine) == (kind, "dnn")
    assert model.graph.nodes


NAN = MATRIX.copy()
NAN[1, 1] = np.nan
CALLS = pickle.dumps(Acting())
BROKEN: list[tuple[Files, str]] = [
    ({"m.onnx": b""}, "m.onnx is empty"),
    ({"m.onnx": b"not a model at all"}, "m.onnx"),
    ({"m.onnx": linear()[:-20]}, "cut off"),
    ({"m.onnx": linear(NAN)}, "no finite numbers: matrix"),
    ({"m.onnx": linear(domain="evil.ops", operator="Run")}, "operator 'Run' of 'evil.ops'"),
    ({"m.onnx": linear(external="w.data")}, "'w.data', which was not sent"),
    ({"m.onnx": linear(external="../../etc/passwd")}, "outside of its folder"),
    ({"m.onnx": linear(external="/etc/passwd")}, "outside of its folder"),
    ({"m.onnx": linear(external="w.data", offset=1), "w.data": MATRIX.tobytes()}, "beyond the end"),
    ({"w.safetensors": (10 << 30).to_bytes(8, "little") + b"{}"}, "claims a header of 10737418240 bytes"),
    ({"w.safetensors": (1 << 20).to_bytes(8, "little") + b"{}"}, "is cut off: its header"),
    ({"w.safetensors": safetensors({"a": MATRIX})[:-4]}, "is cut off: its tensors"),
    ({"w.safetensors": safetensors({"a": MATRIX}) + b"more"}, "belong to no tensor"),
    ({"w.safetensors": safetensors({"a": NAN})}, "a has values that are no finite numbers"),
    ({"w.safetensors": safetensors({"a": MATRIX, "b": MATRIX}, data_offsets=[0, 24])}, "shares bytes"),
    ({"w.safetensors": safetensors({"a": MATRIX}, shape=[-3, -2])}, "not told as safetensors has it"),
    ({"w.safetensors": safetensors({"a": MATRIX}, dtype="F33")}, "not told as safetensors has it"),
    ({"model.bin": ctranslate2()}, "config.json"),
    ({"model.bin": ctranslate2("TransformerSpec"), "config.json": b"{}"}, "TransformerSpec"),
    ({"model.bin": ctranslate2()[:-20], "config.json": b"{}"}, "cut off"),
    ({"model.bin": ctranslate2(claimed=80), "config.json": b"{}"}, "cut off"),
    ({"n.caffemodel": networks.caffemodel()}, "needs one .prototxt"),
    ({"n.caffemodel": networks.caffemodel()[:-9], "n.prototxt": networks.PROTOTXT.encode()}, "cut off"),
    ({"n.weights": networks.darknet_weights()[:-3], "n.cfg": networks.DARKNET_CFG.encode()}, "cut off"),
    ({"n.pb": b"\x00" * 40}, "n.pb"),
    ({"m.onnx": linear(), "n.onnx": linear()}, "two models"),
    ({"m.onnx": linear(), "run.exe": b"MZ"}, "nobody here knows what run.exe is"),
    ({"README.md": b"nothing"}, "there is no model among the files"),
    ({"m.pt": b"PK\x03\x04 but no more"}, "neither a pickle nor a file of torch.save"),
    ({"m.skops": b"no zip"}, "no file of skops"),
]


def test_a_file_of_zeros_is_refused_at_its_first() -> None:
    some = fields(b"\x08\x07" + bytes(1000))
    assert next(some).number == 1
    with pytest.raises(InvalidInput, match="no ONNX"):  # protobuf has no field 0
        next(some)


def test_what_a_manifest_may_say_is_told_whole(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"says nothing of 'wrong'; it may say: engine, .*, title, task, licence$"):
        merged(tmp_path, {"wrong": 1})
    told = {"title": "Fish", "task": "regression", "licence": "MIT"}
    assert merged(tmp_path, told) == told


@pytest.mark.parametrize("files", [
    {"m.onnx": linear()}, {"n.pb": networks.frozen_graph()},
    {"n.caffemodel": networks.caffemodel(), "n.prototxt": networks.PROTOTXT.encode()}])
def test_fields_of_a_whole_file_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
    monkeypatch.setattr(graph, "MOST_FIELDS", 7)
    with pytest.raises(InvalidInput) as refused:
        found(tmp_path, files)
    assert refused.value.detail == f"{next(iter(files))} has more than 7 fields"


@pytest.mark.parametrize("read", [graph.external, graph.freed, steady])
def test_fields_are_counted_for_each_reading(monkeypatch: pytest.MonkeyPatch, read: Callable[[bytes], object]) -> None:
    monkeypatch.setattr(graph, "MOST_FIELDS", 7)
    with pytest.raises(InvalidInput, match="it has more than 7 fields"):
        read(linear())
    monkeypatch.setattr(graph, "MOST_FIELDS", 200)
    for _ in range(20):
        read(linear())


@pytest.mark.parametrize(("files", "told"), BROKEN, ids=[told for _, told in BROKEN])
def test_what_is_broken_is_refused(tmp_path: Path, files: Files, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        found(tmp_path, files)
    assert told in refused.value.detail


def test_functions_of_the_models_own_are_no_custom_operators(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(linear(domain="mine", operator="Times"))
    model.functions.append(onnx.helper.make_function(
        "mine", "Times", ["a", "b"], ["c"], [onnx.helper.make_node("MatMul", ["a", "b"], ["c"])],
        [onnx.helper.make_opsetid("", 17)]))
    assert found(tmp_path, {"m.onnx": model.SerializeToString()}).graph.nodes[0].kind == "MatMul"


@pytest.mark.parametrize("name", ["m.pkl", "m.pt", "m.joblib", "model.bin", "README.md", "labels.txt"])
def test_a_pickle_is_code_whatever_its_name_is(tmp_path: Path, name: str) -> None:
    model = found(tmp_path, {name: CALLS, "m.onnx": linear()})
    assert (model.format, model.engine) == ("pickle", "")
    assert "posix.system" in model.code
    assert model.code.endswith("posix.system, which acts on the machine")


def test_the_protocols_of_pickles() -> None:
    assert "acts" not in told(calls(io.BytesIO(pickle.dumps({1, 2}, 2))))
    for protocol in range(6):
        assert calls(io.BytesIO(pickle.dumps(Acting(), protocol)))[0] == "posix.system"
    shorter = pickletools.optimize(pickle.dumps([Acting(), OrderedDict()], 4))
    assert calls(io.BytesIO(shorter)) == ["posix.system", "collections.OrderedDict"]
    computed = b"\x80\x04\x8c\x06system\x8c\x05posix0\x93."  # one word is taken away before
    assert calls(io.BytesIO(computed)) != []


def test_programs_of_torch_are_code(tmp_path: Path) -> None:
    script = zipped({"m/data.pkl": b"", "m/constants.pkl": b"", "m/code/__torch__.py": b""})
    assert found(tmp_path, {"m.pt": script}).format == "torchscript"
    exported = zipped({"m/archive_format": b"pt2", "m/models/model.json": b"{}"})
    assert found(tmp_path, {"m.pt": exported}).format == "pt2"


def test_a_state_dict_becomes_safetensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    wide = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = OrderedDict(a=wide, turned=wide.t(), part=wide[1:, :2], half=wide.half(), one=torch.tensor(7),
                        brain=wide.bfloat16(), own=torch.nn.Parameter(wide))
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "m.pth")
    model = found(tmp_path, {})
    assert (model.format, model.facts["tensors"]) == ("safetensors", 7)
    assert not (tmp_path / "m.pth").exists()
    kept = read(tmp_path / "weights.safetensors")
    for name, values in state.items():
        np.testing.assert_array_equal(kept[name], values.detach().float().numpy())


def test_a_state_dict_with_something_that_acts_is_code(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(2), "extra": Acting()}, tmp_path / "m.pt")
    model = found(tmp_path, {})
    assert model.format == "pickle"
    assert "posix.system" in model.code


def test_a_state_dict_with_numbers_that_are_none(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.tensor([1.0, float("inf")])}, tmp_path / "m.pt")
    with pytest.raises(InvalidInput, match="w has values that are no finite numbers"):
        found(tmp_path, {})


def test_estimators_of_scikit_learn(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import FunctionTransformer

    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    fitted = LinearRegression().fit(np.arange(6).reshape(3, 2), [1, 2, 3])
    model = found(tmp_path / "good", {"m.skops": skops.dumps(fitted)})
    assert (model.engine, model.facts["estimator"]) == ("sklearn", "LinearRegression")
    doubtful = found(tmp_path / "bad", {"m.skops": skops.dumps(FunctionTransformer(os.system))})
    assert doubtful.engine == ""
    assert "posix.system" in doubtful.code
