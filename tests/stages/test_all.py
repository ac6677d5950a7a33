"""What every stage owes: odd pictures and sound, errors that name the field, a description the page can use."""

from __future__ import annotations

from typing import Any

import jsonschema
import numpy as np
import pytest

from aimass_stream import fonts
from aimass_stream.errors import InvalidPipeline
from aimass_stream.frames import AudioFrame, Picture, VideoFrame
from aimass_stream.spec import PipelineSpec
from aimass_stream.stages import BUILT_IN
from benchmarks.stages import PAGE, measured, page

from ..support.context import REGISTRY, audio, once, silence, started, video

pytestmark = pytest.mark.anyio

fonts.available()
SIZES = [(16, 16), (2, 2), (18, 34), (640, 16), (16, 480), (322, 182), (4, 4), (640, 480)]
CHANCE = np.random.default_rng(1)
NOISE = {size: CHANCE.integers(0, 256, (size[1] * 3 // 2, size[0]), np.uint8) for size in SIZES}

VIDEO: list[tuple[str, dict[str, Any]]] = [
    ("mirror", {}), ("rotate", {}), ("rotate", {"degrees": 33}), ("rotate", {"degrees": 33, "fit": "grow"}),
    ("crop", {"x": 0.3, "width": 0.4, "y_px": 7}), ("gray", {}), ("edges", {}), ("edges", {"on": "picture"}),
    ("cartoon", {}), ("blur", {}), ("blur", {"sigma": 200}), ("text", {"text": "{frame} {fps}\nж", "size": 20}),
    ("mute", {"video": True}), ("fps", {"max": 240}), ("rule", {})]
AUDIO: list[tuple[str, dict[str, Any]]] = [("gain", {"db": 7}), ("mute", {}), ("level", {"rate": 50})]


@pytest.mark.parametrize(("name", "given"), VIDEO)
async def test_a_size_that_changes_with_each_frame(name: str, given: dict[str, Any]) -> None:
    stage, _ = await started(name, **given)
    for number, size in enumerate(SIZES):
        frame = video(number, picture=Picture.from_i420(NOISE[size]), notes={"seen": number})
        before = NOISE[size].copy()
        after = await stage.process(frame)
        assert isinstance(after, VideoFrame)
        assert after.width % 2 == after.height % 2 == 0
        assert min(after.width, after.height) >= 2
        assert after.picture.i420.shape == (after.height * 3 // 2, after.width)
        assert after.picture.i420.dtype == np.uint8
        assert (after.picture.av.width, after.bgr.shape) == (after.width, (after.height, after.width, 3))
        assert (after.pts, after.track, after.notes) == (frame.pts, frame.track, {"seen": number})
        np.testing.assert_array_equal(NOISE[size], before)
    await stage.close()


@pytest.mark.parametrize(("name", "given"), AUDIO)
async def test_odd_sound(name: str, given: dict[str, Any]) -> None:
    stage, _ = await started(name, **given)
    for count, channels, rate in ((0, 1, 48_000), (1, 1, 8_000), (960, 2, 48_000), (0, 2, 48_000), (7, 6, 44_100)):
        after = await stage.process(audio(silence(count, channels), rate=rate))
        assert isinstance(after, AudioFrame)
        assert after.samples.shape == (count, channels)
        assert (after.samples.dtype.name, after.rate) == ("int16", rate)
    await stage.close()


async def test_turned_pictures_are_seen_upright() -> None:
    for name, given in (("crop", {"width": 0.5}), ("text", {}), ("gray", {}), ("rotate", {"degrees": 0})):
        after = await once(name, video(picture=Picture.from_i420(NOISE[640, 480]), rotation=270), **given)
        assert after.rotation == 0
        assert after.height == 640


@pytest.mark.parametrize(("stage", "field", "told"), [
    ({"stage": "rotate", "degrees": 361}, "degrees", "less than or equal to 360"),
    ({"stage": "rotate", "fit": "squeeze"}, "fit", "'fill', 'keep' or 'grow'"),
    ({"stage": "crop", "x": -0.1}, "x", "greater than or equal to 0"),
    ({"stage": "crop", "width_px": 1.5}, "width_px", "valid integer"),
    ({"stage": "blur", "sigma": float("inf")}, "sigma", "finite"),
    ({"stage": "gain", "db": "loud"}, "db", "valid number"),
    ({"stage": "gain", "db": None}, "db", "valid number"),
    ({"stage": "gain", "volume": 3}, "volume", "not permitted"),
    ({"stage": "gray", "amount": 1}, "amount", "not permitted"),
    ({"stage": "text", "text": "{frame} {nonsense}"}, "text", "no live value {nonsense}"),
    ({"stage": "text", "text": ["a"]}, "text", "valid string"),
    ({"stage": "text", "text": "x" * 501}, "text", "at most 500"),
    ({"stage": "text", "colour": "red"}, "colour", "pattern"),
    ({"stage": "delay", "ms": 5001}, "ms", "5000"),
    ({"stage": "delay", "mode": "slow"}, "mode", "'hold' or 'busy'"),
    ({"stage": "level", "rate": 0}, "rate", "0.1"),
    ({"stage": "fps", "max": 0}, "max", "0.1"),
    ({"stage": "mute", "audio": "perhaps"}, "audio", "boolean"),
])
def test_a_wrong_parameter_is_named(stage: dict[str, Any], field: str, told: str) -> None:
    spec = PipelineSpec.parse([{"stage": "mirror"}, stage])
    with pytest.raises(InvalidPipeline) as refused:
        spec.validate(REGISTRY.params, REGISTRY.names)
    assert refused.value.field == f"pipeline[1].{field}"
    assert told in refused.value.detail


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_description_is_enough_for_controls(name: str) -> None:
    described = next(item for item in REGISTRY.describe() if item["name"] == name)
    assert described["title"]
    assert described["doc"].endswith(".")
    assert set(described["accepts"]) <= {"audio", "video", "text"}
    assert described["accepts"]
    schema = described["params"]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert not schema.get("required")
    for part in schema.get("properties", {}).values():
        assert part["description"]
        assert "default" in part
        if part["type"] in ("number", "integer"):
            assert part["minimum"] <= part["default"] <= part["maximum"]
            assert part["unit"] or part["description"]


def test_the_reference_is_up_to_date() -> None:
    """`python -m benchmarks.stages --keep` writes it anew."""
    text = PAGE.read_text()
    assert page(REGISTRY, measured(text)) == text
