"""Which model lies in a folder, and whether its files are whole and harmless. For the sandbox: nobody vouches for them.

What a file is, its content says; what it should be, its name. Pickles, TorchScript and exported programs are code:
they are recognised and told about, and never loaded. A `torch.save` of tensors alone becomes safetensors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from ...errors import InvalidInput
from . import ctranslate2, dnn, joblib, onnx, pickles, safetensors, shards, sklearn
from .kinds import Found, Graph, Tensor

__all__ = ["Found", "Graph", "Tensor", "recognise"]

# of files that models come with: read by nobody but people, or by the model's engine as text
BESIDE = {".md", ".txt", ".json", ".toml", ".yaml", ".yml", ".names", ".labels", ".csv", ".png", ".jpg", ".jpeg",
          ".webp", ".prototxt", ".pbtxt", ".cfg", ".model", ".vocab", ".data", ".onnx_data", ".bin", ""}
PICKLED = {".pt", ".pth", ".pt2", ".ckpt", ".pkl", ".pickle", ".joblib", ".bin", ".pyc", ".npy", ".dill"}
SAFE = "weights.safetensors"

READERS: dict[str, Callable[[Path], Found]] = {
    ".onnx": onnx.check, ".caffemodel": dnn.caffe, ".weights": dnn.darknet, ".pb": dnn.tensorflow,
    ".skops": sklearn.check}


def recognise(folder: Path, most: int = 16 << 30) -> Found:
    """Check what lies there. A state dict is written anew as safetensors, in its place.

    Raises `InvalidInput` that names the file and what is wrong with it.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    code = {path: found for path in files if (found := _code(path, most)) is not None}
    if code:
        return _all_code(folder, code)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    models = [path for path in files if path.suffix in READERS or path.suffix == ".safetensors"
              or path.name == ctranslate2.MODEL]
    strange = [path for path in files if path not in models and path.suffix.lower() not in BESIDE]
    if strange:
        raise InvalidInput(f"nobody here knows what {strange[0].name[:100]} is", field="files")
    if not models:
        raise InvalidInput("there is no model among the files: ONNX, safetensors, CTranslate2, Caffe, TensorFlow, "
                           "Darknet, skops and torch's state dicts are known", field="files")
    index = folder / shards.INDEX
    if len(models) > 1 and index.is_file() and all(path.suffix == ".safetensors" for path in models):
        return _weights(shards.check(models, index))
    if len(models) > 1:
        raise InvalidInput(f"{models[0].name} and {models[1].name} are two models: send one", field="files")
    path = models[0]
    if path.suffix == ".safetensors":
        return weights(path)
    if path.name == ctranslate2.MODEL:
        return ctranslate2.check(path)
    found = READERS[path.suffix](path)
    return _all_code(folder, {path: found}) if found.code else found


def _all_code(folder: Path, code: dict[Path, Found]) -> Found:
    """What is told of all that would run: an admin approves of the whole folder."""
    first, found = next(iter(code.items()))
    names = {path: path.relative_to(folder).as_posix() for path in code}
    reasons = [f"{names[path]}: {each.code}" for path, each in code.items()] if len(code) > 1 else [found.code]
    modules = sorted(path.name for path in folder.rglob("*.py"))
    if modules:
        reasons.append(f"there are modules of Python with it: {', '.join(modules)[:200]}")
    return replace(found, code="; ".join(reasons), facts=found.facts | {"file": names[first]} | (
        {"others": [names[path] for path in code if path != first]} if len(code) > 1 else {}))


def weights(path: Path) -> Found:
    """Tensors by name: which architecture they are of, whoever sends them has to say."""
    return _weights(safetensors.check(path))


def _weights(found: list[Tensor]) -> Found:
    tensors = tuple(found)
    numbers = sum(each.bytes // safetensors.SIZES[each.dtype] for each in tensors)
    return Found("safetensors", "torch", Graph(tensors), {"parameters": numbers, "tensors": len(tensors)})


def _code(path: Path, most: int) -> Found | None:
    """What the file would run, or None; a state dict is turned into safetensors."""
    with path.open("rb") as file:
        head = file.read(4)
        pickled = head[:2] in pickles.PROTOCOLS
        if pickled and path.suffix.lower() not in (".onnx", ".safetensors"):
            return Found("pickle", "", code=pickles.told(_calls(file)))
    if path.suffix.lower() not in PICKLED:
        return None
    if head != b"PK\x03\x04" or not zipfile.is_zipfile(path):
        if path.name == ctranslate2.MODEL or path.suffix.lower() == ".bin":
            return None  # others look at it
        return _old_pickle(path)
    kind = pickles.torch_kind(path)
    if kind == "torchscript":
        return Found("torchscript", "", code="TorchScript is a program")
    if kind == "pt2":
        return Found("pt2", "", code="an exported program (.pt2) is a program")
    return _converted(path, most) if kind else None


def _calls(file: IO[bytes]) -> list[str]:
    file.seek(0)
    by_joblib = joblib.MARK in file.read(1 << 16)
    file.seek(0)
    return joblib.calls(file) if by_joblib else pickles.calls(file)


def _old_pickle(path: Path) -> Found:
    """Of protocols 0 and 1, which have no mark at their beginning."""
    try:
        with path.open("rb") as file:
            return Found("pickle", "", code=pickles.told(pickles.calls(file)))
    except InvalidInput:
        raise InvalidInput(f"{path.name} is neither a pickle nor a file of torch.save: it is broken, or of another "
                           "kind than its name says", field="files") from None


def _converted(path: Path, most: int) -> Found | None:
    try:
        safetensors.write(path.with_name(SAFE), pickles.state(path, most))
    except pickles.Code as error:
        with zipfile.ZipFile(path) as opened:
            name = next(name for name in opened.namelist() if name.endswith(f"/{pickles.DATA}"))
            with opened.open(name) as file:
                return Found("pickle", "", code=f"{pickles.told(pickles.calls(file))} ({error} is not of a tensor)")
    path.unlink()
    return None
