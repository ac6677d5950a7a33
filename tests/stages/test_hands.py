"""The stage that follows hands: real networks on drawn hands."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import numpy as np
import pytest
from PIL import Image

from aimass_stream.errors import Unavailable
from aimass_stream.events import HandDigit, HandGesture
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, installed
from aimass_stream.stages.hands import Hands
from aimass_stream.weights import npm

from ..support.context import Context, params, video
from ..support.mediapipe import needs
from ..support.sights import hand, shared, wall

pytestmark = pytest.mark.anyio

PATIENT: dict[str, Any] = {"deadline": 5000}  # these tests are about what is found, on however busy a machine

OPEN = hand(wall(), 320, 260, 70)
VICTORY = hand(wall(), 320, 260, 70, "1100", thumb=False)


@asynccontextmanager
async def staged(**given: Any) -> AsyncIterator[tuple[Hands, Context]]:
    needs("mediapipe-palms", "mediapipe-hand")
    context = Context()
    context.engine = Engine(installed())
    stage = Hands(params("hands", **PATIENT | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def frame(picture: Pixels, number: int = 0, **fields: Any) -> VideoFrame:
    return video(number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={}, **fields)


def mirrored(picture: Pixels) -> Pixels:
    return np.ascontiguousarray(picture[:, ::-1])


async def hands_of(stage: Hands, given: VideoFrame) -> list[dict[str, Any]]:
    answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    assert answer.pts == given.pts
    found: list[dict[str, Any]] = answer.notes["hands"]["hands"]
    return found


def told(context: Context) -> list[tuple[int, str, int]]:
    """Hand, gesture and the pts of the frame, of each event."""
    return [(event.hand, event.gesture, about.pts) for event, about in context.events
            if isinstance(event, HandGesture) and about is not None]


async def test_a_hand_is_followed_and_what_it_shows_is_told_once_with_its_frame() -> None:
    async with staged() as (stage, context):
        for number in range(5):
            [found] = await hands_of(stage, frame(np.roll(OPEN, 6 * number, axis=1), number))
        assert (found["hand"], found["gesture"]) == (1, "open")
        tips = np.array(found["points"])[[8, 12, 16, 20]]
        assert (tips[:, 1] < 200).all()  # above the palm
        assert abs(np.array(found["points"])[:, 0].mean() - 344) < 50
        for number in range(5, 10):
            [found] = await hands_of(stage, frame(VICTORY, number))
        assert (found["hand"], found["gesture"]) == (1, "victory")
        assert await hands_of(stage, frame(wall(), 10)) == []
    assert [(hand, shown) for hand, shown, _ in told(context)] == [(1, "open"), (1, "victory"), (1, "none")]
    assert [pts // 3000 for _, _, pts in told(context)] == [2, 7, 10]
    assert context.ran.count("prepare") == 5  # at the start, at each third picture, and when the hand is gone


async def test_two_hands_and_no_more_than_are_wanted() -> None:
    other = hand(wall(), 160, 240, 60, "1100", thumb=False)
    picture = mirrored(hand(mirrored(other), 160, 300, 60))
    async with staged(overlay=False) as (stage, _):
        for number in range(4):
            here = frame(picture, number)
            assert await stage.process(here) is here
        both = {found["gesture"]: found for found in here.notes["hands"]["hands"]}
        assert set(both) == {"open", "victory"}
        assert both["open"]["side"] != both["victory"]["side"]
        stage.update(params("hands", **PATIENT, most=1))  # type: ignore[arg-type]
        assert len(await hands_of(stage, frame(picture, 4))) == 1


async def test_it_is_drawn_and_turned_pictures_are_seen_upright() -> None:
    async with staged() as (stage, _):
        before = frame(np.ascontiguousarray(np.rot90(OPEN)), rotation=90)
        after = await stage.process(before)
    assert isinstance(after, VideoFrame)
    assert (after.width, after.height, after.rotation) == (640, 480, 0)
    changed = np.argwhere(np.abs(after.bgr.astype(int) - OPEN).max(axis=2) > 60)
    assert 150 < len(changed) < 20_000
    assert changed.min() > 80


async def test_pictures_of_any_size() -> None:
    async with staged() as (stage, _):
        for number, (width, height) in enumerate([(640, 480), (2, 2), (18, 34), (640, 16), (322, 182)]):
            assert await hands_of(stage, frame(np.full((height, width, 3), 90, np.uint8), number)) == []


async def test_without_npm_the_stage_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    context = Context()
    context.engine = Engine(installed())
    with pytest.raises(Unavailable, match="npm package @mediapipe/hands is not installed: run `npm"):
        await Hands(params("hands")).start(context)  # type: ignore[arg-type]
    await context.engine.close()


@pytest.fixture(scope="module")
def signs() -> dict[str, list[VideoFrame]]:
    """Ten people's hands for each of three signs, from the set beside the project."""
    wanted = {"1": "point", "2": "victory", "5": "open"}
    found: dict[str, list[VideoFrame]] = {shown: [] for shown in wanted.values()}
    with tarfile.open(shared("images", "sign_digits.tar")) as archive:
        members = sorted((member for member in archive.getmembers() if member.name.endswith(".jpg")),
                         key=lambda member: member.name)
        for digit, shown in wanted.items():
            for member in [member for member in members if f"/{digit}/" in member.name][::20][:10]:
                content = archive.extractfile(member)
                assert content is not None
                small = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB").resize((300, 300)))[..., ::-1]
                found[shown].append(frame(np.pad(small, ((90, 90), (170, 170), (0, 0)), mode="edge")))
    return found


async def test_gestures_of_real_hands(signs: dict[str, list[VideoFrame]]) -> None:
    right = 0
    async with staged(overlay=False, most=1) as (stage, context):
        for shown, pictures in signs.items():
            for picture in pictures:
                context.events.clear()
                stage._hands = []
                for _ in range(3):
                    await stage.process(picture)
                right += [gesture for _, gesture, _ in told(context)][-1:] == [shown]
    assert right >= 27  # of 30


async def test_digits_of_people_are_told_once_and_end_with_the_hand(signs: dict[str, list[VideoFrame]]) -> None:
    [picture, *_] = signs["victory"]  # signs 2
    async with staged(overlay=False, most=1, digits=True) as (stage, context):
        for number in range(12):
            [found] = await hands_of(stage, picture.replace(pts=number * 3000, notes={}))
        assert found["digit"] == 2
        assert found["chance"] > 0.8
        stage.update(params("hands", **PATIENT, overlay=False, most=1))  # type: ignore[arg-type]
        [found] = await hands_of(stage, picture.replace(pts=12 * 3000, notes={}))
        assert "digit" not in found
        stage.update(params("hands", **PATIENT, most=1, digits=True))  # type: ignore[arg-type]
        for number in range(13, 25):
            after = await stage.process(picture.replace(pts=number * 3000, notes={}))
        assert isinstance(after, VideoFrame)
        assert await hands_of(stage, frame(wall(), 25)) == []
    digits = [(event.digit, about.pts // 3000) for event, about in context.events
              if isinstance(event, HandDigit) and about is not None]
    assert [digit for digit, _ in digits] == [2, 2, None]
    assert digits[0][1] in range(4, 9)


async def test_digits_of_drawn_hands() -> None:
    async with staged(overlay=False, digits=True) as (stage, context):
        for number in range(12):
            [found] = await hands_of(stage, frame(OPEN, number))
        assert found["digit"] == 5
    # the stage ended, and with it what it says
    assert [event.digit for event, _ in context.events if isinstance(event, HandDigit)] == [5, None]
