"""How found boxes are judged, and the plain loops that ours are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream.frames import Pixels
from aimass_stream.vision import face_heads, heads
from aimass_stream.vision.boxes import Found
from aimass_stream.vision.letterbox import Letterbox
from benchmarks.vision import faces, loops
from benchmarks.vision.precision import Guess, Truth, ap50, average_precision, inside, judged, wanted

Box = tuple[float, float, float, float]
SQUARE: Box = (0, 0, 10, 10)
FAR: Box = (50, 50, 60, 60)


def truth(*boxes: Box, difficult: Sequence[bool] = ()) -> Truth:
    return Truth(np.array(boxes, np.float32).reshape(-1, 4), np.array(difficult or [False] * len(boxes), np.bool_))


def test_the_area_under_all_points_of_the_curve() -> None:
    """Two of three are found, the second after a wrong guess: 1/3 at full precision, 1/3 at two thirds."""
    assert average_precision([True, False, True], 3) == pytest.approx(1 / 3 + 2 / 9)
    assert average_precision([False, True, True], 2) == pytest.approx(2 / 3)  # precision rises: the best counts
    assert average_precision([True, True], 2) == 1
    assert average_precision([], 2) == 0
    with pytest.raises(ValueError, match="nothing to be found"):
        average_precision([True], 0)


def test_half_of_the_union_has_to_be_shared() -> None:
    truths = {"a": truth(SQUARE)}
    assert judged([Guess("a", 0.9, (0, 0, 10, 5.1))], truths) == [True]
    assert judged([Guess("a", 0.9, (0, 0, 10, 4.9))], truths) == [False]
    assert judged([Guess("b", 0.9, SQUARE)], truths) == [False], "another picture, in which there is nothing"


def test_a_box_is_found_once_and_by_the_surest() -> None:
    guesses = [Guess("a", 0.5, SQUARE), Guess("a", 0.9, (1, 0, 10, 10)), Guess("a", 0.7, FAR)]
    assert judged(guesses, {"a": truth(SQUARE, FAR)}) == [True, True, False]


def test_what_is_difficult_counts_neither_as_found_nor_as_wrong() -> None:
    truths = {"a": truth(SQUARE, FAR, difficult=[True, False])}
    assert wanted(truths) == 1
    assert judged([Guess("a", 0.9, SQUARE), Guess("a", 0.8, SQUARE), Guess("a", 0.7, FAR)], truths) == [True]


def test_classes_that_are_in_no_picture_have_no_average() -> None:
    truths = {"dog": {"a": truth(SQUARE)}, "cat": {"a": truth(SQUARE)}, "cow": {},
              "owl": {"a": truth(SQUARE, difficult=[True])}}
    found = {"dog": [Guess("a", 0.9, SQUARE)], "cow": [Guess("a", 0.9, SQUARE)]}
    assert ap50(found, truths) == {"dog": 1.0, "cat": 0.0}


def test_a_face_is_somebody_s_who_has_none_yet() -> None:
    boxes = np.array([(0, 0, 100, 100), (20, 0, 60, 90), (200, 0, 300, 90)], np.float32)
    face = np.array([30, 10, 40, 20], np.float32)
    assert inside(face, boxes, np.zeros(3, np.bool_)) == 1, "the smaller of two"
    assert inside(face, boxes, np.array([False, True, False])) == 0
    assert inside(np.array([150, 10, 160, 20], np.float32), boxes, np.zeros(3, np.bool_)) is None


def test_faces_are_counted_by_people() -> None:
    people = {"a": truth((0, 0, 100, 100), (200, 0, 300, 100)), "b": truth(SQUARE, difficult=[True]), "c": truth(FAR)}
    found: dict[str, list[Box]] = {"a": [(10, 10, 20, 20), (12, 10, 22, 20), (150, 0, 160, 10)], "b": [(1, 1, 9, 9)],
                                   "c": [], "nobody": [SQUARE]}
    assert faces.counted(found, people) == faces.Counts(people=3, reached=1, tall=2, tall_reached=1, faces=5, wrong=2)


# the plain loops ---------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
PICTURE: Pixels = RNG.integers(0, 256, (240, 320, 3), np.uint8)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
    return RNG.uniform(low, high, shape).astype(np.float32)


def fastestdet() -> dict[str, Any]:
    return {"758": np.concatenate([uniform(1, 1, 22, 22), uniform(1, 4, 22, 22, low=-3), uniform(1, 80, 22, 22)], 1)}


def rfb() -> dict[str, Any]:
    return {"scores": uniform(1, 4420, 2), "boxes": uniform(1, 4420, 4, low=-2, high=2)}


def yunet() -> dict[str, Any]:
    return {f"{kind}_{stride}": uniform(1, (320 // stride) ** 2, columns, low=low)
            for kind, columns, low in (("cls", 1, 0), ("obj", 1, 0), ("bbox", 4, -1), ("kps", 10, 0))
            for stride in (8, 16, 32)}


@pytest.mark.parametrize(("decode", "head", "outputs", "size", "classes", "place"), [
    (loops.fastestdet, heads.fastestdet, fastestdet(), (352, 352), 80, Letterbox((352 / 320, 352 / 240), (0, 0))),
    (loops.rfb, face_heads.rfb, rfb(), (320, 240), 1, Letterbox((1, 1), (0, 0))),
    (loops.yunet, face_heads.yunet, yunet(), (320, 320), 1, Letterbox((1, 1), (0, 0))),
])
def test_a_loop_decodes_what_our_head_does(decode: Callable[..., loops.Decoded], head: Callable[..., Found],
                                           outputs: dict[str, Any], size: tuple[int, int], classes: int,
                                           place: Letterbox) -> None:
    """Both were written from the networks' descriptions, apart from each other."""
    shapes = []

    def run(tensor: NDArray[np.float32]) -> list[Any]:
        shapes.append(tensor.shape)
        return list(outputs.values())

    boxes, scores, numbers = decode(run, PICTURE, 0.6)
    ours = head(outputs, heads.Question(*size, 0.6, classes))
    assert shapes == [(1, 3, size[1], size[0])]
    assert len(scores) == len(ours) > 20
    order, other = np.argsort(-scores), np.argsort(-ours.scores)
    np.testing.assert_allclose(scores[order], ours.scores[other], rtol=1e-5)
    np.testing.assert_array_equal(numbers[order], ours.classes[other])
    np.testing.assert_allclose(boxes[order], place.back(ours.boxes)[other], rtol=1e-4, atol=0.05)
