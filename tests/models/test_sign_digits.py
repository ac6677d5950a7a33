"""The network that reads sign digits: as the stage runs it, on people it was not trained on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import numpy as np
import onnxruntime
import pytest

from aimass_stream.inference import CpuDevice, installed
from tests.support.mediapipe import needs
from tests.support.sights import shared

RECIPE = Path(__file__).parents[2] / "models" / "sign-digits" / "recipe.py"


@pytest.fixture(scope="module")
def recipe() -> Iterator[ModuleType]:
    spec = util.spec_from_file_location("sign_digits_recipe", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_nine_of_ten_pictures_of_people_not_trained_on(recipe: ModuleType) -> None:
    needs("mediapipe-palms", "mediapipe-hand")
    signs = recipe.read(shared("images", "sign_digits.tar"))
    begin = recipe.cuts(signs, round(1 / recipe.TEST))[-2]
    device = CpuDevice(threads=1)
    model, finder = installed().open("sign-digits", device), recipe.Finder()
    held_out = signs[begin:][::4]
    right = 0
    for sign in held_out:
        points = finder.find(recipe.framed(sign.picture))
        if points is not None:
            right += int(model.run({"points": points[None]})["chances"].argmax()) == sign.digit
    model.close()
    device.close()
    assert len(held_out) > 90
    assert right / len(held_out) >= 0.9


def test_people_are_never_in_both_parts(recipe: ModuleType) -> None:
    nothing = np.zeros((1, 1, 3), np.uint8)
    digits = [digit for _ in range(20) for digit in range(10)]
    digits[15:17], digits[57:60] = [6, 5], []  # one in another order, one who left some out
    person, last, signs = 0, -1, []
    for digit in digits:
        person += digit < last
        last = digit
        signs.append(recipe.Sign(person, digit, nothing))
    places = recipe.cuts(signs, 5)
    assert (places[0], places[-1], len(places)) == (0, len(signs), 6)
    for begin, end in pairwise(places):
        assert signs[begin].digit == 0
        left = recipe.others(signs, begin, end)
        tested = {signs[row].person for row in range(begin, end)}
        assert not tested & {signs[row].person for row in left}
        assert len(left) < len(signs) - (end - begin)  # nor is the next one


def test_it_learns_what_can_be_learnt_and_the_graph_says_the_same(recipe: ModuleType,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "STEPS", 100)
    chance = np.random.default_rng(1)
    middles = chance.normal(size=(10, recipe.VALUES)).astype(np.float32)
    digits = chance.integers(10, size=400)
    values = middles[digits] + 0.2 * chance.normal(size=(400, recipe.VALUES)).astype(np.float32)
    weights = recipe.train(values, digits, chance)
    said = recipe.chances(weights, values)
    assert (said.argmax(1) == digits).mean() > 0.97
    session = onnxruntime.InferenceSession(recipe.graph(weights), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"points": values})[0], said, atol=1e-5)
