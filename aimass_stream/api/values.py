"""A model's input and output as plain JSON: numbers, nested lists, texts, pictures; and the JSON Schema of each."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from ..errors import InvalidInput, InvalidMedia
from ..frames import Pixels
from ..inference import Batch, Entry, Model, TensorSpec
from ..painting.files import decode
from ..seeing.input import PictureInput
from .oip import messages, tensors

COLOURS = ("RGB", "BGR", "luma", "grey")  # how the unit of a picture begins
MOST_AXES = 8
DATA_URL = "data:"
HERE = 64 * 1024  # bytes of JSON that are read on the loop
NUMBERS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}  # by kind of dtype


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller sent, as the model's inputs. `bare`: it was one row without its axis, and so is the answer."""

    inputs: Batch
    bare: bool = False


def picture_input(entry: Entry) -> PictureInput | None:
    """How pictures become its input, where its manifest says that it takes one."""
    if len(entry.inputs) != 1 or entry.inputs[0].dtype not in ("uint8", "float32", "float16"):
        return None
    spec = entry.inputs[0]
    named = spec.unit.startswith(("RGB", "luma", "grey")) or "colour" in entry.options
    if not named or len(spec.shape) not in (2, 4):
        return None
    return PictureInput(entry)


# what comes in ----------------------------------------------------------------------------------------


def given(value: object, specs: tuple[TensorSpec, ...], batchable: bool) -> Given:
    """Of a model with one input its value; of one with several an object with all of them by name.

    Raises `InvalidInput`.
    """
    if len(specs) == 1 and not (isinstance(value, dict) and set(value) == {specs[0].name}):
        value = {specs[0].name: value}
    if not isinstance(value, dict) or set(value) != {spec.name for spec in specs}:
        raise InvalidInput(f"input must be an object with {', '.join(spec.name for spec in specs)}", field="input")
    arrays = {spec.name: _array(spec, value[spec.name]) for spec in specs}
    short = [spec.name for spec in specs if arrays[spec.name].ndim == len(spec.shape) - 1]
    bare = len(short) == len(specs) and batchable
    if bare or (len(specs) == 1 and short and specs[0].shape[0] in (None, 1)):
        return Given({name: array[None] for name, array in arrays.items()}, bare=True)
    return Given(arrays)


def _array(spec: TensorSpec, value: object) -> NDArray[Any]:
    field = f"input.{spec.name}"
    shape: list[int] = []
    inner = value
    while isinstance(inner, list) and len(shape) < MOST_AXES:
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat = value if isinstance(value, list) else [value]
    try:
        return tensors.from_json(spec.name, tensors.datatype(spec), tuple(shape), flat)
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=field) from None


def file_of(value: object) -> bytes:
    """A picture's file in base64, or as a data URL. Raises `InvalidInput`."""
    if not isinstance(value, str):
        raise InvalidInput("input must be a picture's file in base64, or as a data URL", field="input")
    head, comma, text = value.partition(",") if value.startswith(DATA_URL) else ("", ",", value)
    if not comma or (head and not head.endswith(";base64")):
        raise InvalidInput("a data URL of a picture looks like data:image/png;base64,...", field="input")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("input is not base64", field="input") from None


def body_of(text: bytes) -> object:
    """What is under ``input``. Raises `InvalidInput` or `InvalidMessage`."""
    body = messages.load(text)
    if "input" not in body or len(body) > 1:
        raise InvalidInput('send {"input": ...} and nothing else', field="input")
    return body["input"]


# in a child process, where it is long or a picture's file ---------------------------------------------------


def in_child(text: bytes, specs: tuple[TensorSpec, ...], batchable: bool) -> bytes:
    """`given` of a body, as a request with binary tensors behind one byte for `bare`."""
    found = given(body_of(text), specs, batchable)
    parts = {name: tensors.to_bytes(array) for name, array in found.inputs.items()}
    head = {"inputs": [{"name": spec.name, "datatype": tensors.datatype(spec),
                        "shape": list(found.inputs[spec.name].shape),
                        "parameters": {"binary_data_size": len(parts[spec.name])}} for spec in specs]}
    told = json.dumps(head).encode()
    return b"".join((bytes([found.bare]), len(told).to_bytes(8, "little"), told, *(parts[spec.name] for spec in specs)))


def from_child(packed: bytes) -> Given:
    size = int.from_bytes(packed[1:9], "little")
    return Given(messages.read(memoryview(packed)[9:], size).inputs, bare=packed[0] == 1)


def picture_in_child(text: bytes) -> Iterator[bytes]:
    """`painting.files.decode` of a body with a picture. Raises `InvalidInput`, `InvalidMedia` or `TooLarge`."""
    with TemporaryFile() as file:
        file.write(file_of(body_of(text)))
        file.flush()
        yield from decode(file.fileno())


# what goes out ----------------------------------------------------------------------------------------


def answered(model: Model, results: Batch, bare: bool) -> object:
    """One output's value, or several by name, for `dumped`; pictures as data URLs. Takes its time for pictures."""
    found = {}
    for spec in model.outputs:
        array = results[spec.name]
        first = bare and array.ndim > 0 and array.shape[0] == 1
        found[spec.name] = _value(spec, np.asarray(array[0], array.dtype) if first else array)
    return found if len(found) > 1 else next(iter(found.values()))


def written(model_outputs: tuple[TensorSpec, ...], results: Batch, bare: bool) -> bytes:
    """The whole answer, in a child process, where it is long."""
    return dumped(answered(_Outputs(model_outputs), results, bare))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Outputs:
    outputs: tuple[TensorSpec, ...]


def dumped(output: object) -> bytes:
    return orjson.dumps({"output": output}, option=orjson.OPT_SERIALIZE_NUMPY)


def is_picture(spec: TensorSpec) -> bool:
    return spec.unit.startswith(COLOURS[:2]) and len(spec.shape) in (3, 4) and (
        spec.dtype == "uint8" or "0 to 1" in spec.unit)


def _value(spec: TensorSpec, array: NDArray[Any]) -> object:
    if is_picture(spec) and array.ndim == 3:
        return _data_url(spec, array)
    if is_picture(spec) and array.ndim == 4:
        return [_data_url(spec, each) for each in array]
    return tensors.to_json(array)


def _data_url(spec: TensorSpec, planes: NDArray[Any]) -> str:
    pixels: NDArray[Any] = planes.transpose(1, 2, 0) if planes.shape[0] == 3 and planes.shape[-1] != 3 else planes
    if spec.dtype != "uint8":
        pixels = np.rint(np.clip(np.nan_to_num(pixels.astype(np.float32)), 0, 1) * 255)
    made: Pixels = np.ascontiguousarray(pixels, np.uint8)
    if spec.unit.startswith("RGB"):
        made = np.asarray(cv2.cvtColor(made, cv2.COLOR_RGB2BGR), np.uint8)
    done, data = cv2.imencode(".png", made, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise InvalidMedia("the picture can't be written", field="output")
    return f"{DATA_URL}image/png;base64,{base64.b64encode(data.tobytes()).decode()}"


# JSON Schema ------------------------------------------------------------------------------------------


def input_schema(entry: Entry) -> dict[str, Any]:
    if picture_input(entry) is not None:
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*",
                "description": "a picture's file in base64, or as a data URL; or as a form's part named input"}
    return _schema(entry.inputs, entry.capabilities.batchable)


def output_schema(entry: Entry) -> dict[str, Any]:
    return _schema(entry.outputs, entry.capabilities.batchable)


def _schema(specs: tuple[TensorSpec, ...], batchable: bool) -> dict[str, Any]:
    if len(specs) == 1:
        return _tensor_schema(specs[0], batchable)
    return {"type": "object", "additionalProperties": False, "required": [spec.name for spec in specs],
            "properties": {spec.name: _tensor_schema(spec, batchable) for spec in specs}}


def _tensor_schema(spec: TensorSpec, batchable: bool) -> dict[str, Any]:
    if is_picture(spec):
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png",
                "description": "a data URL"}
    kind = "string" if spec.dtype == "object" else NUMBERS[np.dtype(spec.dtype).kind]
    schema: dict[str, Any] = {"type": kind} | ({"description": spec.unit} if spec.unit else {})
    for axis in reversed(spec.shape[1:] if batchable else spec.shape):
        bounds = {} if axis is None else {"minItems": axis, "maxItems": axis}
        schema = {"type": "array", "items": schema} | bounds
    if batchable:
        schema["title"] = f"{spec.name}; several rows at once are a list of these"
    return schema
