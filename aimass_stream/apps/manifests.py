"""What an app is: a pipeline, what of it can be set and within which bounds, what it needs, and an example.

    {"name": "Soft focus", "pipeline": [{"stage": "blur", "id": "soft", "sigma": 4}],
     "parameters": {"softness": {"path": "soft.sigma", "maximum": 20}}, "permissions": ["camera"]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel

from ..errors import InvalidInput, InvalidPipeline
from ..spec import PipelineSpec, StageSpec
from .examples import Example

PERMISSIONS = ("camera", "microphone", "screen", "speaker", "location", "notifications")
NAME, SUMMARY, DESCRIPTION, TAG, TAGS, EMBEDS = 80, 200, 16 * 1024, 40, 16, 32
MOST_PARAMETERS = 32
MOST_BYTES = 480 * 1024  # of the manifest's JSON
PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,39}")
FIELDS = frozenset({"name", "summary", "description", "tags", "pipeline", "parameters", "permissions", "example",
                    "embed", "latency_ms"})
LIMITS = ("minimum", "maximum", "max_length")
OFFERED = frozenset({"path", "title", "description", "enum", *LIMITS})

# with versions in place of models' names, which stages know nothing of; raises `InvalidPipeline`
Pin: TypeAlias = Callable[[PipelineSpec], PipelineSpec]


class Stages(Protocol):
    """What there is to build pipelines of: the node's registry."""

    def params(self, name: str) -> type[BaseModel] | None: ...
    def names(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """One that is exposed. `stage` is the `id` of a stage in the pipeline, `key` a parameter of that."""

    stage: str
    key: str
    title: str = ""
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    enum: tuple[Any, ...] | None = None

    def check(self, value: object, field: str) -> None:
        """Raises `InvalidInput` for what is outside; the stage's own bounds are looked at later."""
        if self.enum is not None and not any(value == each and type(value) is type(each) for each in self.enum):
            raise InvalidInput(f"one of {', '.join(map(str, self.enum))}", field=field)
        if isinstance(value, bool | None):
            return
        if isinstance(value, int | float):
            if self.minimum is not None and not value >= self.minimum:
                raise InvalidInput(f"at least {self.minimum:g}", field=field)
            if self.maximum is not None and not value <= self.maximum:
                raise InvalidInput(f"at most {self.maximum:g}", field=field)
        elif self.minimum is not None or self.maximum is not None:
            raise InvalidInput("a number", field=field)
        if self.max_length is not None and (not isinstance(value, str | list) or len(value) > self.max_length):
            raise InvalidInput(f"at most {self.max_length} long", field=field)

    def json(self) -> dict[str, Any]:
        kept = {"path": f"{self.stage}.{self.key}", "title": self.title, "description": self.description,
                "minimum": self.minimum, "maximum": self.maximum, "max_length": self.max_length,
                "enum": None if self.enum is None else list(self.enum)}
        return {key: value for key, value in kept.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    summary: str = ""
    description: str = ""  # Markdown
    tags: tuple[str, ...] = ()
    pipeline: PipelineSpec = field(default_factory=PipelineSpec)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    permissions: tuple[str, ...] = ()
    example: Example | None = None
    embed: tuple[str, ...] = ()  # web origins whose pages may show it in a frame
    latency_ms: int = 0  # promised to each session; 0: nothing is

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "summary": self.summary, "description": self.description, "tags": list(self.tags),
                "pipeline": self.pipeline.json(),
                "parameters": {name: each.json() for name, each in self.parameters.items()},
                "permissions": list(self.permissions), "example": None if self.example is None else self.example.json(),
                "embed": list(self.embed), "latency_ms": self.latency_ms}

    @property
    def words(self) -> str:
        """What a search looks through."""
        return " ".join((self.name, self.summary, *self.tags, self.description)).lower()

    def with_values(self, spec: PipelineSpec, values: Mapping[str, Any]) -> PipelineSpec:
        """`spec`, which is this pipeline or what became of it, with exposed parameters set. Raises `InvalidInput`."""
        stages = list(spec.stages)
        for name, value in values.items():
            found = self.parameters.get(name)
            where = f"parameters.{name[:64]}"
            if found is None:
                raise InvalidInput(f"this app has no parameter {name[:64]!r}; it has: "
                                   f"{', '.join(self.parameters) or 'none'}", field=where)
            found.check(value, where)
            at = next((index for index, stage in enumerate(stages) if stage.id == found.stage), None)
            if at is None:
                raise InvalidInput("the stage that this is of was taken out meanwhile", field=where)
            old = stages[at]
            stages[at] = StageSpec(old.name, {**old.params, found.key: value}, old.id, old.track)
        return PipelineSpec(tuple(stages))


def schema_of(manifest: Manifest, stages: Stages) -> dict[str, Any]:
    """JSON Schema of the parameters: the stages' own, within the app's bounds, with the app's values as defaults."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, each in manifest.parameters.items():
        stage = next((stage for stage in manifest.pipeline.stages if stage.id == each.stage), None)
        params = None if stage is None else stages.params(stage.name)
        if stage is None or params is None:
            continue  # it was installed when the app was made
        schema = params.model_json_schema()
        definitions |= schema.get("$defs", {})
        found = {**schema.get("properties", {}).get(each.key, {}), "title": each.title or name}
        if each.key in stage.params:
            found["default"] = stage.params[each.key]
            if "enum" in found and found["default"] not in found["enum"]:  # a model of the hub, which stages don't list
                found["enum"] = [found["default"], *found["enum"]]
        bounds = {"minimum": each.minimum, "maximum": each.maximum, "maxLength": each.max_length,
                  "enum": None if each.enum is None else list(each.enum), "description": each.description or None}
        properties[name] = found | {key: value for key, value in bounds.items() if value is not None}
    told: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return told | ({"$defs": definitions} if definitions else {})


def manifest_of(value: object, stages: Stages, pin: Pin = lambda spec: spec) -> Manifest:
    """Read and checked whole; it keeps the names of models that it has. Raises `InvalidInput` or `InvalidPipeline`,
    each with the field."""
    if not isinstance(value, dict):
        raise InvalidInput("an app's manifest is an object", field="manifest")
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"the manifest is no JSON: {error}", field="manifest") from None
    if size > MOST_BYTES:
        raise InvalidInput(f"a manifest has at most {MOST_BYTES} bytes", field="manifest")
    unknown = sorted(set(value) - FIELDS)
    if unknown:
        raise InvalidInput(f"a manifest has no {str(unknown[0])[:64]!r}; it has: {', '.join(sorted(FIELDS))}",
                           field=str(unknown[0])[:64])
    name = line(value.get("name", ""), NAME, "name")
    if not name:
        raise InvalidInput("an app has a name", field="name")
    pipeline = checked(PipelineSpec.parse(value.get("pipeline")), stages, pin)
    parameters = _parameters(value.get("parameters", {}), pipeline, stages)
    example = value.get("example")
    latency = value.get("latency_ms", 0)
    if isinstance(latency, bool) or not isinstance(latency, int) or (latency and not 10 <= latency <= 5000):
        raise InvalidInput("'latency_ms' is 10 to 5000, or 0 for none", field="latency_ms")
    return Manifest(
        name, line(value.get("summary", ""), SUMMARY, "summary"),
        prose(value.get("description", ""), DESCRIPTION, "description"), _tags(value.get("tags", [])), pipeline,
        parameters, _permissions(value.get("permissions", [])), None if example is None else Example.parse(example),
        _origins(value.get("embed", [])), latency)


def manifest_read(value: dict[str, Any]) -> Manifest:
    """What `Manifest.json` made, without another look at the stages that there are."""
    parameters = {}
    for name, each in value["parameters"].items():
        stage, _, key = each["path"].rpartition(".")
        rest = {field: each[field] for field in ("title", "description", *LIMITS) if field in each}
        parameters[name] = Parameter(stage, key, **rest, enum=tuple(each["enum"]) if "enum" in each else None)
    example = value["example"]
    return Manifest(value["name"], value["summary"], value["description"], tuple(value["tags"]),
                    PipelineSpec.parse(value["pipeline"]), parameters, tuple(value["permissions"]),
                    None if example is None else Example.parse(example), tuple(value["embed"]), value["latency_ms"])


def checked(spec: PipelineSpec, stages: Stages, pin: Pin) -> PipelineSpec:
    """As it is. Raises `InvalidPipeline`."""
    if not spec.stages:
        raise InvalidPipeline("an app's pipeline has a stage at least", field="pipeline")
    pin(spec).validate(stages.params, stages.names)
    return spec


def _parameters(value: object, pipeline: PipelineSpec, stages: Stages) -> dict[str, Parameter]:
    if not isinstance(value, dict) or len(value) > MOST_PARAMETERS:
        raise InvalidInput(f"'parameters' is an object of at most {MOST_PARAMETERS}", field="parameters")
    return {name: _parameter(name, each, pipeline, stages) for name, each in value.items()}


def _parameter(name: str, value: object, pipeline: PipelineSpec, stages: Stages) -> Parameter:
    where = f"parameters.{name[:64]}"
    if not PARAMETER.fullmatch(name):
        raise InvalidInput("a parameter's name has small letters, digits and _, 40 at most", field=where)
    if not isinstance(value, dict) or not set(value) <= OFFERED:
        raise InvalidInput(f"a parameter has: {', '.join(sorted(OFFERED))}", field=where)
    path = value.get("path")
    label, dot, key = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    stage = next((stage for stage in pipeline.stages if stage.id == label), None)
    if not dot or stage is None:
        raise InvalidInput("'path' is ID.PARAMETER, with the 'id' that a stage of the pipeline has",
                           field=f"{where}.path")
    params = stages.params(stage.name)
    if params is None or key not in params.model_fields:
        raise InvalidInput(f"the stage {stage.name!r} has no parameter {key[:64]!r}", field=f"{where}.path")
    for limit in LIMITS:
        given = value.get(limit)
        if given is not None and (isinstance(given, bool) or not isinstance(given, int | float)):
            raise InvalidInput("a number", field=f"{where}.{limit}")
    enum = value.get("enum")
    if enum is not None and (not isinstance(enum, list) or not 1 <= len(enum) <= 100 or not all(
            isinstance(each, str | int | float | bool) for each in enum)):
        raise InvalidInput("a list of 1 to 100 values", field=f"{where}.enum")
    length = value.get("max_length")
    made = Parameter(label, key, line(value.get("title", ""), NAME, f"{where}.title"),
                     line(value.get("description", ""), SUMMARY, f"{where}.description"), value.get("minimum"),
                     value.get("maximum"), None if length is None else int(length),
                     None if enum is None else tuple(enum))
    if key in stage.params:
        try:
            made.check(stage.params[key], where)
        except InvalidInput as error:
            raise InvalidInput(f"the pipeline's own value is outside: {error.detail}", field=where) from None
    return made


def line(value: object, most: int, field: str) -> str:
    """Text in one line. Raises `InvalidInput`."""
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > most or not text.isprintable():
        raise InvalidInput(f"{field} has at most {most} characters, in one line", field=field)
    return text


def prose(value: object, most: int, field: str) -> str:
    """Text in several lines. Raises `InvalidInput`."""
    if not isinstance(value, str) or len(value) > most or any(
            not letter.isprintable() and letter not in "\n\r\t" for letter in value):
        raise InvalidInput(f"{field} has at most {most} characters, and none that control something", field=field)
    return value


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > TAGS:
        raise InvalidInput(f"at most {TAGS} tags", field="tags")
    found = tuple(dict.fromkeys(line(tag, TAG, "tags").lower() for tag in value))
    if "" in found:
        raise InvalidInput("no tag is empty", field="tags")
    return found


def _permissions(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or any(each not in PERMISSIONS for each in value):
        raise InvalidInput(f"'permissions' are some of {', '.join(PERMISSIONS)}", field="permissions")
    return tuple(each for each in PERMISSIONS if each in value)


def _origins(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > EMBEDS or not all(isinstance(each, str) for each in value):
        raise InvalidInput(f"'embed' is a list of at most {EMBEDS} web origins", field="embed")
    for each in value:
        if not ORIGIN.fullmatch(each):
            raise InvalidInput(f"{each[:64]!r} is no web origin; one is https://example.org", field="embed")
        if urlsplit(each).scheme == "http" and urlsplit(each).hostname not in ("localhost", "127.0.0.1"):
            raise InvalidInput("pages that show an app come over TLS: https://", field="embed")
    return tuple(dict.fromkeys(value))


# goes into a header as it stands, so nothing in it may end a word there
ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:[0-9]{1,5})?")
