"""One picture painted by changing its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from aimass_stream import clips  # noqa: E402
from aimass_stream.errors import InvalidInput, InvalidMedia, ModelFailed  # noqa: E402
from aimass_stream.training import gatys  # noqa: E402
from aimass_stream.training.wishes import News  # noqa: E402
from tests.support.painters import judge, painting  # noqa: E402
from tests.support.picture_files import file  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def wish(tmp_path: Path) -> gatys.Wish:
    content = tmp_path / "content.png"
    content.write_bytes(file(clips.draw(40, 150, 101)))
    return gatys.Wish(content, painting(tmp_path), tmp_path / "out.png", side=72, steps=4, loss_weights=judge(tmp_path))


@pytest.mark.parametrize("way", ["lbfgs", "adam"])
def test_a_picture_comes_nearer_to_the_style_and_keeps_its_size(wish: gatys.Wish, way: gatys.Way) -> None:
    news: list[News] = []
    losses = gatys.make(gatys.plan(replace(wish, way=way, steps=6), Path()), news.append)
    assert (news[0].step, news[-1].step, news[-1].steps) == (0, 12, 12)
    assert losses == news[-1].losses
    first = next(each.losses["style"] for each in news if each.losses)
    assert losses["style"] < (0.8 if way == "lbfgs" else 0.95) * first
    made = cv2.imread(str(wish.out))
    assert made is not None
    assert made.shape == (101, 150, 3)
    assert np.abs(made.astype(int) - clips.draw(40, 150, 101)).mean() > 3


def test_what_was_reached_is_there_when_it_is_broken_off(wish: gatys.Wish) -> None:
    def stop(news: News) -> None:
        if news.step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gatys.make(gatys.plan(wish, Path()), stop)
    made = cv2.imread(str(wish.out))
    assert made is not None
    assert made.shape == (101, 150, 3)


def test_a_picture_of_one_pixel_is_refused(wish: gatys.Wish) -> None:
    wish.content.write_bytes(file(np.full((1, 1, 3), 90, np.uint8)))
    with pytest.raises(InvalidMedia, match=r"content\.png has 1x1 px"):
        gatys.plan(wish, Path())


@pytest.mark.parametrize(("changed", "field"), [
    ({"side": 8}, "side"), ({"steps": 0}, "steps"), ({"strokes": 9.0}, "strokes"), ({"style": -1.0}, "style_weight"),
    ({"out": Path("out.gif")}, "out")])
def test_wishes_that_make_no_sense(wish: gatys.Wish, changed: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        gatys.plan(replace(wish, **changed), Path())  # type: ignore[arg-type]
    assert refused.value.field == field


def test_an_optimizer_that_is_none() -> None:
    assert gatys.way_of("adam") == "adam"
    with pytest.raises(InvalidInput, match="there are: lbfgs, adam"):
        gatys.way_of("sgd")


def test_losses_that_are_no_numbers_end_it(wish: gatys.Wish) -> None:
    with pytest.raises(ModelFailed, match="no numbers"):
        gatys.make(gatys.plan(replace(wish, style=1e38), Path()), lambda news: None)
