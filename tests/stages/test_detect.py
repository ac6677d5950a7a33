"""The stage that finds things: real engine, real finders, drawn things at known places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import numpy as np
import pytest
from pydantic import ValidationError

from aimass_stream.errors import InvalidInput, InvalidPipeline, ModelFailed, Unavailable
from aimass_stream.events import DetectorReady
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Device, Engine, FolderStore, Model, installed
from aimass_stream.stages import detect
from aimass_stream.stages.detect import Detect
from aimass_stream.vision.overlay import PALETTE
from aimass_stream.weights import npm

from ..support import detectors as made
from ..support.context import Context, params, video
from ..support.mediapipe import needs
from ..support.models import Doubler
from ..support.sights import code, pasted, person, wall

pytestmark = pytest.mark.anyio

# these tests are about what is found in one picture, on however busy a machine
PATIENT: dict[str, Any] = {"deadline": 5000, "follow": False}

SIGN = pasted(wall(), code("exit 7"), 300, 100)  # its modules begin at (316, 116)


@asynccontextmanager
async def staged(store: FolderStore | None = None, **given: Any) -> AsyncIterator[tuple[Detect, Context]]:
    """The stage at work on an engine of its own."""
    context = Context()
    context.engine = Engine(store or installed())
    stage = Detect(params("detect", **PATIENT | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def frame(picture: Pixels, number: int = 0, **fields: Any) -> VideoFrame:
    return video(number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={}, **fields)


async def shown(stage: Detect, given: VideoFrame) -> VideoFrame:
    answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    return answer


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[FolderStore]:
    """The installed models and one that finds a thing at (32, 40) of 64x32 px in a picture of 320x320."""
    answer = np.zeros((1, 6, 20), np.float32)
    answer[0, :, 3] = [64, 56, 64, 32, 0.9, 0.1]
    made.constant(tmp_path, "thing", answer, {"head": "yolo", "labels": ["thing", "other"]})
    store, before = installed(), installed().folders
    store.add(tmp_path)
    yield store
    store.folders = before


async def test_what_is_found_rides_on_the_very_frame() -> None:
    async with staged(engine="opencv", model="opencv-codes", overlay=False) as (stage, context):
        for number in range(3):
            here = frame(pasted(wall(), code("exit 7"), 60 + 100 * number, 100), number)
            answer = await shown(stage, here)
            assert answer is here
            assert answer.pts == number * 3000
            note = answer.notes["detect"]
            [found] = note["detections"]
            assert (note["model"], note["tier"]) == ("opencv-codes", "no-weights")
            assert (note["width"], note["height"]) == (640, 480)
            assert found["text"] == "exit 7"
            assert found["box"][:2] == pytest.approx([76 + 100 * number, 116], abs=3)
    assert [data.type for data, _ in context.events] == ["detector.ready"]


async def test_boxes_are_drawn_on_it() -> None:
    async with staged(engine="opencv", model="opencv-codes") as (stage, _):
        before = frame(SIGN)
        after = await shown(stage, before)
    assert after.notes is before.notes
    rows, columns = np.nonzero(after.picture.i420[:480] != before.picture.i420[:480])
    assert columns.min() == pytest.approx(315, abs=4)
    assert after.picture.i420[150, 316] == PALETTE[0][0]
    assert rows.max() < 300


async def test_faces_of_mediapipe() -> None:
    needs("mediapipe-faces")
    async with staged() as (stage, _):
        answer = await shown(stage, frame(person(wall(), 200, 220, 70)))
    note = answer.notes["detect"]
    [face] = note["detections"]
    assert (note["model"], face["label"], len(face["points"])) == ("mediapipe-faces", "face", 6)
    x, y, width, height = face["box"]
    assert (x + width / 2, y + height / 2) == pytest.approx((200, 220), abs=30)


FAR = person(wall(), 560, 300, 14)


async def test_small_faces_in_parts_of_the_picture() -> None:
    needs("mediapipe-faces")
    async with staged(engine="faces", overlay=False) as (stage, _):
        assert (await shown(stage, frame(FAR))).notes["detect"]["detections"] == []
        stage.update(params("detect", **PATIENT, engine="faces", overlay=False, tiles=3))  # type: ignore[arg-type]
        [face] = (await shown(stage, frame(FAR, 1))).notes["detect"]["detections"]
    assert face["box"][0] + face["box"][2] / 2 == pytest.approx(560, abs=8)


async def test_a_turned_picture_is_seen_upright() -> None:
    turned = np.ascontiguousarray(np.rot90(SIGN))  # the sender asks for 90° clockwise
    async with staged(engine="opencv", model="opencv-codes") as (stage, _):
        answer = await shown(stage, frame(turned, rotation=90))
    assert (answer.width, answer.height, answer.rotation) == (640, 480, 0)
    [found] = answer.notes["detect"]["detections"]
    assert found["box"][:2] == pytest.approx([316, 116], abs=3)


async def test_every_so_many_pictures_and_boxes_stay_between() -> None:
    async with staged(engine="opencv", model="opencv-codes", every=3) as (stage, _):
        answers = [await shown(stage, frame(SIGN, number)) for number in range(7)]
    assert ["detect" in answer.notes for answer in answers] == [True, False, False, True, False, False, True]
    for answer in answers:
        assert answer.picture.i420[150, 316] == PALETTE[0][0]


async def test_the_filters(shelf: FolderStore) -> None:
    async def count(**given: Any) -> int:
        stage.update(params("detect", **PATIENT, model="thing", **given))  # type: ignore[arg-type]
        answer = await shown(stage, frame(np.zeros((320, 320, 3), np.uint8)))
        return len(answer.notes["detect"]["detections"])

    async with staged(shelf, model="thing") as (stage, _):
        assert await count() == 1
        assert await count(threshold=0.95) == 0
        assert await count(classes="other") == 0
        assert await count(classes=" other, thing ") == 1
        with pytest.raises(InvalidPipeline, match="thing knows no 'cat'; it knows: thing, other") as refused:
            stage.update(params("detect", **PATIENT, model="thing", classes="cat"))  # type: ignore[arg-type]
        assert refused.value.field == "classes"


async def test_weights_are_taken_by_themselves_and_another_model_without_a_gap(shelf: FolderStore) -> None:
    dark = np.zeros((320, 320, 3), np.uint8)
    async with staged(shelf) as (stage, _):
        answer = await shown(stage, frame(dark))
        assert (answer.notes["detect"]["model"], answer.notes["detect"]["tier"]) == ("thing", "weights")
        assert answer.notes["detect"]["detections"] == [{"label": "thing", "score": 0.9, "box": [32, 40, 64, 32]}]
        stage.update(params("detect", **PATIENT, model="opencv-codes"))  # type: ignore[arg-type]
        models = set()
        async with asyncio.timeout(30):
            while "opencv-codes" not in models:
                models.add((await shown(stage, frame(dark))).notes["detect"]["model"])
        assert models <= {"thing", "opencv-codes"}


async def test_it_gives_way_to_weights_that_come_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "SEEK", 0.0)
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    answer = np.zeros((1, 6, 20), np.float32)
    answer[0, :, 3] = [64, 56, 64, 32, 0.9, 0.1]
    options = {"head": "yolo", "labels": ["thing", "other"]}
    dark = np.zeros((320, 320, 3), np.uint8)

    async def until(stage: Detect, model: str) -> None:
        async with asyncio.timeout(30):
            while (await shown(stage, frame(dark))).notes["detect"]["model"] != model:
                continue

    store = FolderStore([tmp_path, *installed().folders])
    async with staged(store) as (stage, context), staged(store, model="opencv-codes") as (named, said):
        assert (await shown(stage, frame(dark))).notes["detect"]["model"] == "opencv-faces"
        made.constant(tmp_path, "broken", answer, options)
        (tmp_path / "broken" / "model.onnx").write_bytes(b"half of it")
        with pytest.raises(InvalidInput, match="has 10 bytes instead of"):
            await until(stage, "broken")
        made.constant(tmp_path, "whole", answer, options)
        await until(stage, "whole")
        told = [data for data, _ in context.events if isinstance(data, DetectorReady)]
        assert [(data.model, data.tier, data.reason) for data in told] == [
            ("opencv-faces", "no-weights", "no detector with weights is here"),
            ("whole", "weights", "its weights have come")]
        assert told[0].measured.startswith("average precision 0.19 for 47 people on 70 photographs")
        for _ in range(5):
            await shown(named, frame(dark))
        assert [data.reason for data, _ in said.events if isinstance(data, DetectorReady)] == ["it is named"]


async def test_two_detectors_in_one_pipeline_say_both(shelf: FolderStore) -> None:
    async with staged(shelf, model="thing") as (first, _), staged(model="opencv-codes") as (second, _):
        answer = await shown(second, await shown(first, frame(SIGN)))
    assert answer.notes["detect"]["model"] == "thing"
    assert answer.notes["detect opencv-codes"]["detections"][0]["text"] == "exit 7"


@pytest.mark.parametrize(("given", "told"), [
    ({"model": "dragons"}, "there is no detector 'dragons'"),
    ({"engine": "opencv", "model": "mediapipe-faces"}, "of the engine opencv"),
    ({"engine": "onnx"}, "there is no detector of the engine onnx"),
    ({"engine": "opencv", "classes": "cat"}, "opencv-faces knows no 'cat'; it knows: face"),
])
async def test_what_can_not_be_is_refused_at_the_start(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidPipeline, match=told):
        async with staged(**given):
            pass


async def test_without_npm_the_stage_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    with pytest.raises(Unavailable, match="npm package @mediapipe/face_detection is not installed: run `npm"):
        async with staged(engine="faces"):
            pass
    async with staged() as (stage, _):  # auto has a last resort
        assert (await shown(stage, frame(wall()))).notes["detect"]["model"] == "opencv-faces"


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"every": 0}, {"limit": 1001}, {"engine": "magic"}, {"size": 1}])
def test_parameters_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        params("detect", **wrong)


# models that are late, or hang ---------------------------------------------------------------------------


class Gated(Doubler):
    """Runs as another model does, once its gate is open."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.name, max_batch=1)
        self.model = model
        self.inputs, self.outputs = model.inputs, model.outputs

    def warm_up(self) -> None:
        self.model.warm_up()

    def run(self, batch: Any) -> Any:
        self.entered.set()
        assert self.gate.wait(20)
        return self.model.run(batch)


class GatedStore(FolderStore):
    gated: Gated

    def open(self, name: str, device: Device) -> Model:
        self.gated = Gated(super().open(name, device))
        return self.gated


async def test_a_model_that_hangs_is_told_about_and_asked_ever_more_seldom() -> None:
    store = GatedStore(installed().folders)
    async with staged(store, model="opencv-codes") as (stage, context):
        assert (await shown(stage, frame(SIGN))).notes["detect"]["detections"]
        stage.update(params("detect", model="opencv-codes", deadline=30, follow=False))  # type: ignore[arg-type]
        store.gated.gate.clear()
        store.gated.entered.clear()
        with pytest.raises(ModelFailed, match=r"opencv-codes has not answered for 1\.03 s"):
            await stage.process(frame(SIGN, 1))
        assert store.gated.entered.is_set()
        skipped, untouched = 0, 0
        async with asyncio.timeout(30):
            while skipped < 3:
                here = frame(SIGN, 2)
                answer = await shown(stage, here)
                if here.notes:
                    assert here.notes["detect"]["skipped"] == "deadline"
                    skipped += 1
                else:
                    untouched += answer is here
                    await asyncio.sleep(0)
        assert untouched > 100  # pictures went on at full rate meanwhile
        store.gated.gate.set()
        stage.update(params("detect", **PATIENT, model="opencv-codes"))  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            while "detections" not in here.notes.get("detect", {}):
                here = frame(SIGN, 3)
                await stage.process(here)
                await asyncio.sleep(0)
    assert context.drops == {}  # no picture was
