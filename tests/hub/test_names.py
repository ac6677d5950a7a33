"""Names of the hub in a stage's parameters: versions in their place, and what can't run there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import Conflict, InvalidInput, InvalidPipeline
from aimass_stream.hub.hub import Hub
from aimass_stream.hub.records import Deployment
from aimass_stream.spec import PipelineSpec
from aimass_stream.stages.style import NAMES
from tests.support.model_files import linear
from tests.support.model_hub import ADA, BOB, STAGES, opened, submitted

pytestmark = pytest.mark.anyio

HOPS = linear(np.eye(4, dtype=np.float32))  # sound in hops of 4 samples, as it came


async def deployed(hub: Hub, name: str, content: bytes, task: str, **wanted: Any) -> None:
    version = await submitted(hub, name, {"m.onnx": content}, task=task, capabilities={"batchable": False})
    assert version.state == "ready", version.reason
    await hub.deployments.deploy(ADA, name, Deployment("production", 1, **wanted))


def pinned(hub: Hub, *stages: dict[str, Any]) -> list[dict[str, Any]]:
    return hub.pin(PipelineSpec.parse(list(stages)), ADA, PipelineSpec()).json()


def test_every_field_says_what_it_takes() -> None:
    found = {(stage, name): wanted.tasks[0] for stage in STAGES.names()
             for name, wanted in STAGES.models(stage).items()}
    assert found == {
        ("style", "name"): "style-transfer", ("style", "second"): "style-transfer", ("model", "name"): "image-to-image",
        ("detect", "model"): "detection", ("detect", "attributes"): "attributes",
        ("classify", "model"): "classification",
        ("background", "model"): "person-segmentation", ("faces", "model"): "face-embedding",
        ("denoise", "model"): "noise-suppression", ("asr", "model"): "speech-recognition",
        ("assistant", "model"): "speech-recognition"}
    assert STAGES.models("no-such-stage") == {}


async def test_names_become_versions_where_a_model_of_the_task_can_run(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await deployed(hub, "calm", HOPS, "noise-suppression")
        await deployed(hub, "fish", linear(), "detection")
        await deployed(hub, "ear", linear(), "speech-recognition")
        await deployed(hub, "brush", linear(), "style-transfer")
        assert pinned(hub, {"stage": "denoise", "model": "calm"}, {"stage": "denoise", "model": "auto"},
                      {"stage": "asr", "model": "/models/a@1"}, {"stage": "asr", "model": "no-name"}) == [
            {"stage": "denoise", "model": "calm@1"}, {"stage": "denoise", "model": "calm@1"},
            {"stage": "asr", "model": "/models/a@1"}, {"stage": "asr", "model": "no-name"}]
        for stage, parameter, name, told in (
                ("style", "name", "fish", r"style\.name: fish@1 is a model for detection; one for style-transfer"),
                ("style", "second", "fish@production", "one for style-transfer is wanted"),
                ("style", "name", "brush", "can't run here: it is no network of ours for styles"),
                ("asr", "model", "calm", "one for speech-recognition is wanted"),
                ("asr", "model", "ear", "speech is recognised by whisper and emformer"),
                ("denoise", "model", "fish@9", "no version 9"), ("style", "name", "bird@1", "no deployed model 'bird'"),
                ("detect", "model", "calm@1", "one for detection or face-detection is wanted"),
                ("asr", "model", "auto", "no model here does 'speech-recognition'")):
            with pytest.raises(InvalidPipeline, match=told) as refused:
                pinned(hub, {"stage": "mirror"}, {"stage": stage, parameter: name})
            assert refused.value.field == f"pipeline[1].{parameter}"


async def test_names_with_commas_between(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await deployed(hub, "clothes", linear(), "attributes")
        await deployed(hub, "hats", linear(), "attributes")
        assert pinned(hub, {"stage": "detect", "attributes": "hats, clothes@production,"}) == [
            {"stage": "detect", "attributes": "hats@1,clothes@1"}]
        for attributes in ("clothes@1", "hats,clothes@1"):  # they are Ada's alone
            with pytest.raises(InvalidPipeline, match="no deployed model"):
                hub.pin(PipelineSpec.parse([{"stage": "detect", "attributes": attributes}]), BOB, PipelineSpec())


async def test_what_people_call_a_style_is_no_name_of_the_hub(tmp_path: Path) -> None:
    """Neither the paintings that are there, nor words that somebody else's private model is called by."""
    async with opened(tmp_path, sandboxed=False) as hub:
        await deployed(hub, "the-scream", linear(), "style-transfer")
        await deployed(hub, "vincent", linear(), "detection")
        assert hub.meant(NAMES, "the-scream", ADA) == "the-scream"
        assert hub.meant(NAMES, "data:image/png;base64,AAAA", ADA) == "data:image/png;base64,AAAA"
        assert hub.meant(NAMES, "vincent", BOB) == "vincent"
        with pytest.raises(InvalidInput, match="vincent@1 is a model for detection"):
            hub.meant(NAMES, "vincent", ADA)


async def test_canaries_count_and_holders_hold(tmp_path: Path) -> None:
    held: dict[str, list[str]] = {"job_1": ["calm@1"]}
    async with opened(tmp_path, sandboxed=False) as hub:
        await deployed(hub, "calm", HOPS, "noise-suppression")
        await submitted(hub, "calm", {"m.onnx": HOPS}, task="noise-suppression", capabilities={"batchable": False})
        await hub.deployments.deploy(ADA, "calm", Deployment("production", 1, 2, 25))
        found = Counter(pinned(hub, {"stage": "denoise", "model": "calm"})[0]["model"] for _ in range(40))
        assert found == {"calm@1": 30, "calm@2": 10}
        await hub.deployments.deploy(ADA, "calm", Deployment("production", 2))
        hub.holders.append(lambda: held)
        with pytest.raises(Conflict, match="calm@1 is in use: by job job_1"):
            await hub.delete_version(ADA, "calm", 1)
        held.clear()
        await hub.delete_version(ADA, "calm", 1)
