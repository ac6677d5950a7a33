"""Requests as they are written in a batch, taken apart without holding the loop: long ones in a child process."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import orjson

from ...errors import InvalidInput, TooLarge
from ..oip.bodies import Desk
from .inside import path_of

HERE = 64 * 1024  # bytes that are read on the loop
MOST = 32  # requests of a list
LONGEST_ID = 256  # characters
NAMES = {"id", "method", "path", "body", "custom_id", "url", "model", "input"}
SIZE = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Wanted:
    id: str
    path: str
    body: bytes  # JSON


async def listed(desk: Desk, data: bytes) -> list[Wanted]:
    """The requests of ``{"requests": [...]}``. Raises `InvalidInput`, `TooLarge` or `Busy`."""
    return _unpacked(_list(data) if len(data) <= HERE else await desk.child(_list, data))


async def one(desk: Desk, line: bytes) -> Wanted:
    """That of a line of JSONL. Raises as `listed`."""
    return _unpacked(_line(line) if len(line) <= HERE else await desk.child(_line, line))[0]


def _list(data: bytes) -> bytes:
    told = _parsed(data)
    if not isinstance(told, dict) or set(told) != {"requests"} or not isinstance(told["requests"], list):
        raise InvalidInput('send {"requests": [...]}', field="requests")
    if not told["requests"]:
        raise InvalidInput("the list is empty: there is nothing to be asked", field="requests")
    if len(told["requests"]) > MOST:
        raise TooLarge(f"a list has 1 to {MOST} requests; POST /v1/batches takes more", field="requests")
    return _packed([_wanted(each, f"requests[{index}].") for index, each in enumerate(told["requests"])])


def _line(data: bytes) -> bytes:
    wanted = _wanted(_parsed(data), "")
    if not wanted.id:
        raise InvalidInput("a line has a custom_id of its own", field="custom_id")
    return _packed([wanted])


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise InvalidInput(f"this is not JSON: {error}") from None


def _wanted(told: Any, where: str) -> Wanted:
    if not isinstance(told, dict):
        raise InvalidInput("a request is an object with path and body, or with model and input",
                           field=where.rstrip(".") or None)
    unknown = sorted(set(told) - NAMES)
    if unknown:
        raise InvalidInput(f"a request has no {unknown[0][:64]!r}; it has: id, method, path, body, or model, input",
                           field=f"{where}{unknown[0][:64]}")
    name = told.get("custom_id", told.get("id", ""))
    if not isinstance(name, str) or len(name) > LONGEST_ID:
        raise InvalidInput(f"an id is a text of at most {LONGEST_ID} characters", field=f"{where}id")
    method, path = told.get("method", "POST"), told.get("url", told.get("path"))
    body = told.get("body")
    if "model" in told and path is None and "body" not in told:
        if not isinstance(told["model"], str) or "input" not in told:
            raise InvalidInput("a model's name goes with its input", field=f"{where}model")
        path, body = f"/predict/{told['model']}", {"input": told["input"]}
    if not isinstance(path, str) or not isinstance(method, str):
        raise InvalidInput("say which path is to be asked", field=f"{where}path")
    if not isinstance(body, dict):
        raise InvalidInput("the body is an object", field=f"{where}body")
    return Wanted(name, path_of(method, path, where), orjson.dumps(body))


def _packed(all_: list[Wanted]) -> bytes:
    head = orjson.dumps([[each.id, each.path, len(each.body)] for each in all_])
    return SIZE.pack(len(head)) + head + b"".join(each.body for each in all_)


def _unpacked(packed: bytes) -> list[Wanted]:
    (size,) = SIZE.unpack_from(packed)
    at, found = SIZE.size + size, []
    for name, path, length in orjson.loads(packed[SIZE.size : at]):
        found.append(Wanted(name, path, packed[at : at + length]))
        at += length
    return found


