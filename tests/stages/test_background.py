"""The stage that hides what is behind a person: real masks of drawn people."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from aimass_stream.errors import InvalidPipeline, Unavailable
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Device, Engine, FolderStore, Model, installed
from aimass_stream.stages.background import Background
from aimass_stream.weights import npm

from ..support.context import Context, params, video
from ..support.mediapipe import needs
from ..support.models import Doubler
from ..support.sights import person, wall

pytestmark = pytest.mark.anyio

PATIENT: dict[str, Any] = {"deadline": 5000}  # these tests are about what is found, on however busy a machine

SITTING = person(wall(), 320, 220, 100)
GREEN: dict[str, Any] = {"mode": "colour", "colour": "#00ff00"}


@asynccontextmanager
async def staged(store: FolderStore | None = None, **given: Any) -> AsyncIterator[tuple[Background, Context]]:
    needs("mediapipe-person", "mediapipe-person-wide")
    context = Context()
    context.engine = Engine(store or installed())
    stage = Background(params("background", **PATIENT | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def frame(picture: Pixels, number: int = 0, **fields: Any) -> VideoFrame:
    return video(number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={}, **fields)


async def shown(stage: Background, given: VideoFrame) -> VideoFrame:
    answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    return answer


def green(picture: Pixels) -> Any:
    """Where it is green, (h, w)."""
    whole = picture.astype(int)
    return (whole[..., 1] > 200) & (whole[..., 0] < 60) & (whole[..., 2] < 60)


async def test_the_person_stays_and_the_rest_is_a_colour() -> None:
    before = frame(SITTING, 7)
    async with staged(**GREEN) as (stage, context):
        after = await shown(stage, before)
    assert (after.pts, after.track, after.width, after.height) == (before.pts, "video-0", 640, 480)
    assert after.notes == {}
    there = green(after.bgr)
    assert there[:, :100].all()
    assert there[:60].all()
    assert not there[130:270, 265:375].any()
    np.testing.assert_allclose(after.bgr[170:270, 280:360].astype(int), before.bgr[170:270, 280:360], atol=3)
    assert context.ran == ["_prepared", "_refined", "_composed"]


async def test_the_blur_leaves_the_person_sharp() -> None:
    busy = wall()
    busy[:, ::8] = 255
    async with staged(blur=4) as (stage, _):
        after = await shown(stage, frame(person(busy, 320, 220, 100)))
    luma = after.picture.i420[:480].astype(int)
    assert np.abs(np.diff(luma[:, 20:150], axis=1)).max() <= 4  # where lines of 100 levels were
    assert np.abs(np.diff(luma[170:240, 270:370], axis=1)).max() > 30  # eyes


async def test_modes_change_while_frames_flow_and_pictures_of_any_size_come() -> None:
    async with staged() as (stage, _):
        for number, (width, height) in enumerate([(640, 480), (640, 480), (480, 640), (2, 2), (18, 34), (640, 16)]):
            for mode in ("blur", "colour", "picture"):
                stage.update(params("background", **PATIENT, mode=mode))  # type: ignore[arg-type]
                answer = await shown(stage, frame(np.full((height, width, 3), 90, np.uint8), number))
                assert answer.picture.i420.shape == (height * 3 // 2, width)


async def test_a_turned_picture_is_seen_upright() -> None:
    async with staged(**GREEN) as (stage, _):
        answer = await shown(stage, frame(np.ascontiguousarray(np.rot90(SITTING)), rotation=90))
    assert (answer.width, answer.height, answer.rotation) == (640, 480, 0)
    assert green(answer.bgr)[:, :100].all()
    assert not green(answer.bgr)[130:270, 265:375].any()


@pytest.fixture(scope="module")
def grainy() -> list[VideoFrame]:
    """A still person before a camera's noise."""
    dice = np.random.default_rng(3)
    return [frame(np.asarray(np.clip(SITTING + dice.normal(0, 6, SITTING.shape), 0, 255), np.uint8), number)
            for number in range(12)]


def changes(alphas: list[Pixels]) -> float:
    """The mean step between neighbouring frames."""
    return float(np.mean([np.abs(after.astype(float) - before).mean() for before, after in itertools.pairwise(alphas)]))


async def test_the_outline_of_a_still_person_flickers_at_most_half_as_much(grainy: list[VideoFrame]) -> None:
    flicker = []
    for steady in (False, True):
        async with staged(steady=steady, **GREEN) as (stage, _):
            alphas: list[Pixels] = []
            for picture in grainy:
                await stage.process(picture)
                assert stage._alpha is not None
                alphas.append(stage._alpha)
        flicker.append(await asyncio.to_thread(changes, alphas[4:]))
    assert flicker[1] <= flicker[0] / 2


async def test_it_keeps_up_with_thirty_pictures_a_second() -> None:
    pictures = [frame(np.roll(SITTING, number, axis=1), number) for number in range(30)]
    async with staged() as (stage, _):
        await stage.process(pictures[0])
        begun = time.process_time()
        for picture in pictures:
            await stage.process(picture)
        share = time.process_time() - begun  # of the second that they last
    assert share < 0.9  # about 0.3 on the machine of benchmarks/vision.md


# when there is no mask ------------------------------------------------------------------------------------


class Gated(Doubler):
    """Runs as another model does, once its gate is open; `answer` may spoil what it says."""

    spoilt: float | None = None

    def __init__(self, model: Model) -> None:
        super().__init__(model.name, max_batch=1)
        self.model = model
        self.inputs, self.outputs = model.inputs, model.outputs

    def warm_up(self) -> None:
        self.model.warm_up()

    def run(self, batch: Any) -> Any:
        assert self.gate.wait(20)
        answer = self.model.run(batch)
        return answer if self.spoilt is None else {name: array * self.spoilt for name, array in answer.items()}


class GatedStore(FolderStore):
    def open(self, name: str, device: Device) -> Model:
        self.gated = Gated(super().open(name, device))
        return self.gated


async def test_without_an_answer_everything_is_covered_and_told() -> None:
    store = GatedStore(installed().folders)
    async with staged(store, model="mediapipe-person", **GREEN) as (stage, _):
        assert not green((await shown(stage, frame(SITTING))).bgr).all()
        stage.update(params("background", model="mediapipe-person", deadline=30, **GREEN))  # type: ignore[arg-type]
        store.gated.gate.clear()
        late = await shown(stage, frame(SITTING, 1))  # it hangs: the mask before is too old by then
        assert green(late.bgr).all()
        assert late.notes["background"] == {"covered": True, "reason": "mediapipe-person does not answer"}
        again = await shown(stage, frame(SITTING, 2))
        assert (green(again.bgr).all(), again.notes["background"]["reason"]) == (True, "deadline")
        store.gated.gate.set()
        stage.update(params("background", **PATIENT, model="mediapipe-person", **GREEN))  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            for number in itertools.count(3):
                if not green((await shown(stage, frame(SITTING, number))).bgr).all():
                    break


async def test_what_is_not_a_number_is_no_person() -> None:
    store = GatedStore(installed().folders)
    async with staged(store, model="mediapipe-person", **GREEN) as (stage, _):
        store.gated.spoilt = float("nan")
        assert green((await shown(stage, frame(SITTING))).bgr).all()


async def test_what_can_not_be_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match="no model of person masks 'dragons'; there are: mediapipe-person"):
        async with staged(model="dragons"):
            pass
    needs("mediapipe-person")
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    context = Context()
    context.engine = Engine(installed())
    with pytest.raises(Unavailable, match="npm package @mediapipe/selfie_segmentation is not installed: run `npm"):
        await Background(params("background")).start(context)  # type: ignore[arg-type]
    await context.engine.close()


# pictures given -------------------------------------------------------------------------------------------


def url(image: Image.Image, form: str = "PNG", **options: Any) -> str:
    file = io.BytesIO()
    image.save(file, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


RED = Image.new("RGB", (40, 20), (255, 0, 0))


async def test_a_picture_of_ones_own_is_behind() -> None:
    async with staged(mode="picture", picture=url(RED)) as (stage, _):
        after = await shown(stage, frame(SITTING))
    np.testing.assert_allclose(after.bgr[:, :100].reshape(-1, 3).mean(axis=0), [0, 0, 255], atol=4)
    assert after.bgr[200, 320, 1] > 100


@pytest.mark.parametrize(("given", "told"), [
    ("hello", "must be a base64 data: URL"), ("https://example.org/a.png", "must be a base64 data: URL"),
    ("data:image/gif;base64,AAAA", "must be a base64 data: URL"), ("data:image/png;base64,%%%", "can't be read"),
    ("data:image/png;base64,AAAA", "can't be read"), (url(RED)[:-40], "can't be read"),
    (url(RED, "JPEG").replace("image/jpeg", "image/png"), "can't be read"),
    (url(Image.new("L", (4098, 2))), "larger than 4096 px"), ("data:image/png;base64," + "A" * 350_000, "at most"),
])
def test_what_is_no_picture_is_refused(given: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        params("background", picture=given)
