"""Names of models in a pipeline become versions when a session begins: it keeps them, whatever is deployed later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from ..errors import InvalidInput, InvalidPipeline, NotFound
from ..inference import ModelOf
from ..inference.loader import VERSION
from ..spec import PipelineSpec, StageSpec

Fields: TypeAlias = Callable[[str], Mapping[str, ModelOf]]  # of a stage: which of its parameters name models


def models(spec: PipelineSpec, fields: Fields) -> Iterator[str]:
    """Versions that a pipeline has."""
    for stage in spec.stages:
        yield from (value for key, value in _names(stage, fields) if VERSION.fullmatch(value))


def pinned(spec: PipelineSpec, before: PipelineSpec, fields: Fields,
           meant: Callable[[ModelOf, str, str], str]) -> PipelineSpec:
    """With versions in place of names. `meant` answers for a field and a name which version it is, with the one that
    was pinned `before`, which stays.

    Raises `InvalidPipeline` for a version or alias that is not there, and for a model of another task.
    """
    held = {version.partition("@")[0]: version for version in models(before, fields)}
    stages = []
    for index, stage in enumerate(spec.stages):
        params = dict(stage.params)
        for key, value in _names(stage, fields):
            kept = held.get(value) or (value if value in held.values() else "")
            try:
                params[key] = meant(fields(stage.name)[key], value, kept)
            except (NotFound, InvalidInput) as error:
                raise InvalidPipeline(f"{stage.name}.{key}: {error.detail}",
                                      field=f"pipeline[{index}].{key}") from None
        stages.append(replace(stage, params=params) if params != stage.params else stage)
    return PipelineSpec(tuple(stages))


def _names(stage: StageSpec, fields: Fields) -> Iterator[tuple[str, str]]:
    for key in fields(stage.name):
        value = stage.params.get(key)
        if isinstance(value, str) and value:
            yield key, value
