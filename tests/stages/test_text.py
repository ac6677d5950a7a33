from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream import fonts
from aimass_stream.frames import Picture, Pixels, now
from aimass_stream.stage_base import BLACK, NEUTRAL, black, planes
from aimass_stream.stages.text import NAMES, PLACES, TextParams, _Writer, clean, fill

from ..support.context import once, params, started, video

pytestmark = pytest.mark.anyio

fonts.available()  # looks at the disk, once
GROUND = Picture.from_i420(np.full((720, 640), 100, np.uint8))


def changed(picture: Picture) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (px) of what is not the ground any more."""
    y, x = np.nonzero(planes(picture.i420)[0] != 100)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


async def written(text: str, **given: object) -> Picture:
    answer = await once("text", video(picture=GROUND), text=text, **given)
    assert isinstance(answer.picture, Picture)
    return answer.picture


@pytest.mark.parametrize("position", PLACES)
async def test_places(position: str) -> None:
    left, top, right, bottom = changed(await written("here", position=position))
    down, across = PLACES[position]
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    assert 40 < right - left < 160
    assert 25 < bottom - top < 60
    assert (middle_x < 200, 220 < middle_x < 420, middle_x > 440)[int(across * 2)]
    assert (middle_y < 60, 200 < middle_y < 280, middle_y > 420)[int(down * 2)]


async def test_letters_have_their_colour_and_the_box_is_darker() -> None:
    luma, u, v = planes((await written("████", colour="#ff0000", background=0.5, size=20)).i420)
    left, top, right, bottom = changed(await written("████", colour="#ff0000", size=20))
    middle = ((top + bottom) // 2, (left + right) // 2)
    red = cv2.cvtColor(np.full((2, 2, 3), (0, 0, 255), np.uint8), cv2.COLOR_BGR2YUV_I420)
    found = (int(luma[middle]), int(u[middle[0] // 2, middle[1] // 2]), int(v[middle[0] // 2, middle[1] // 2]))
    assert found == pytest.approx((int(red[0, 0]), int(red[2, 0]), int(red[2, 1])), abs=1)
    assert luma[top, left] == (100 + BLACK) / 2
    assert u[top // 2, left // 2] == (100 + NEUTRAL) / 2


async def test_without_a_box_only_letters_change() -> None:
    luma = planes((await written("hi", background=0)).i420)[0]
    assert 20 < (luma != 100).sum() < 800
    assert luma.min() >= 99


async def test_the_frame_that_came_in_is_not_touched() -> None:
    await written("██████")
    assert (GROUND.i420 == 100).all()


@pytest.mark.parametrize("text", ["Ä é ß", "Привет", "Ελλάδα", "שלום", "→ ♥ ½"])
async def test_scripts_are_drawn_and_not_replaced(text: str) -> None:
    font = fonts.choose(text)
    assert all(fonts.has(font, character) for character in text if character != " ")
    drawn, unknown = await written(text), await written("\uffff" * len(text))
    assert (drawn.i420 != unknown.i420).any()


def test_a_character_no_font_has_is_still_drawn_as_something() -> None:
    assert fonts.choose("\U000f0000 a") in fonts.available()
    assert not fonts.has(fonts.BUILT_IN, "漢")


async def test_live_values() -> None:
    frame = video(30, picture=GROUND, arrived=now() - 0.25)
    moments = [n / 25 for n in range(26)]
    assert fill("{frame} {width}x{height} {track} {pts} {fps}", frame, 7, moments) == "7 640x480 video-0 1.000 25.0"
    assert float(fill("{latency_ms}", frame, 1, [0.0])) == pytest.approx(250, abs=30)
    clocks = {time.strftime("%H:%M:%S", time.localtime(time.time() - ago)) for ago in (1, 0)}
    assert fill("{time}", frame, 1, [0.0]) in clocks | {time.strftime("%H:%M:%S")}
    assert fill("{date}", frame, 1, [0.0]) == time.strftime("%Y-%m-%d")
    assert fill("{fps}", frame, 1, [5.0]) == "-"
    assert fill("{}{ frame } 100 %", frame, 1, [0.0]) == "{}{ frame } 100 %"
    assert clean("a\r\nb\x07\ud800c\u2028d\te") == "a\nbc\nde"
    assert fill("{width}", video(picture=GROUND, rotation=90), 1, [0.0]) == "480"
    assert set(NAMES) <= {name for name in NAMES if fill(f"{{{name}}}", frame, 1, [0.0])}


async def test_each_frame_shows_its_own_values() -> None:
    stage, _ = await started("text", text="no. {frame}")
    for number in range(1, 4):
        shown = await stage.process(video(picture=GROUND))
        expected = await written(f"no. {number}")
        np.testing.assert_array_equal(shown.picture.i420, expected.i420)


async def test_a_change_shows_on_the_next_frame() -> None:
    stage, _ = await started("text", text="before")
    await stage.process(video(picture=GROUND))
    stage.update(params("text", text="after", position="bottom"))
    shown = await stage.process(video(picture=GROUND))
    np.testing.assert_array_equal(shown.picture.i420, (await written("after", position="bottom")).i420)


async def test_a_long_line_is_made_to_fit() -> None:
    left, _, right, _ = changed(await written("a long line that goes on and on, and then a little more of it " * 2))
    assert left >= 0
    assert 500 < right - left <= 640


async def test_lines_below_each_other() -> None:
    one, two = changed(await written("first")), changed(await written("first\nsecond"))
    assert two[3] - two[1] > 1.6 * (one[3] - one[1])


async def test_nothing_to_write() -> None:
    assert (await written("")).i420.shape == (720, 640)


@given(st.integers(1, 100), st.integers(1, 100), st.text(max_size=30), st.sampled_from(sorted(PLACES)),
       st.floats(1, 50), st.floats(0, 1))
@settings(max_examples=120, deadline=None)
def test_any_text_on_any_picture(half_width: int, half_height: int, text: str, position: str, size: float,
                                 background: float) -> None:
    look = TextParams.model_construct(text=text, position=position, size=size, background=background,  # type: ignore[arg-type]
                                      colour="#12ab34")
    picture = _Writer(look, fonts.available()[0]).write(black(2 * half_width, 2 * half_height), clean(text))
    assert (picture.width, picture.height) == (2 * half_width, 2 * half_height)
    shape: Pixels = picture.i420
    assert shape.shape == (3 * half_height, 2 * half_width)


@pytest.mark.parametrize(("width", "height", "size", "threads"), [
    (640, 480, 6, 0), (1280, 720, 6, 0), (1920, 1080, 6, 1), (640, 480, 40, 1)])
async def test_large_letters_are_drawn_in_a_thread(width: int, height: int, size: float, threads: int) -> None:
    stage, context = await started("text", size=size)
    await stage.process(video(picture=black(width, height)))
    assert context.ran.count("write") == threads
