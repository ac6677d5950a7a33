"""The stage that paints after a picture: real engine, a network with weights by chance."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
from PIL import Image
from pydantic import ValidationError

from aimass_stream import clips
from aimass_stream.engines.style import any as engine_style  # noqa: F401  likewise
from aimass_stream.errors import InvalidPipeline
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, FolderStore, installed
from aimass_stream.stages.style import Style, StyleParams
from tests.painting.test_inline import url
from tests.support import styles
from tests.support.context import Context, video
from tests.support.options import settings
from tests.support.server import serve
from tests.support.sockets import JPEG, joined, jpeg

pytestmark = pytest.mark.anyio

ANY = "style-any"
SCENE = clips.draw(40, 128, 96)
NOISE = np.asarray(np.random.default_rng(7).integers(0, 256, (60, 90, 3)), np.uint8)
STRIPES = np.where((np.mgrid[:80, :80].sum(0) // 8 % 2)[..., None] == 1, [250, 60, 10], [20, 20, 90]).astype(np.uint8)
FIRST, SECOND = url(Image.fromarray(NOISE)), url(Image.fromarray(STRIPES))


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    folder = tmp_path_factory.mktemp("styles")
    styles.write(folder, "style-starry-night", seed=1, title="The Starry Night")
    styles.write_any(folder)
    store, before = installed(), installed().folders
    store.folders = (folder,)
    yield store
    store.folders = before


@asynccontextmanager
async def staged(**given: Any) -> AsyncIterator[tuple[Style, Context]]:
    context = Context()
    context.engine = Engine(installed())
    stage = Style(StyleParams.model_validate(given))
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


async def painted(stage: Style, picture: Pixels = SCENE) -> Pixels:
    answer = await stage.process(video(0, picture=Picture.from_bgr(picture)))
    assert isinstance(answer, VideoFrame)
    return answer.bgr


async def until_another(stage: Style, before: Pixels) -> Pixels:
    async with asyncio.timeout(30):
        while gap(now := await painted(stage), before) < 1:
            pass
    return now


def gap(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


async def test_a_picture_is_the_style() -> None:
    async with staged(name=FIRST) as (stage, context):
        one = await painted(stage)
        assert one.shape == SCENE.shape
        assert gap(one, SCENE) > 1
        assert set(context.engine.models()) == {ANY}
        assert np.array_equal(await painted(stage), one)  # a still picture stays as it is
        stage.update(StyleParams(name=FIRST, strength=0.25))
        assert gap(await painted(stage), np.asarray(0.25 * one.astype(float) + 0.75 * SCENE)) < 1
        assert len(context.engine._models[ANY].slots.held()) == 1  # the style was learned in a state of its own


async def test_styles_of_pictures_and_of_networks_take_over_without_a_gap() -> None:
    async with staged(name="starry-night") as (stage, context):
        first = await painted(stage)
        stage.update(StyleParams(name=FIRST))
        assert np.array_equal(await painted(stage), first)  # not yet the new one, and not nothing
        second = await until_another(stage, first)
        stage.update(StyleParams(name=FIRST, second="starry-night", mix=0.25))
        both = await until_another(stage, second)
        assert gap(both, np.asarray(0.75 * second.astype(float) + 0.25 * first)) < 2
        stage.update(StyleParams(name=SECOND, mix=0.25))
        third = await until_another(stage, both)
        assert gap(third, second) > 1
        assert context.drops == {}
        assert not context.engine._models["style-starry-night"].slots.held()


async def test_two_pictures_are_mixed_as_numbers_and_painted_at_once() -> None:
    async with staged(name=FIRST, second=SECOND, mix=0) as (stage, context):
        first = await painted(stage)
        runs = context.engine.statistics()[ANY].runs
        stage.update(StyleParams(name=FIRST, second=SECOND, mix=1))
        second = await painted(stage)
        assert context.engine.statistics()[ANY].runs == runs + 1
        stage.update(StyleParams(name=FIRST, second=SECOND, mix=0.5))
        half = await painted(stage)
    for name, wanted in ((FIRST, first), (SECOND, second)):
        async with staged(name=name) as (stage, _):
            assert np.array_equal(await painted(stage), wanted)
    assert 0 < gap(half, first) < gap(second, first)
    assert gap(half, second) < gap(first, second)


ODD = {
    "flat": Image.new("RGB", (64, 48), (40, 60, 120)), "1x1": Image.new("RGB", (1, 1), "red"),
    "large": Image.new("RGB", (4096, 40), "blue"), "alpha": Image.fromarray(np.dstack([NOISE, NOISE[:, :, 0]])),
    "clear": Image.new("RGBA", (30, 30), (0, 0, 0, 0)), "grey": Image.fromarray(NOISE[:, :, 0]),
    "16 bits": Image.fromarray(STRIPES[:, :, 0].astype(np.uint16) * 257),
}


async def test_odd_pictures_have_a_result() -> None:
    async with staged() as (stage, context):
        before = await painted(stage)
        for name, image in [*ODD.items(), ("CMYK", Image.fromarray(NOISE).convert("CMYK"))]:
            stage.update(StyleParams(name=url(image, "JPEG" if name == "CMYK" else "PNG")))
            assert stage._loading is not None, name
            await asyncio.wait([stage._loading])
            made = await painted(stage)
            assert made.shape == SCENE.shape, name
            assert gap(made, before) > 0.5, name
            before = made
        assert context.drops == {}


async def test_what_is_transparent_is_white() -> None:
    found = []
    for image in (ODD["clear"], Image.new("RGB", (30, 30), "white")):
        async with staged(name=url(image)) as (stage, _):
            found.append(await painted(stage))
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize(("given", "told"), [
    ("data:text/plain,hello", "base64 data: URL of image/jpeg, image/png, image/webp"),
    ("data:image/png;base64,AAAA", "can't be read"), (url(Image.new("L", (5000, 2))), "larger than 4096 px"),
    ("data:image/png;base64," + "A" * 350_000, "at most 350000"),
])
def test_what_is_no_picture_is_refused(given: str, told: str) -> None:
    for field in ("name", "second"):
        with pytest.raises(ValidationError, match=told):
            StyleParams.model_validate({field: given})


async def test_a_picture_that_is_cut_off_is_told_and_the_old_style_stays() -> None:
    head, _, body = FIRST.partition(",")
    cut = f"{head},{body[: len(body) // 8 * 4]}"
    with pytest.raises(InvalidPipeline, match="the picture can't be read"):
        async with staged(name=cut):
            pass
    async with staged() as (stage, _):
        before = await painted(stage)
        stage.update(StyleParams(second=cut))
        assert stage._loading is not None
        await asyncio.wait([stage._loading])
        with pytest.raises(InvalidPipeline, match="the picture can't be read") as told:
            await painted(stage)
        assert told.value.field == "second"
        assert np.array_equal(await painted(stage), before)


async def test_without_the_network_that_is_told(shelf: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "folders", ())
    with pytest.raises(InvalidPipeline, match="no network is installed that takes its style from a picture"):
        async with staged(name=FIRST):
            pass


async def test_a_session_takes_a_picture_and_misses_none() -> None:
    hello = {"type": "hello", "version": 1, "pipeline": [{"stage": "style", "name": "星空", "steady": False}],
             "in": {"video": {"codec": "jpeg"}}}
    still = jpeg(40)
    async with serve(settings()) as server, joined(server.ws_url, hello) as socket:
        await socket.event("session.created")
        numbers = itertools.count()

        async def seen() -> Pixels:
            number = next(numbers)
            await socket.send(JPEG, 1, 3000 * number, still)
            piece = await socket.piece(1, 20)
            assert piece.pts == 3000 * number
            return np.asarray(cv2.imdecode(np.frombuffer(piece.payload, np.uint8), cv2.IMREAD_COLOR), np.uint8)

        first = await seen()
        await socket.say({"type": "stage.update", "index": 0, "params": {"name": FIRST}})
        async with asyncio.timeout(30):
            while gap(second := await seen(), first) < 7:
                pass
        await socket.say({"type": "stage.update", "index": 0, "params": {"second": "data:image/png;base64,AAAA"}})
        assert "can't be read" in str(await socket.event("error"))
        assert gap(await seen(), second) < 7
