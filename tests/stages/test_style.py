"""The stage that paints: real engine, networks with weights by chance."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
from pydantic import ValidationError

from aimass_stream import clips
from aimass_stream.engines import style as engine_style  # noqa: F401  likewise
from aimass_stream.errors import InvalidInput, InvalidPipeline
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Batch, Engine, FolderStore, installed
from aimass_stream.painting.steady import warp_error
from aimass_stream.stages.style import Style, StyleParams
from tests.support import styles
from tests.support.context import REGISTRY, Context, video
from tests.support.models import Doubler
from tests.support.options import settings
from tests.support.server import serve
from tests.support.sockets import JPEG, joined, jpeg

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    """Only these styles are there, whatever the installation has."""
    folder = tmp_path_factory.mktemp("styles")
    styles.write(folder, "style-starry-night", seed=1, title="The Starry Night")
    styles.write(folder, "style-scream", seed=2, title="The Scream")
    styles.write(folder, "style-quilt", seed=3, title="Grandma's quilt", card='names = ["被子"]')
    styles.write_any(folder)
    store, before = installed(), installed().folders
    store.folders = (folder,)
    yield store
    store.folders = before


class Noting(Engine):
    """Notes how many pixels it was given to paint."""

    areas: list[int]

    async def submit(self, model: str, inputs: Batch, **options: Any) -> Batch:
        if "picture" in inputs:
            self.areas.append(inputs["picture"].size // 3)
        return await super().submit(model, inputs, **options)


@asynccontextmanager
async def staged(**given: Any) -> AsyncIterator[tuple[Style, Context]]:
    context = Context()
    context.engine = Noting(installed())
    context.engine.areas = []
    stage = Style(StyleParams.model_validate(given))
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def framed(picture: Pixels, number: int = 0) -> VideoFrame:
    return video(number, picture=Picture.from_bgr(picture))


async def painted(stage: Style, picture: Pixels, number: int = 0) -> Pixels:
    answer = await stage.process(framed(picture, number))
    assert isinstance(answer, VideoFrame)
    return answer.bgr


async def painted_for_ever(stage: Style, picture: Pixels) -> None:
    async with asyncio.timeout(30):
        while True:
            await painted(stage, picture)


def gap(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def runs(context: Context, name: str = "style-starry-night") -> int:
    return int(context.engine.statistics()[name].runs)


def noisy(picture: Pixels, seed: int, noise: float = 2.0) -> Pixels:
    grain = np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


async def test_a_picture_is_painted_and_everything_else_stays() -> None:
    frame = video(7, 128, 96)
    async with staged() as (stage, context):
        answer = await stage.process(frame)
        assert isinstance(answer, VideoFrame)
        assert (answer.pts, answer.track, answer.width, answer.height) == (frame.pts, "video-0", 128, 96)
        assert gap(answer.bgr, frame.bgr) > 10
        assert context.ran == ["_look", "_finish"]
        stage.update(StyleParams(strength=0))
        assert await stage.process(frame) is frame
        stage.update(StyleParams(strength=0.25))
        mixed = await painted(stage, frame.bgr)
        assert gap(mixed, 0.25 * answer.bgr.astype(float) + 0.75 * frame.bgr) < 1


async def test_a_still_picture_is_painted_once() -> None:
    still = clips.draw(40, 128, 96)
    async with staged() as (stage, context):
        first = await painted(stage, noisy(still, 0))
        for number in range(1, 5):
            assert np.array_equal(await painted(stage, noisy(still, number)), first)
        assert runs(context) == 1
        stage.update(StyleParams(steady=False))
        assert not np.array_equal(await painted(stage, noisy(still, 9)), first)
        assert not np.array_equal(await painted(stage, noisy(still, 10)), await painted(stage, noisy(still, 11)))
        assert runs(context) == 4


async def test_steady_pictures_flicker_less_than_half() -> None:
    """A camera that wanders over a scene, with a noisy sensor; both ways of painting see the same."""
    wide = clips.draw(40, 320, 240)
    shown = [noisy(wide[number : number + 160, 2 * number : 2 * number + 200], number, 3) for number in range(7)]
    made: dict[bool, list[Pixels]] = {}
    for steady in (False, True):
        async with staged(steady=steady) as (stage, _):
            made[steady] = [await painted(stage, picture, number) for number, picture in enumerate(shown)]

    def error(found: list[Pixels]) -> float:
        return float(np.mean([warp_error((shown[at], shown[at + 1]), (found[at], found[at + 1])).made
                              for at in range(2, len(shown) - 1)]))

    assert await asyncio.to_thread(error, made[True]) < 0.5 * await asyncio.to_thread(error, made[False])


async def test_a_part_that_moves_is_painted_as_in_the_whole() -> None:
    still = clips.draw(40, 320, 240)
    moved = still.copy()
    moved[100:116, 40:60] = 250
    async with staged() as (stage, context):
        before = await painted(stage, still)
        for _ in range(16):
            after = await painted(stage, moved)
        assert np.array_equal(after[:, 200:], before[:, 200:])
        assert gap(after[100:116, 40:60], before[100:116, 40:60]) > 5
        whole, *parts = context.engine.areas
        assert whole == 320 * 240
        assert parts
        assert max(parts) < 0.4 * whole
        assert len(parts) < 16  # it had settled before
        async with staged(steady=False) as (other, _):
            wanted = await painted(other, moved)
        assert gap(after[90:126, 30:70], wanted[90:126, 30:70]) < 12


async def test_every_size_and_turn_goes_through() -> None:
    async with staged() as (stage, _):
        for width, height, rotation in ((64, 48, 0), (2, 2, 0), (30, 50, 90), (640, 16, 180), (16, 480, 0),
                                        (642, 362, 0)):
            picture = Picture.from_bgr(np.full((height, width, 3), 55, np.uint8))
            answer = await stage.process(video(0).replace(picture=picture, rotation=rotation))
            assert isinstance(answer, VideoFrame)
            assert (answer.width, answer.height) == ((height, width) if rotation == 90 else (width, height))
            assert answer.rotation == 0


async def test_another_style_takes_over_without_a_gap() -> None:
    picture = clips.draw(40, 128, 96)
    async with staged() as (stage, context):
        first = await painted(stage, picture)
        stage.update(StyleParams(name="scream"))
        assert np.array_equal(await painted(stage, picture), first)  # not yet the new one, and not nothing
        async with asyncio.timeout(30):
            while gap(await painted(stage, picture), first) < 10:
                pass
        assert context.drops == {}
        stage.update(StyleParams(name="scream", second="starry-night", mix=0.5))
        async with asyncio.timeout(30):
            while runs(context) < 2:
                await painted(stage, picture)
        both = await painted(stage, picture)
    async with staged(name="scream") as (stage, _):
        second = await painted(stage, picture)
    assert gap(both, 0.5 * first.astype(float) + 0.5 * second) < 2


async def test_a_style_that_cannot_be_loaded_is_told_and_the_old_one_stays(
        shelf: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "folders", (*shelf.folders, tmp_path))
    styles.write(tmp_path, "style-nan", styles.safetensors(
        styles.weights() | {"stem.bias": np.full(16, np.nan, np.float32)}))
    picture = clips.draw(40, 64, 48)
    async with staged() as (stage, _):
        first = await painted(stage, picture)
        stage.update(StyleParams(name="nan"))
        with pytest.raises(InvalidInput, match=r"stem\.bias has values that are no finite"):
            await painted_for_ever(stage, picture)
        assert np.array_equal(await painted(stage, picture), first)


async def test_sessions_share_a_style_and_give_their_states_back() -> None:
    async with staged() as (stage, context):
        others = []
        for number in range(4):
            beside = Context()
            beside.engine, beside.session = context.engine, f"s_{number}"
            other = Style(StyleParams())
            await other.start(beside)
            others.append(other)
        await asyncio.gather(*(painted(each, clips.draw(3, 64, 48)) for each in [stage, *others]))
        assert runs(context) == 5
        slots = context.engine._models["style-starry-night"].slots
        assert len(slots.held()) == 5
        for other in others:
            await other.close()
        assert len(slots.held()) == 1


async def test_a_picture_that_waited_too_long_is_dropped_and_counted() -> None:
    slow = Doubler("slow")
    async with staged(deadline=100) as (stage, context):
        await context.engine.add(slow)
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


@pytest.mark.parametrize(("said", "name"), [("The Starry Night", "starry-night"), ("星空", "starry-night"),
                                            ("screem", "scream"), ("呐喊", "scream"), ("被子", "quilt")])
def test_names_that_people_use(said: str, name: str) -> None:
    assert StyleParams(name=said).name == name


def test_a_style_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ValidationError, match=r"there are: quilt, scream, starry-night"):
        StyleParams(name="Mona Lisa")
    schema = REGISTRY.params("style")
    assert schema is not None
    offered = schema.model_json_schema()["properties"]
    assert offered["name"]["enum"] == ["quilt", "scream", "starry-night"]
    assert offered["second"]["enum"] == ["", "quilt", "scream", "starry-night"]


async def test_without_any_style_that_is_told(
        shelf: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "folders", (tmp_path,))
    with pytest.raises(InvalidPipeline, match="there are: none"):
        async with staged():
            pass


async def test_a_session_changes_its_style_and_misses_no_picture() -> None:
    hello = {"type": "hello", "version": 1, "pipeline": [{"stage": "style", "name": "星空", "steady": False}],
             "in": {"video": {"codec": "jpeg"}}}
    still = jpeg(40)
    async with serve(settings(max_fps=1000)) as server, joined(server.ws_url, hello) as socket:
        await socket.event("session.created")
        numbers = itertools.count()

        async def seen() -> Pixels:
            """What the same picture looks like now; each one that is sent comes back."""
            number = next(numbers)
            await socket.send(JPEG, 1, 3000 * number, still)
            piece = await socket.piece(1, 20)
            assert piece.pts == 3000 * number
            found = cv2.imdecode(np.frombuffer(piece.payload, np.uint8), cv2.IMREAD_COLOR)
            return np.asarray(found, np.uint8)

        first = await seen()
        assert gap(first, await seen()) < 7  # as far as JPEG goes
        await socket.say({"type": "stage.update", "index": 0, "params": {"name": "screem"}})
        async with asyncio.timeout(30):
            while gap(second := await seen(), first) < 9:
                pass
        await socket.say({"type": "stage.update", "index": 0, "params": {"name": "Mona Lisa"}})
        told = await socket.event("error")
        assert "there are: quilt, scream, starry-night" in str(told)
        assert gap(await seen(), second) < 7
