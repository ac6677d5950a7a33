"""Steadiness: what stands is kept, what moves is carried along, what is uncovered is painted anew; and its measure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aimass_stream.frames import Picture, Pixels
from aimass_stream.painting.steady import Box, Change, Steadier, warp_error
from aimass_stream.stage_base import planes

WIDTH, HEIGHT = 320, 240
RNG = np.random.default_rng(7)
GROUND = cv2.GaussianBlur(RNG.integers(0, 256, (HEIGHT + 200, WIDTH + 200, 3)).astype(np.float32), (0, 0), 4)
GROUND = np.asarray(np.clip(128 + 6 * (GROUND - 128), 0, 255), np.uint8)  # texture of all kinds of slopes


def view(left: float, top: float = 0.0, noise: float = 0.0) -> Pixels:
    """What a camera sees that has moved so many px."""
    matrix = np.array([[1, 0, -40 - left], [0, 1, -40 - top]], np.float64)
    seen = cv2.warpAffine(GROUND, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    return np.asarray(np.clip(seen + RNG.normal(0, noise, seen.shape) if noise else seen, 0, 255), np.uint8)


def ball(picture: Pixels, x: int, y: int = 120) -> Pixels:
    return np.asarray(cv2.circle(picture.copy(), (x, y), 18, (20, 20, 250), -1, cv2.LINE_AA), np.uint8)


def toned(picture: Pixels) -> Pixels:
    return np.asarray(255 - picture[:, :, ::-1] // 2, np.uint8)


def painted(picture: Pixels, flicker: float = 10.0) -> Pixels:
    """A painter whose strokes lie elsewhere every time."""
    strokes = cv2.GaussianBlur(RNG.normal(0, 1, picture.shape).astype(np.float32), (0, 0), 2)
    return np.asarray(np.clip(toned(picture) + strokes * flicker / strokes.std(), 0, 255), np.uint8)


def look(steadier: Steadier, picture: Pixels) -> Change:
    return steadier.look(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8))


def step(steadier: Steadier, picture: Pixels, made: Pixels) -> tuple[Change, Pixels]:
    change = look(steadier, picture)
    return change, steadier.settle(change, None if change.box is None else change.box.of(made))


def gap(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_what_stands_still_is_painted_once() -> None:
    steadier = Steadier()
    first, made = step(steadier, view(0, noise=3), painted(view(0)))
    assert first.cut
    assert first.box == Box(0, 0, WIDTH, HEIGHT)
    for _ in range(5):
        change, again = step(steadier, view(0, noise=3), painted(view(0)))
        assert change.box is None
        assert again is made


@pytest.mark.parametrize("size", [(2, 2), (18, 34), (640, 16), (1920, 1080)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    steadier = Steadier()
    for number in range(3):
        picture = np.full((size[1], size[0], 3), 60 * number, np.uint8)
        change, made = step(steadier, picture, picture)
        assert made.shape == picture.shape
        assert change.box is not None


def test_a_moving_camera_s_picture_flickers_less_than_half() -> None:
    steadier, raw, steady = Steadier(), [], []
    before: tuple[Pixels, Pixels, Pixels] | None = None
    for number in range(10):
        shown = view(2.3 * number, 1.2 * number, noise=2)
        made = painted(shown)
        change, settled = step(steadier, shown, made)
        assert change.cut == (number == 0)
        if before is not None:
            raw.append(warp_error((before[0], shown), (before[1], made)).made)
            steady.append(warp_error((before[0], shown), (before[2], settled)).made)
        before = shown, made, settled
    assert np.mean(steady) < 0.5 * np.mean(raw)
    assert gap(settled, toned(shown)) < gap(made, toned(shown))  # and shows what is there now


def test_strokes_of_what_is_plain_move_with_the_camera() -> None:
    """A wall with a few things on it, before which the camera pans: what differs are the things, what moves is all."""
    wall = np.full((HEIGHT, WIDTH + 80, 3), 150, np.uint8)
    for x in range(20, WIDTH + 80, 60):
        wall[100:150, x : x + 18] = 40
    texture = np.asarray(painted(wall), np.uint8)  # strokes that belong to the wall
    steadier = Steadier()
    shifts = [3 * number for number in range(6)]
    for shift in shifts:
        shown = np.ascontiguousarray(wall[:, shift : shift + WIDTH])
        _, settled = step(steadier, shown, np.ascontiguousarray(texture[:, shift : shift + WIDTH]))
    wanted = texture[:, shifts[-1] : shifts[-1] + WIDTH]
    behind = texture[:, shifts[-2] : shifts[-2] + WIDTH]
    plain = slice(0, 60), slice(40, -40)
    assert gap(settled[plain], wanted[plain]) < 0.6 * gap(behind[plain], wanted[plain])


def test_only_what_moves_is_painted_and_nothing_of_it_stays_behind() -> None:
    steadier = Steadier()
    _, made = step(steadier, ball(view(0), 60), toned(ball(view(0), 60)))
    for number in range(1, 6):
        shown = ball(view(0), 60 + 8 * number)
        change, settled = step(steadier, shown, toned(shown))
        assert change.box is not None
        assert change.box.area < 0.5 * WIDTH * HEIGHT
        assert np.array_equal(settled[:, 200:], made[:, 200:])
        assert not np.array_equal(settled, made)
    changes = []
    for _ in range(20):
        change, settled = step(steadier, shown, toned(shown))
        changes.append(change.box)
    assert changes[-1] is None  # it has settled
    assert int(np.abs(settled.astype(int) - toned(shown)).max()) < 30
    assert gap(settled, toned(shown)) < 1


def test_another_scene_begins_anew() -> None:
    steadier = Steadier()
    step(steadier, view(0), painted(view(0)))
    other = np.asarray(255 - view(90, 90)[::-1], np.uint8)
    made = painted(other)
    change, settled = step(steadier, other, made)
    assert change.cut
    assert np.array_equal(settled, made)
    small = np.ascontiguousarray(other[:120])
    assert step(steadier, small, painted(small))[0].cut  # and so does another size


def test_a_slow_change_is_noticed() -> None:
    steadier = Steadier()
    for number in range(60):
        shown = np.full((HEIGHT, WIDTH, 3), 60 + number, np.uint8)
        _, settled = step(steadier, shown, toned(shown))
    assert gap(settled, toned(shown)) < 4


def test_the_measure() -> None:
    one, other = view(0), view(3, 2)
    moved = warp_error((one, other), (toned(one), toned(other)))
    assert moved.seen > 0.9
    assert moved.made < 1.5
    assert moved.shown < 3
    noise = warp_error((one, other), (painted(one, 10), painted(other, 10)))
    assert noise.made == pytest.approx(10 * 2**0.5, rel=0.15)  # that of two pictures, independent of each other
    assert noise.shown == moved.shown
    covered = warp_error((one, ball(other, 150)), (toned(one), toned(ball(other, 150))))
    assert covered.made < 3  # what came in from nowhere is not seen twice
    assert covered.seen < moved.seen


def test_a_thing_as_bright_as_what_is_behind_it_leaves_no_trail() -> None:
    """It is told by its colour alone, once something else moves with it; without chroma it would be dragged along."""
    rest = {}
    for coloured in (True, False):
        steadier = Steadier()
        for number in range(6):
            shown = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
            at = (80 + 24 * number, HEIGHT // 2)
            cv2.circle(shown, at, 26, (90, 62, 200), -1)  # as bright
            cv2.circle(shown, at, 26, (140, 140, 140), 2)
            luma, u, v = planes(Picture.from_bgr(shown).i420)
            assert abs(int(luma[at[1], at[0]]) - int(luma[2, 2])) < 8
            change = steadier.look(luma, (u, v) if coloured else ())
            made = steadier.settle(change, None if change.box is None else change.box.of(shown))
        here = np.abs(made.astype(int) - shown).max(2) > 12
        rest[coloured] = int(here[HEIGHT // 2 - 20 : HEIGHT // 2 + 20].sum())
    assert rest[False] > 200
    assert rest[True] < rest[False] / 3
