"""Rates are of this machine, and are told with their units."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aimass_stream.inference import rates
from aimass_stream.inference.rates import Rates


def test_the_processors_rates_are_plausible() -> None:
    found = rates.processor(size=256, room=8 << 20)
    assert 1e8 < found.copy < 1e12
    assert 1e8 < found.matmul < 1e14
    assert found.to_device is None


def test_they_are_told_with_their_units() -> None:
    told = Rates("card", 2e12, 4.5e13, 9e14, 5.5e10, 5e10).told()
    assert told == ("card: copies 2000.0 GB/s, to it 55.0, from it 50.0 GB/s, matrices 45.0 TFLOP/s in float32, "
                    "900.0 TFLOP/s in float16")


def test_torch_is_asked_in_a_process_of_its_own() -> None:
    torch = pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-m", "aimass_stream.inference.rates"], capture_output=True, text=True,
                          check=True)
    told = json.loads(done.stdout)
    assert told["torch"] == torch.__version__
    assert len(told["cards"]) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)


@pytest.mark.gpu
def test_a_cards_rates_are_plausible() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    found = rates.card(torch, size=2048, room=64 << 20)
    assert found.to_device is not None
    assert 1e9 < found.to_device < found.copy < 1e14
    assert found.matmul_half is not None
    assert found.matmul_half > found.matmul > 1e11
