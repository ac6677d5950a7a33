"""The stage that reads: real networks, set words at known places, and models that are late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from aimass_stream import fonts
from aimass_stream.engines import rapidocr
from aimass_stream.errors import ModelFailed, Unavailable
from aimass_stream.events import TextRead
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Batch, CpuDevice, Device, Engine, FolderStore, Model, installed
from aimass_stream.seeing.reader import READER
from aimass_stream.stages import ocr
from aimass_stream.stages.ocr import Ocr
from aimass_stream.vision.text import stacked, strip

from ..support.context import Context, params, video
from ..support.sights import photograph, shared, wall
from ..support.writing import needs_reader, put

pytestmark = pytest.mark.anyio

fonts.available()
PATIENT: dict[str, Any] = {"deadline": 10000, "every": 1}  # these tests are about what is read
WALL = np.asarray(np.minimum(wall(480, 320).astype(int) + 80, 255), np.uint8)
OPEN = put(WALL, "Open at 9:30", 60, 80, 36)
SHUT = put(WALL, "Closed today", 60, 80, 36)
MOVED = [put(WALL, "Open at 9:30", 60 + 12 * number, 80 + 5 * number, 36) for number in range(6)]
TWO = put(put(WALL, "Platform 12", 60, 150, 34, degrees=15), "Exit", 320, 230, 34)
CHINESE = put(WALL, "安全出口", 80, 90, 48)


class Counting:
    """A model that notes how many rows it was given, and waits for its gate."""

    def __init__(self, model: Model) -> None:
        self.model, self.rows = model, 0
        self.gate = threading.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def run(self, batch: Batch) -> Batch:
        assert self.gate.wait(20)
        self.rows += len(next(iter(batch.values())))
        return self.model.run(batch)


class CountingStore(FolderStore):
    def __init__(self) -> None:
        super().__init__(installed().folders)
        self.opened: dict[str, Counting] = {}

    def open(self, name: str, device: Device) -> Model:
        self.opened[name] = made = Counting(super().open(name, device))
        return made

    @property
    def read(self) -> int:
        """Strips, since the last time that it was set."""
        return self.opened[READER].rows


@asynccontextmanager
async def staged(**given: Any) -> AsyncIterator[tuple[Ocr, Context, CountingStore]]:
    needs_reader()
    context, store = Context(), CountingStore()
    context.engine = Engine(store)
    stage = Ocr(params("ocr", **PATIENT | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        store.opened[READER].rows = 0  # what it warmed up with
        yield stage, context, store
        await stage.close()
    finally:
        await context.engine.close()


def frame(picture: Pixels, number: int = 0, **fields: Any) -> VideoFrame:
    return video(number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={}, **fields)


async def told(stage: Ocr, context: Context, picture: Pixels, number: int = 0, **fields: Any) -> Any:
    """What is told of this very picture."""
    given, before = frame(picture, number, **fields), len(context.events)
    async with asyncio.timeout(30):
        while len(context.events) == before:
            await stage.process(given)
            await asyncio.sleep(0.002)
    data, of = context.events[-1]
    assert of is given
    return data.model_dump()["notes"]["ocr"]


async def test_a_line_is_read_where_it_is_and_told_of_its_very_picture() -> None:
    async with staged(overlay=False) as (stage, context, _):
        note = await told(stage, context, OPEN)
    [line] = note["lines"]
    assert (note["width"], note["height"], line["text"]) == (480, 320, "Open at 9:30")
    assert line["score"] > 0.8
    left, top = np.array(line["polygon"]).min(axis=0)
    right, bottom = np.array(line["polygon"]).max(axis=0)
    assert (left, top) == pytest.approx((60, 86), abs=12)
    assert right - left == pytest.approx(230, abs=40)
    assert bottom - top == pytest.approx(40, abs=14)


async def test_pictures_go_on_while_one_is_read() -> None:
    async with staged(overlay=False) as (stage, context, store):
        store.opened[READER].gate.clear()
        for number in range(50):
            given = frame(OPEN, number)
            assert await stage.process(given) is given
        assert context.events == []
        store.opened[READER].gate.set()
        assert stage._looking is not None
        await asyncio.wait([stage._looking], timeout=20)
        assert [data.type for data, _ in context.events] == ["text.read", "frame.result"]
        assert [of.pts for _, of in context.events if of is not None] == [0, 0]  # late, of the picture that it was


async def test_writing_is_read_once_and_anew_when_it_changes() -> None:
    async with staged(overlay=False, again=600) as (stage, context, store):
        numbers = set()
        for number, moved in enumerate(MOVED):
            [line] = (await told(stage, context, moved, number))["lines"]
            assert line["text"] == "Open at 9:30"
            numbers.add(line["line"])
        assert len(numbers) == 1
        assert store.read == 1
        [line] = (await told(stage, context, SHUT, 7))["lines"]
        assert line["text"] == "Closed today"
        assert line["line"] not in numbers
        assert (await told(stage, context, WALL, 8))["lines"] == []
        first, second = (data for data, _ in context.events if isinstance(data, TextRead))
        assert (first.text, second.text) == ("Open at 9:30", "Closed today")
        assert (first.line, second.line) == (numbers.pop(), line["line"])
        assert first.score > 0.8
        assert first.box == pytest.approx((60, 86, 230, 40), abs=40)


async def test_a_slanted_line_and_two_in_a_picture() -> None:
    async with staged() as (stage, context, _):
        lines = (await told(stage, context, TWO))["lines"]
        assert {line["text"] for line in lines} == {"Platform 12", "Exit"}
        shown = await stage.process(frame(TWO, 1))
    assert isinstance(shown, VideoFrame)
    changed = np.argwhere(shown.picture.i420[:320] != frame(TWO).picture.i420[:320])
    assert len(changed) > 300  # outlines and words are drawn in


async def test_a_turned_picture_is_read_upright() -> None:
    turned = np.ascontiguousarray(np.rot90(OPEN))  # the sender asks for 90° clockwise
    async with staged() as (stage, context, _):
        note = await told(stage, context, turned, rotation=90)
        shown = await stage.process(frame(turned, 1, rotation=90))
    assert (note["width"], [line["text"] for line in note["lines"]]) == (480, ["Open at 9:30"])
    assert isinstance(shown, VideoFrame)
    assert (shown.width, shown.height, shown.rotation) == (480, 320, 0)


async def test_chinese() -> None:
    if not fonts.has(fonts.choose("出口安全"), "安"):
        pytest.skip("no font here has Chinese letters")
    async with staged() as (stage, context, _):
        [line] = (await told(stage, context, CHINESE))["lines"]
        assert line["text"] == "安全出口"
        shown = await stage.process(frame(WALL, 1))
    assert isinstance(shown, VideoFrame)
    assert (shown.width, shown.height) == (480, 320)


async def test_a_size_that_changes_and_pictures_without_writing() -> None:
    async with staged() as (stage, context, _):
        await told(stage, context, OPEN)
        for width, height in ((2, 2), (640, 16), (16, 480)):
            note = await told(stage, context, np.zeros((height, width, 3), np.uint8))
            assert (note["width"], note["height"], note["lines"]) == (width, height, [])


async def test_a_model_that_is_late_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "HANGS", 1.5)
    async with staged(deadline=50) as (stage, context, store):
        store.opened[READER].gate.clear()
        with pytest.raises(ModelFailed, match=r"have not answered for 1\.55 s"):
            await told(stage, context, OPEN)
        assert await told(stage, context, OPEN) == {"skipped": "deadline"}
        store.opened[READER].gate.set()
        stage.update(params("ocr", **PATIENT))  # type: ignore[arg-type]
        assert (await told(stage, context, OPEN))["lines"]


async def test_without_the_wheel_the_stage_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapidocr, "find_spec", lambda name: None)
    context = Context()
    context.engine = Engine(installed())
    stage = Ocr(params("ocr"))  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="run `pip install rapidocr-onnxruntime`"):
        await stage.start(context)
    await context.engine.close()


def test_words_of_street_scenes() -> None:
    """Straight, slanted and curved ones, each as it was cut out; without case and spaces."""
    needs_reader()
    listed = dict(line.split("\t") for line in shared("images", "words", "labels.txt").read_text().splitlines())
    pictures = [photograph("words", name) for name in listed]
    device = CpuDevice(threads=1)
    model = installed().open(READER, device)
    strips = [strip(each, np.array([[0, 0], [each.shape[1], 0], [each.shape[1], each.shape[0]], [0, each.shape[0]]],
                                   np.float32)) for each in pictures]
    said = [model.run({"strips": stacked([each])})["texts"][0] for each in strips]
    model.close()
    device.close()
    right = sum(text.replace(" ", "").lower() == wanted.replace(" ", "").lower()
                for text, wanted in zip(said, listed.values(), strict=True))
    assert right >= 7
