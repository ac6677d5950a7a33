"""Pictures on their way into a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.inference import Entry, TensorSpec
from aimass_stream.seeing.input import PictureInput


def made(shape: tuple[int | None, ...], dtype: str = "float32") -> PictureInput:
    return PictureInput(Entry(Path(), "net", "1", "Net", "detection", "MIT", (), "", (),
                              (TensorSpec("image", shape, dtype),), (), options={"mean": [3, 5, 7]}))


@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (1, 64, 96, 3), (1, 3, None, None), (64, 96)])
def test_a_tensor_that_was_given_back_becomes_another_pictures(shape: tuple[int | None, ...]) -> None:
    if len(shape) == 2:
        one, other = (PictureInput(Entry(Path(), "net", "1", "Net", "detection", "MIT", (), "", (),
                                         (TensorSpec("image", shape),), ())) for _ in range(2))
    else:
        one, other = made(shape), made(shape)
    pictures = [clips.draw(number, width, 100) for number, width in ((0, 160), (9, 160), (3, 128), (5, 128))]
    for picture in pictures:
        batch, _, _ = one.prepare(picture)
        np.testing.assert_array_equal(batch["image"], other.prepare(picture)[0]["image"])
        one.give_back(batch)


def test_what_is_in_use_is_nobody_elses() -> None:
    net = made((1, 3, 64, 96))
    first, _, _ = net.prepare(clips.draw(0, 160, 100))
    net.give_back(first)
    second, _, _ = net.prepare(clips.draw(1, 160, 100))
    assert np.shares_memory(second["image"], first["image"])
    third, _, _ = net.prepare(clips.draw(2, 160, 100))
    assert not np.shares_memory(second["image"], third["image"])


def test_bytes_are_not_kept() -> None:
    net = made((1, 64, 96, 3), "uint8")
    first, _, _ = net.prepare(clips.draw(0, 160, 100))
    kept = first["image"].copy()
    net.give_back(first)
    second, _, _ = net.prepare(clips.draw(9, 160, 100))
    np.testing.assert_array_equal(first["image"], kept)
    assert not np.shares_memory(first["image"], second["image"])
