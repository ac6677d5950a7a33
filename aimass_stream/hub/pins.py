"""Names of models in a pipeline become versions when a session begins: it keeps them, whatever is deployed later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from ..errors import InvalidInput, InvalidPipeline, NotFound
from ..inference import ModelOf
from ..inference.loader import VERSION
from ..spec import PipelineSpec, StageSpec

Fields: TypeAlias = Callable[[str], Mapping[str, ModelOf]]  # of a stage: which of its parameters name models


def models(spec: PipelineSpec, fields: Fields) -> Iterator[str]:
    """Versions that a pipeline has."""
    for stage in spec.stages:
        yield from (name for _, names in _names(stage, fields) for name in names if VERSION.fullmatch(name))


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
        for key, names in _names(stage, fields):
            kept = [held.get(name) or (name if name in held.values() else "") for name in names]
            try:
                params[key] = ",".join(map(partial(meant, fields(stage.name)[key]), names, kept))
            except (NotFound, InvalidInput) as error:
                raise InvalidPipeline(f"{stage.name}.{key}: {error.detail}",
                                      field=f"pipeline[{index}].{key}") from None
        stages.append(replace(stage, params=params) if params != stage.params else stage)
    return PipelineSpec(tuple(stages))


def _names(stage: StageSpec, fields: Fields) -> Iterator[tuple[str, list[str]]]:
    for key, wanted in fields(stage.name).items():
        value = stage.params.get(key)
        if not isinstance(value, str):
            continue
        names = [name.strip() for name in value.split(",")] if wanted.several else [value]
        if any(names):
            yield key, [name for name in names if name]
