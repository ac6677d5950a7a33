import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from aimass_stream.errors import InvalidPipeline
from aimass_stream.spec import MAX_STAGES, PipelineSpec


class Mirror(BaseModel, extra="forbid"):
    strength: float = Field(1, ge=0, le=1)


def check(value: object) -> list[BaseModel]:
    return PipelineSpec.parse(value).validate({"mirror": Mirror}.get, lambda: ["mirror"])


def test_nothing_is_an_empty_pipeline() -> None:
    assert PipelineSpec.parse(None) == PipelineSpec.parse([]) == PipelineSpec.parse("[]") == PipelineSpec()


def test_it_goes_to_json_and_back() -> None:
    value = [{"stage": "mirror", "id": "a", "track": "video-0", "strength": 0.5}, {"stage": "blur", "radius": 3}]
    spec = PipelineSpec.parse(value)
    assert spec.json() == value
    assert PipelineSpec.parse(json.dumps(value)) == spec


@pytest.mark.parametrize(("value", "field"), [
    ("not json", "pipeline"),
    ({"stage": "mirror"}, "pipeline"),
    ([{"stage": "mirror"}] * (MAX_STAGES + 1), "pipeline"),
    (["mirror"], "pipeline[0]"),
    ([{"stage": "mirror"}, {}], "pipeline[1].stage"),
    ([{"stage": 7}], "pipeline[0].stage"),
    ([{"stage": "mirror", "id": 7}], "pipeline[0].id"),
    ([{"stage": "mirror", "id": "a"}, {"stage": "mirror", "id": "a"}], "pipeline[0].id"),
    ([{"stage": "mirror"}, {"stage": "miror"}], "pipeline[1].stage"),
    ([{"stage": "mirror", "strength": 2}], "pipeline[0].strength"),
    ([{"stage": "mirror", "strenght": 1}], "pipeline[0].strenght"),
    ("[" * 100_000, "pipeline"),
])
def test_what_is_wrong_is_named(value: object, field: str) -> None:
    with pytest.raises(InvalidPipeline) as caught:
        check(value)
    assert caught.value.field == field


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8) | st.just("stage"), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_a_pipeline_or_a_clear_error(value: object) -> None:
    try:
        params = check(value)
    except InvalidPipeline as caught:
        error = caught
    else:
        assert len(params) == len(PipelineSpec.parse(value).stages)
        return
    assert error.field is not None
    assert error.detail
