"""The stage that runs a model of the catalogue: real engine, real networks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
from onnx import TensorProto, helper
from pydantic import ValidationError

from aimass_stream.errors import InvalidInput, InvalidPipeline, ModelFailed, NotFound
from aimass_stream.frames import Picture, VideoFrame
from aimass_stream.inference import Batch, Capabilities, Engine, FolderStore, installed
from aimass_stream.settings import Settings
from aimass_stream.spec import PipelineSpec
from aimass_stream.stage import Stage
from tests.support.context import REGISTRY, Context, video
from tests.support.models import Doubler
from tests.support.options import settings
from tests.support.server import serve
from tests.support.session import open_session, opened_node

pytestmark = pytest.mark.anyio

NAME = "golden-hour"


def checked(**given: Any) -> Any:
    model = REGISTRY.params("model")
    assert model is not None
    return model.model_validate(given)


async def process_until(stage: Stage, frame: VideoFrame, condition: Callable[[VideoFrame], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = await stage.process(frame)
            if isinstance(answer, VideoFrame) and condition(answer):
                return


def difference(frame: VideoFrame, wanted: Any) -> int:
    return int(np.abs(frame.bgr.astype(int) - wanted).max())


class Broken(Doubler):
    """Takes the place of the built-in model, and works no more once it is warm."""

    def __init__(self) -> None:
        super().__init__(NAME, max_batch=1)
        entry = installed().get(NAME)
        self.inputs, self.outputs = entry.inputs, entry.outputs
        self.runs = 0

    def warm_up(self) -> None:
        """Nothing to warm."""

    def run(self, batch: Batch) -> Batch:
        self.runs += 1
        if self.runs > 3:  # after it was measured
            raise RuntimeError("out of order")
        return {"styled": batch["image"]}


@asynccontextmanager
async def staged(store: FolderStore | None = None, **given: Any) -> AsyncIterator[tuple[Stage, Context]]:
    """The stage at work on an engine of its own."""
    context = Context()
    context.engine = Engine(store or installed())
    stage = REGISTRY.create("model", checked(**given))
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def negative(folder: Path, name: str, shape: list[Any]) -> None:
    """Add a model that answers 1 - x to a folder of models."""
    (folder / name).mkdir()
    one = helper.make_node("Constant", [], ["one"], value_float=1.0)
    graph = helper.make_graph(
        [one, helper.make_node("Sub", ["one", "image"], ["styled"])], "negative",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / name / "model.onnx"))
    source = installed().get(NAME)
    text = (source.folder / "model.toml").read_text(encoding="utf-8").replace(f'name = "{NAME}"', f'name = "{name}"')
    content, [file] = (folder / name / "model.onnx").read_bytes(), source.files
    text = text.replace(f"size = {file.size}", f"size = {len(content)}")
    text = text.replace(file.sha256, hashlib.sha256(content).hexdigest())
    axes = ", ".join(f'"{axis}"' if isinstance(axis, str) else str(axis) for axis in shape)
    text = text.replace('["n", 3, "height", "width"]', f"[{axes}]").replace("example = [1, 3, 240, 320]", "")
    (folder / name / "model.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[FolderStore]:
    """The installed models and two more, of any size and of 32×24 px only; known to parameters as well."""
    negative(tmp_path, "negative", ["n", 3, "height", "width"])
    negative(tmp_path, "small-negative", [1, 3, 24, 32])
    store, before = installed(), installed().folders
    store.add(tmp_path)
    yield store
    store.folders = before


async def test_the_picture_is_redrawn_and_everything_else_stays() -> None:
    frame = video(7, 320, 240)
    async with staged(name=NAME) as (stage, context):
        answer = await stage.process(frame)
    assert isinstance(answer, VideoFrame)
    assert (answer.pts, answer.track, answer.width, answer.height) == (frame.pts, "video-0", 320, 240)
    red, blue = answer.bgr[..., 2].astype(int), answer.bgr[..., 0].astype(int)
    assert (red - blue).mean() > (frame.bgr[..., 2].astype(int) - frame.bgr[..., 0]).mean() + 10  # warmer
    assert context.ran == ["_planes", "_picture"]


async def test_strength_mixes_with_what_came(shelf: FolderStore) -> None:
    frame = video(1, 64, 48)
    async with staged(shelf, name="negative") as (stage, _):
        full = (await stage.process(frame)).bgr  # type: ignore[union-attr]
        assert np.abs(full.astype(int) - (255 - frame.bgr)).max() <= 1
        stage.update(checked(name="negative", strength=0.25))
        mixed = (await stage.process(frame)).bgr  # type: ignore[union-attr]
        wanted = 0.25 * (255.0 - frame.bgr) + 0.75 * frame.bgr
        assert np.abs(mixed - wanted).max() <= 2
        stage.update(checked(name="negative", strength=0))
        assert await stage.process(frame) is frame


async def test_every_size_and_turn_of_picture_goes_through_a_model_of_one_size(shelf: FolderStore) -> None:
    async with staged(shelf, name="small-negative") as (stage, _):
        for width, height, rotation in ((64, 48, 0), (2, 2, 0), (30, 50, 90), (32, 24, 180), (640, 480, 0)):
            picture = Picture.from_bgr(np.full((height, width, 3), 55, np.uint8))
            answer = await stage.process(video(0).replace(picture=picture, rotation=rotation))
            assert isinstance(answer, VideoFrame)
            turned = rotation in (90, 270)
            assert (answer.width, answer.height) == ((height, width) if turned else (width, height))
            assert answer.rotation == 0
            assert np.abs(answer.bgr.astype(int) - 200).max() <= 3


async def test_another_model_takes_over_without_a_gap(shelf: FolderStore) -> None:
    frame = video(1, 64, 48)
    async with staged(shelf, name="negative") as (stage, _):
        stage.update(checked(name=NAME))
        first = await stage.process(frame)  # not yet the new one, and not nothing
        assert isinstance(first, VideoFrame)
        assert difference(first, 255 - frame.bgr) <= 1
        await process_until(stage, frame, lambda answer: difference(answer, 255 - frame.bgr) > 20)


async def test_a_model_that_cannot_be_loaded_is_told_and_the_old_one_stays(shelf: FolderStore, tmp_path: Path) -> None:
    frame = video(1, 64, 48)
    async with staged(shelf, name="negative") as (stage, context):
        (tmp_path / "small-negative" / "model.onnx").write_bytes(b"rubbish")
        stage.update(checked(name="small-negative"))
        with pytest.raises(InvalidInput, match=r"model\.onnx has 7 bytes"):
            await process_until(stage, frame, lambda answer: False)
        assert isinstance(await stage.process(frame), VideoFrame)
        assert context.drops == {}


async def test_a_picture_that_waited_too_long_is_dropped_and_counted() -> None:
    slow = Doubler("slow")
    async with staged(name=NAME, deadline=100) as (stage, context):
        await context.engine.add(slow)
        context.engine._models[NAME].at_once = 1  # as it is measured where it gains nothing beside another run
        slow.noting = True
        slow.gate.clear()
        held = asyncio.create_task(context.engine.submit("slow", {"x": np.zeros((1, 4), np.float32)}, session="b"))
        while not slow.entered.is_set():  # noqa: ASYNC110  it enters in a thread
            await asyncio.sleep(0.001)
        assert await stage.process(video(1, 64, 48)) is None
        assert context.drops == {"deadline": 1}
        slow.gate.set()
        await held
        assert await stage.process(video(2, 64, 48)) is not None
        assert context.engine.statistics()[NAME].drops == {"deadline": 1}


async def test_many_sessions_share_one_model() -> None:
    async with staged(name=NAME) as (stage, context):
        others = []
        for number in range(4):
            beside = Context()
            beside.engine, beside.session = context.engine, f"s_{number}"
            other = REGISTRY.create("model", checked(name=NAME))
            await other.start(beside)
            others.append(other)
        answers = await asyncio.gather(*(each.process(video(number, 64, 48)) for number, each in
                                         enumerate([stage, *others])))
        assert all(isinstance(answer, VideoFrame) for answer in answers)
        assert context.engine.statistics()[NAME].rows == 5
        for other in others:
            await other.close()


async def test_a_model_of_another_kind_is_refused_at_the_start(shelf: FolderStore, tmp_path: Path) -> None:
    negative(tmp_path, "one-channel", ["n", 1, "height", "width"])
    with pytest.raises(InvalidPipeline, match="one picture of one picture") as caught:
        async with staged(shelf, name="one-channel"):
            pass
    assert caught.value.field == "name"


async def test_a_model_that_was_taken_out_is_loaded_again_by_a_change() -> None:
    frame = video(1, 64, 48)
    context = Context()
    context.engine = Engine(installed())
    await context.engine.add(Broken())
    stage = REGISTRY.create("model", checked(name=NAME))
    await stage.start(context)
    for _ in range(5):
        with pytest.raises(ModelFailed, match="out of order"):
            await stage.process(frame)
    with pytest.raises(ModelFailed, match="taken out"):
        await stage.process(frame)
    stage.update(checked(name=NAME, strength=0.5))
    async with asyncio.timeout(30):
        while True:
            try:
                assert isinstance(await stage.process(frame), VideoFrame)
                break
            except (ModelFailed, NotFound):  # until it is there
                await asyncio.sleep(0.001)
    await stage.close()
    await context.engine.close()


@pytest.mark.parametrize(("given", "field", "complaint"), [
    ({"name": "nothing"}, "name", "there are: golden-hour"),
    ({"name": "../golden-hour"}, "name", "there are: golden-hour"),
    ({"name": NAME, "strength": 1.5}, "strength", "less than or equal to 1"),
    ({"name": NAME, "deadline": 0}, "deadline", "greater than or equal to 1"),
    ({"name": NAME, "depth": 1}, "depth", "Extra inputs"),
])
def test_wrong_parameters_are_refused_and_name_the_field(given: dict[str, Any], field: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        checked(**given)
    spec = PipelineSpec.parse([{"stage": "mirror"}, {"stage": "model", **given}])
    with pytest.raises(InvalidPipeline, match=complaint) as caught:
        spec.validate(REGISTRY.params, REGISTRY.names)
    assert caught.value.field == f"pipeline[1].{field}"


def test_the_list_of_stages_offers_the_models() -> None:
    described = next(stage for stage in REGISTRY.describe() if stage["name"] == "model")
    assert described["accepts"] == ["video"]
    assert NAME in described["params"]["properties"]["name"]["enum"]


async def test_a_folder_of_models_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed(), "folders", installed().folders)
    negative(tmp_path, "negative", ["n", 3, "height", "width"])
    chosen = Settings.model_validate(settings().model_dump() | {"model_dirs": str(tmp_path)})
    async with serve(chosen) as server, httpx.AsyncClient(base_url=server.url) as client:
        stages = (await client.get("/v1/stages")).json()["stages"]
        offered = next(stage for stage in stages if stage["name"] == "model")["params"]["properties"]["name"]["enum"]
        assert offered == [NAME, "negative"]
        assert server.node.engine.store.get("negative").folder.parent == tmp_path


class Hanging(Broken):
    """Works while it is measured; after that, a run takes as long as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(longest=0.2)
        self.gate.clear()

    def run(self, batch: Batch) -> Batch:
        self.runs += 1
        if self.runs > 3:
            self.gate.wait(30)
        return {"styled": batch["image"]}


async def test_a_model_that_hangs_is_told_and_its_pictures_pass_untouched() -> None:
    model, pictures = Hanging(), [video(number, 64, 48) for number in range(8)]
    async with opened_node() as node:
        await node.engine.add(model)
        session, sink = await open_session(node, [{"stage": "model", "name": NAME}])
        try:
            for number, picture in enumerate(pictures):
                session.push(picture)
                await sink.until(lambda number=number: len(sink.of("video")) > number)  # type: ignore[misc]
            assert [frame.picture for _, frame in sink.of("video")] == [picture.picture for picture in pictures]
            first, *others = sink.typed("stage.failed")
            assert "taken out because a run had not ended after 0 s" in first.data["detail"]
            assert len(others) == 4
            assert len(sink.typed("stage.bypassed")) == 1
        finally:
            model.gate.set()
