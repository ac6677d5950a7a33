"""An inference request and its answer: a JSON object, behind which the binary tensors lie in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ...errors import InvalidInput, InvalidMessage
from ...inference import Batch, Model, TensorSpec
from . import tensors
from .tensors import BYTES, DTYPES

MOST_TENSORS = 64
LONGEST_ID = 256  # characters


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one stream for a model with states."""

    id: str
    start: bool
    end: bool


@dataclass(slots=True)
class Asked:
    inputs: Batch
    id: str = ""
    outputs: dict[str, bool] | None = None  # by name, whether as binary data; None: all of them
    binary: bool = False  # for all that is not named
    timeout: float | None = None  # s
    stream: Stream | None = None
    kinds: dict[str, str] = field(default_factory=dict)  # datatypes as they were given


def read(body: memoryview, header: int | None) -> Asked:
    """`header` is the length of the JSON object; None: it is all. Raises `InvalidMessage` or `InvalidInput`."""
    size = len(body) if header is None else header
    if size > len(body):
        raise InvalidMessage(f"Inference-Header-Content-Length is {size}, and the body has {len(body)} bytes")
    given = load(body[:size])
    asked = Asked({})
    if "id" in given:
        asked.id = _id(given)
    if "parameters" in given:
        parameters = _parameters(given, "the request")
        asked.binary = parameters.get("binary_data_output") is True
        asked.timeout, asked.stream = _timeout(parameters), _stream(parameters)
    _read_inputs(asked, given.get("inputs"), body[size:])
    if "outputs" in given:
        asked.outputs = _outputs(given["outputs"], asked.binary)
    return asked


def load(text: bytes | memoryview) -> dict[str, Any]:
    """A JSON object. Raises `InvalidMessage`."""
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidMessage(f"the request is not JSON: {str(error)[:200]}") from None
    if not isinstance(given, dict):
        raise InvalidMessage("the request must be a JSON object")
    return given


def _parameters(given: dict[str, Any], what: str) -> dict[str, Any]:
    found = given.get("parameters", {})
    if not isinstance(found, dict):
        raise InvalidInput(f"parameters of {what} must be an object", field="parameters")
    return found


def _id(given: dict[str, Any]) -> str:
    found = given.get("id", "")
    if not isinstance(found, str) or len(found) > LONGEST_ID:
        raise InvalidInput(f"id must be a string of at most {LONGEST_ID} characters", field="id")
    return found


def _timeout(parameters: dict[str, Any]) -> float | None:
    found = parameters.get("timeout")
    if found is None:
        return None
    if type(found) is not int or not 0 <= found < 1 << 63:
        raise InvalidInput("timeout is a whole number of microseconds", field="parameters.timeout")
    return found / 1e6 if found else None


def _stream(parameters: dict[str, Any]) -> Stream | None:
    found = parameters.get("sequence_id", 0)
    if not isinstance(found, int | str) or isinstance(found, bool) or len(str(found)) > LONGEST_ID:
        raise InvalidInput("sequence_id is a whole number or a string", field="parameters.sequence_id")
    if found in (0, ""):
        return None
    return Stream(str(found), parameters.get("sequence_start") is True, parameters.get("sequence_end") is True)


def _read_inputs(asked: Asked, given: object, rest: memoryview) -> None:
    if not isinstance(given, list) or not given or len(given) > MOST_TENSORS:
        raise InvalidInput(f"inputs must be a list of 1 to {MOST_TENSORS} tensors", field="inputs")
    for index, item in enumerate(given):
        name, kind, shape = _described(item, index)
        if name in asked.inputs:
            raise InvalidInput(f"{name} is given twice", field=name)
        size = _parameters(item, name).get("binary_data_size") if "parameters" in item else None
        asked.kinds[name] = kind
        if size is None:
            if "data" not in item:
                raise InvalidInput(f"{name} has neither data nor the parameter binary_data_size", field=name)
            asked.inputs[name] = tensors.from_json(name, kind, shape, item["data"])
            continue
        if type(size) is not int or not 0 <= size <= len(rest):
            raise InvalidInput(f"{name}: binary_data_size is {str(size)[:32]}, and {len(rest)} bytes are left of the "
                               "body", field=name)
        asked.inputs[name] = tensors.from_bytes(name, kind, shape, rest[:size])
        rest = rest[size:]
    if len(rest):
        raise InvalidInput(f"{len(rest)} bytes of the body belong to no input", field="inputs")


def _described(item: object, index: int) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise InvalidInput(f"inputs[{index}] must be an object with a name", field=f"inputs[{index}]")
    name, kind = item["name"][:64], item.get("datatype")
    if not isinstance(kind, str) or (kind not in DTYPES and kind != BYTES):
        raise InvalidInput(f"{name}: datatype must be one of {', '.join((*DTYPES, BYTES))}", field=name)
    return name, kind, tensors.shape_of(item.get("shape"), name)


def _outputs(given: object, binary: bool) -> dict[str, bool]:
    if not isinstance(given, list) or len(given) > MOST_TENSORS:
        raise InvalidInput(f"outputs must be a list of at most {MOST_TENSORS} tensors", field="outputs")
    found = {}
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise InvalidInput("each of outputs must be an object with a name", field="outputs")
        parameters = _parameters(item, item["name"][:64])
        if parameters.get("classification"):
            raise InvalidInput("this server does not have the extension 'classification': ask for the scores",
                               field="outputs")
        found[item["name"]] = parameters.get("binary_data", binary) is True
    return found


def raw(model: Model, body: memoryview) -> Asked:
    """A body that is nothing but the data of a model's only input. Raises `InvalidInput` where that leaves its shape
    open. One row; a free axis besides is what the bytes are enough for."""
    if len(model.inputs) != 1:
        raise InvalidInput(f"{model.name} has {len(model.inputs)} inputs: a body without JSON is for models with one",
                           field="inputs")
    spec = model.inputs[0]
    kind = tensors.datatype(spec)
    if kind == BYTES:
        values = [tensors.text_of(spec.name, body)]
        return Asked({spec.name: tensors.from_json(spec.name, kind, (1,) * len(spec.shape), values)}, binary=True,
                     kinds={spec.name: kind})
    shape = _fitting(spec, model.capabilities.batchable, len(body) // DTYPES[kind].itemsize)
    return Asked({spec.name: tensors.from_bytes(spec.name, kind, shape, body)}, binary=True, kinds={spec.name: kind})


def _fitting(spec: TensorSpec, batchable: bool, count: int) -> tuple[int, ...]:
    shape: list[int | None] = list(spec.shape)
    if batchable and shape and shape[0] is None:
        shape[0] = 1
    free = [place for place, axis in enumerate(shape) if axis is None]
    if len(free) > 1:
        raise InvalidInput(f"{spec.name} has {len(free)} free axes: send its shape in JSON", field=spec.name)
    known = [axis for axis in shape if axis is not None]
    if free:
        shape[free[0]] = count // max(1, math.prod(known))
    return tuple(axis for axis in shape if axis is not None)


def written(name: str, version: str, asked: Asked, results: Batch, order: Sequence[str],
            reason: str = "") -> tuple[bytes, list[bytes]]:
    """The answer's JSON and its binary tensors. Raises `InvalidInput` for outputs that the model does not have."""
    described, parts = _described_outputs(name, asked, results, order)
    answer: dict[str, Any] = {"model_name": name, "model_version": version}
    if asked.id:
        answer["id"] = asked.id
    if reason:
        answer["parameters"] = {"reason": reason}
    answer["outputs"] = described
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), parts


def _described_outputs(name: str, asked: Asked, results: Batch,
                       order: Sequence[str]) -> tuple[list[dict[str, Any]], list[bytes]]:
    wanted = asked.outputs or dict.fromkeys(order, asked.binary)
    described, parts = [], []
    for each, binary in wanted.items():
        if each not in results:
            raise InvalidInput(f"{name} has no output {each[:64]!r}; it has: {', '.join(order)}", field="outputs")
        array = results[each]
        item: dict[str, Any] = {"name": each, "datatype": tensors.kind_of(array), "shape": array.shape}
        if binary:
            parts.append(tensors.to_bytes(array))
            item["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            item["data"] = tensors.to_json(array.ravel())
        described.append(item)
    return described, parts


# in a child process, where they are so long that the event loop would be held ------------------------------


def as_binary(body: bytes, header: int | None) -> bytes:
    """A request with all its tensors as binary data; the length of its JSON comes first, in eight bytes."""
    asked = read(memoryview(body), header)
    parts = {name: tensors.to_bytes(array) for name, array in asked.inputs.items()}
    given = load(body if header is None else body[:header])
    given["inputs"] = [{"name": name, "datatype": asked.kinds[name], "shape": list(array.shape),
                        "parameters": {"binary_data_size": len(parts[name])}} for name, array in asked.inputs.items()]
    return _joined(orjson.dumps(given), list(parts.values()))


def answer(name: str, version: str, asked: Asked, results: Batch, order: Sequence[str], reason: str) -> bytes:
    """What `written` gives, in one piece; the length of the JSON comes first, in eight bytes."""
    return _joined(*written(name, version, asked, results, order, reason))


def without_inputs(asked: Asked) -> Asked:
    return replace(asked, inputs={})


def _joined(text: bytes, parts: list[bytes]) -> bytes:
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))
