"""Names of models in a pipeline become versions when a session begins: it keeps them, whatever is deployed later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import InvalidPipeline, NotFound
from ..spec import PipelineSpec, StageSpec

AUTO = "auto"
TASKS = {"detect": "detection", "classify": "classification", "model": "image-to-image",
         "background": "person-segmentation"}  # of stages, for "auto"


def key_of(stage: StageSpec) -> str:
    """The parameter that names its model."""
    return "name" if stage.name == "model" else "model"


def models(spec: PipelineSpec) -> Iterator[str]:
    """Versions that a pipeline has."""
    for stage in spec.stages:
        value = stage.params.get(key_of(stage))
        if isinstance(value, str) and "@" in value:
            yield value


def pinned(spec: PipelineSpec, before: PipelineSpec, known: Callable[[str], bool], resolve: Callable[[str], str],
           auto: Callable[[str], str]) -> PipelineSpec:
    """With versions in place of names that are `known` here. One that was pinned `before` stays.

    Raises `InvalidPipeline` for a version or alias that is not there.
    """
    held = {version.partition("@")[0]: version for version in models(before)}
    stages = []
    for index, stage in enumerate(spec.stages):
        key = key_of(stage)
        value = stage.params.get(key)
        if isinstance(value, str) and (known(value.partition("@")[0]) or "@" in value):
            meant = held.get(value) or (value if value in held.values() else "")
            try:
                value = meant or resolve(value)
            except NotFound as error:
                raise InvalidPipeline(error.detail, field=f"pipeline[{index}].{key}") from None
        elif value == AUTO and stage.name in TASKS:
            try:
                value = auto(TASKS[stage.name])
            except NotFound as error:
                raise InvalidPipeline(error.detail, field=f"pipeline[{index}].{key}") from None
        stages.append(replace(stage, params=stage.params | {key: value}) if value != stage.params.get(key) else stage)
    return PipelineSpec(tuple(stages))
