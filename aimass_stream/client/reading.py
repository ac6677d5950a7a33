"""A server's JSON as the records that stand for it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


def read(kind: type[T], told: Mapping[str, Any]) -> T:
    """A record of this kind from the server's JSON."""
    kinds: dict[str, Any] = _kinds(cast(Any, kind))
    return kind(**{name: _value(kinds[name], value) for name, value in told.items() if name in kinds})


@cache
def _kinds(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {each.name: hints[each.name] for each in dataclasses.fields(kind)}


def _value(kind: Any, value: Any) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next((one for one in typing.get_args(kind) if one is not type(None)), kind)
    if value is None:
        return None
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return read(kind, value)
    if typing.get_origin(kind) is list:
        return [_value(typing.get_args(kind)[0], each) for each in value]
    return value
