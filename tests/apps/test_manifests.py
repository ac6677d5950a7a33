"""What an app may say of itself, and which of its parameters can be set to what."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from aimass_stream.apps.manifests import manifest_of, manifest_read, schema_of
from aimass_stream.errors import InvalidInput
from tests.support.apps import STAGES, manifest


def test_a_manifest_is_kept_as_it_was_read() -> None:
    made = manifest_of(manifest(embed=["https://example.org"], latency_ms=200), STAGES)
    assert made.tags == ("camera",)
    assert manifest_read(json.loads(json.dumps(made.json()))) == made
    assert manifest_of(made.json(), STAGES) == made


@pytest.mark.parametrize(("changes", "field"), [
    ({"name": " "}, "name"), ({"name": "a\nb"}, "name"), ({"name": 3}, "name"), ({"nonsense": 1}, "nonsense"),
    ({"pipeline": []}, "pipeline"), ({"pipeline": None}, "pipeline"),
    ({"pipeline": [{"stage": "no-such"}]}, "pipeline[0].stage"),
    ({"pipeline": [{"stage": "blur", "id": "soft", "sigma": -1}]}, "pipeline[0].sigma"),
    ({"parameters": []}, "parameters"), ({"parameters": {"A": {"path": "soft.sigma"}}}, "parameters.A"),
    ({"parameters": {"a": {"path": "soft"}}}, "parameters.a.path"),
    ({"parameters": {"a": {"path": "other.sigma"}}}, "parameters.a.path"),
    ({"parameters": {"a": {"path": "soft.no_such"}}}, "parameters.a.path"),
    ({"parameters": {"a": {"path": "soft.sigma", "minimum": "1"}}}, "parameters.a.minimum"),
    ({"parameters": {"a": {"path": "soft.sigma", "enum": []}}}, "parameters.a.enum"),
    ({"parameters": {"a": {"path": "soft.sigma", "maximum": 1}}}, "parameters.a"),  # its own value is 4
    ({"parameters": {"a": {"path": "soft.sigma", "nonsense": 1}}}, "parameters.a"),
    ({"permissions": ["everything"]}, "permissions"), ({"embed": ["example.org"]}, "embed"),
    ({"embed": ["https://a.example; script-src *"]}, "embed"), ({"embed": ["http://a.example"]}, "embed"),
    ({"tags": ["a", ""]}, "tags"), ({"latency_ms": 3}, "latency_ms"), ({"latency_ms": True}, "latency_ms"),
    ({"description": "\0"}, "description"), ({"description": "x" * 20_000}, "description"),
    ({"example": {"input": {}, "expect": {"video": 1}}}, "example.input"),
    ({"example": {"input": {"text": "a"}, "expect": {}}}, "example.expect"),
    ({"example": {"input": {"text": "a"}, "expect": {"video": 0}}}, "example.expect.video"),
    ({"example": {"input": {"sound": {"seconds": 1e9}}, "expect": {"audio": 1}}}, "example.input.sound.seconds"),
    ({"example": {"input": {"picture": {"url": "data:,x"}}, "expect": {"video": 1}}}, "example.input.picture.url"),
])
def test_what_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        manifest_of(manifest(**changes), STAGES)
    assert refused.value.field == field


def test_only_what_is_exposed_is_set_and_only_within_its_bounds() -> None:
    made = manifest_of(manifest(), STAGES)
    changed = made.with_values(made.pipeline, {"softness": 9, "words": "EXIT"})
    assert [stage.params for stage in changed.stages] == [{"sigma": 9}, {"text": "EXIT"}]
    assert made.with_values(changed, {"words": "in"}).stages[0].params == {"sigma": 9}  # what was set stays
    for values, field in (({"sigma": 9}, "sigma"), ({"softness": 21}, "softness"), ({"softness": 0}, "softness"),
                          ({"softness": float("nan")}, "softness"), ({"softness": "9"}, "softness"),
                          ({"words": "x" * 13}, "words"), ({"words": 7}, "words")):
        with pytest.raises(InvalidInput) as refused:
            made.with_values(made.pipeline, values)
        assert refused.value.field == f"parameters.{field}"


def test_the_schema_has_the_narrower_bounds_and_the_apps_values() -> None:
    schema = schema_of(manifest_of(manifest(), STAGES), STAGES)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (schema["properties"]["softness"]["maximum"], schema["properties"]["softness"]["default"]) == (20, 4)
    assert schema["properties"]["words"]["maxLength"] == 12
