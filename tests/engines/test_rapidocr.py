"""The networks of writing inside another package's wheel: they run, and what is said of a wheel that is not there."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aimass_stream.engines import ENGINES, rapidocr
from aimass_stream.engines.rapidocr import LineFinder, LineReader
from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.inference import CpuDevice, installed
from aimass_stream.inference.loader import _engine

from ..support.writing import needs_reader


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def test_the_table_leads_to_the_engine() -> None:
    assert _engine(ENGINES["rapidocr"]) is LineFinder


def test_they_take_and_give_what_their_manifests_say(device: CpuDevice) -> None:
    needs_reader()
    finder, reader = (installed().open(name, device) for name in ("rapidocr-lines", "rapidocr-words"))
    for model in (finder, reader):
        model.warm_up()
    for height, width in ((32, 64), (96, 32)):
        answer = finder.run({"picture": np.zeros((1, 3, height, width), np.float32)})["chances"]
        assert answer.shape == (1, 1, height, width)
        assert answer.dtype == np.float32
    said = reader.run({"strips": np.zeros((3, 3, 48, 320), np.float32)})
    assert said["texts"].tolist() == ["", "", ""]
    assert said["scores"].tolist() == [0, 0, 0]
    for model in (finder, reader):
        model.close()


def test_without_the_wheel_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, device: CpuDevice) -> None:
    monkeypatch.setattr(rapidocr, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="rapidocr-onnxruntime, which is not installed: run `pip install"):
        installed().open("rapidocr-lines", device)


@pytest.mark.parametrize(("options", "told"), [
    ({"file": "dragons.onnx"}, "carries no dragons.onnx"),
    ({"file": "../config.yaml"}, "carries no config.yaml"),
    ({"file": "/etc/passwd"}, "carries no passwd"),
    ({}, "carries no"),
    ({"sha256": "0" * 64}, "is another one than rapidocr-lines means"),
])
def test_a_file_that_is_not_meant(device: CpuDevice, options: dict[str, Any], told: str) -> None:
    needs_reader()
    entry = installed().get("rapidocr-lines")
    given = options if "sha256" not in options else entry.options | options
    with pytest.raises(InvalidInput, match=told):
        LineFinder(replace(entry, options=given), device)


def test_a_reader_without_letters(device: CpuDevice) -> None:
    needs_reader()
    with pytest.raises(InvalidInput, match="lists 0 letters for"):
        LineReader(replace(installed().get("rapidocr-words"), options=installed().get("rapidocr-lines").options),
                   device)


def test_the_package_itself_is_not_imported(device: CpuDevice) -> None:
    needs_reader()
    import sys

    installed().open("rapidocr-lines", device).close()
    assert "rapidocr_onnxruntime" not in sys.modules
    assert importlib.util.find_spec("rapidocr_onnxruntime") is not None
