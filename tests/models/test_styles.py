"""The recipe of the six styles, as far as it goes without training them."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from aimass_stream.inference.loader import read_manifest  # noqa: E402
from aimass_stream.training import figures, trainer  # noqa: E402
from tests.support.painters import judge, painting  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "models" / "styles"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    known, ended, threads = set(sys.modules), signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    yield importlib.import_module("recipe")
    signal.signal(signal.SIGTERM, ended)
    torch.set_num_threads(threads)
    for name in set(sys.modules) - known:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_style_is_learned_after_the_trunk_and_written(recipe: Any, monkeypatch: pytest.MonkeyPatch,
                                                        tmp_path: Path) -> None:
    for name, value in (("WIDTH", 160), ("HEIGHT", 120), ("REPEATS", 2)):
        monkeypatch.setattr(figures, name, value)
    monkeypatch.setattr(trainer, "SIZE", 64)
    monkeypatch.setattr(recipe, "SHARED", tmp_path)
    painting(tmp_path / "images" / "styles", "one.png")
    (tmp_path / "weights").mkdir()
    judge(tmp_path).rename(tmp_path / "weights" / "squeezenet1_0.safetensors")
    for number in range(3):
        painting(tmp_path / "images" / "kodak", f"{number}.jpg")
    style = replace(recipe.STYLES[0], name="style-one", file="one.png")
    recipe.learn(style, tmp_path / recipe.TRUNK, 2, 1)
    recipe.learn(style, tmp_path / "style-one.pt", 3, 1, trunk=2, out=tmp_path / "style-one")
    entry = read_manifest(tmp_path / "style-one" / "model.toml")
    assert (entry.title, entry.card["steps"]) == (style.title, 3)
    assert any("3 Kodak test photographs" in source for source in entry.sources)
    assert len(list((tmp_path / "style-one").iterdir())) == 3
    assert np.isfinite(entry.card["style_left"])
