"""A pipeline as data: a flat JSON list, checked for shape here and for parameters by `resolve`.

    [{"stage": "mirror"}, {"stage": "delay", "ms": 200}]

`stage` is the stage's name, `id` (optional) keeps its state when the list is reordered, `track` (optional)
limits it to one track, everything else is a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from .errors import InvalidInput, InvalidPipeline

MAX_STAGES = 32
MAX_BYTES = 64 * 1024  # of JSON
LATENCY = (10, 5000)  # ms that can be promised; 0: nothing is

Parameters: TypeAlias = Callable[[str], type[BaseModel] | None]  # stage name -> its Params, None if unknown


def latency_of(value: object) -> int:
    """A promised latency in ms, 0 for none. Raises `InvalidInput`."""
    least, most = LATENCY
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or (value and not least <= value <= most):
        raise InvalidInput(f"'latency_ms' is a whole number of milliseconds from {least} to {most}, or 0 for no bound",
                           field="latency_ms")
    return value


@dataclass(frozen=True, slots=True)
class StageSpec:
    name: str
    params: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    track: str | None = None

    def json(self) -> dict[str, Any]:
        extra = {key: value for key, value in (("id", self.id), ("track", self.track)) if value is not None}
        return {"stage": self.name, **extra, **self.params}


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    stages: tuple[StageSpec, ...] = ()

    def json(self) -> list[dict[str, Any]]:
        return [stage.json() for stage in self.stages]

    @classmethod
    def parse(cls, value: object) -> PipelineSpec:
        """From a decoded JSON list, JSON text, or None; raises `InvalidPipeline` naming the field."""
        if isinstance(value, str | bytes):
            if len(value) > MAX_BYTES:
                raise InvalidPipeline(f"a pipeline is at most {MAX_BYTES} bytes of JSON", field="pipeline")
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise InvalidPipeline(f"not JSON: {error}", field="pipeline") from None
        if value is None:
            return cls()
        if not isinstance(value, list):
            raise InvalidPipeline('a pipeline is a list such as [{"stage": "mirror"}]', field="pipeline")
        if len(value) > MAX_STAGES:
            raise InvalidPipeline(f"a pipeline has at most {MAX_STAGES} stages", field="pipeline")
        stages = tuple(_stage(item, f"pipeline[{index}]") for index, item in enumerate(value))
        ids = [stage.id for stage in stages if stage.id is not None]
        for index, stage in enumerate(stages):
            if stage.id is not None and ids.count(stage.id) > 1:
                raise InvalidPipeline(f"id {stage.id!r} is used twice", field=f"pipeline[{index}].id")
        return cls(stages)

    def validate(self, parameters: Parameters, known: Callable[[], list[str]]) -> list[BaseModel]:
        """The checked parameters of each stage, in order; raises `InvalidPipeline` naming the field."""
        checked = []
        for index, stage in enumerate(self.stages):
            try:
                model = parameters(stage.name)
            except InvalidPipeline as error:  # it is known, and broken
                raise InvalidPipeline(error.detail, field=f"pipeline[{index}].stage") from None
            if model is None:
                raise InvalidPipeline(f"there is no stage {stage.name!r}; there are: {', '.join(known())}",
                                      field=f"pipeline[{index}].stage")
            try:
                checked.append(model.model_validate(stage.params))
            except ValidationError as error:
                first = error.errors()[0]
                where = "".join(f".{part}" for part in first["loc"])  # nothing where it is about all of them
                told = first["msg"].removeprefix("Value error, ")
                raise InvalidPipeline(f"{stage.name}{where}: {told}", field=f"pipeline[{index}]{where}") from None
        return checked


def _stage(item: object, path: str) -> StageSpec:
    if not isinstance(item, dict):
        raise InvalidPipeline('a stage is an object such as {"stage": "mirror"}', field=path)
    rest = dict(item)
    name = rest.pop("stage", None)
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        raise InvalidPipeline("'stage' must be the name of a stage", field=f"{path}.stage")
    labels: dict[str, str | None] = {}
    for key in ("id", "track"):
        label = rest.pop(key, None)
        if label is not None and (not isinstance(label, str) or not 0 < len(label) <= 64):
            raise InvalidPipeline(f"{key!r} must be a short text", field=f"{path}.{key}")
        labels[key] = label
    return StageSpec(name, rest, labels["id"], labels["track"])
