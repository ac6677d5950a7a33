"""The benchmark for cards runs with torch, numpy and a style alone, here on the processor; and its report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.vision import gpu
from tests.support import torch_models

ROOT = Path(__file__).parent.parent.parent
NONE = ("cv2", "av", "onnxruntime", "onnx", "PIL", "pydantic", "fastapi", "starlette", "prometheus_client",
        "safetensors", "scipy", "psutil", "httpx", "ctranslate2", "ai_edge_litert")
BARE = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({NONE!r}))  # an import of these raises
sys.argv = ["gpu.py", *sys.argv[1:]]
runpy.run_path({str(ROOT / "benchmarks" / "gpu.py")!r}, run_name="__main__")
"""


@pytest.mark.timeout(120)
def test_it_measures_with_torch_and_numpy_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    torch_models.write(tmp_path)
    out = tmp_path / "gpu.json"
    done = subprocess.run([sys.executable, "-c", BARE, "--out", str(out), "--device", "cpu", "--quick", "--style",
                           str(tmp_path / "painter")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "neighbour's p95:" in done.stdout
    found = json.loads(out.read_text())
    assert found["levels_apart"] == 0  # it is the processor twice
    assert found["ceilings"]["matmul"] > found["ceilings"]["copy"] / 100
    for name in (gpu.SERIAL, gpu.BATCHED):
        assert set(found[name]) == {"1", "2"}
        assert all(one["per_s"] > 0 for one in found[name].values())
    assert found[gpu.SERIAL]["2"]["rows"] == 1
    assert found["neighbour"]["alone"]["share"] > 0
    assert found["streams"]["tries"]
    assert gpu.read(out) == {}  # no card was measured


def figures(serial: float, batched: float, p95: float) -> dict[str, object]:
    throughput = {name: {"8": {"per_s": per_s}} for name, per_s in (
        (gpu.SERIAL, serial), ("one by one, graph", serial), ("batches, eager", batched), (gpu.BATCHED, batched))}
    return throughput | {
        "device": {"kind": "cuda", "name": "cuda:0", "card": "A card"}, "ceilings": {"told": "A card: copies 1 GB/s"},
        "plan": {"side": 512}, "neighbour": {"alone": {"p95_ms": 3.0}, gpu.SERIAL: {"p95_ms": 5.0},
                                             gpu.BATCHED: {"p95_ms": p95}},
        "copies overlap": {"per_s": 9.0}, "copies in turn": {"per_s": 8.0}, "streams": {"streams": 99},
        "levels_apart": 1.0}


def test_a_cards_figures_are_held_against_the_aims(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert [aim.met for aim in gpu.aims(gpu.read(out))] == [None, None]
    out.write_text(json.dumps(figures(100, 400, 5.4)))
    assert [aim.met for aim in gpu.aims(gpu.read(out))] == [True, True]
    assert "streams at 30/s: 99" in gpu.tell(gpu.read(out))
    out.write_text(json.dumps(figures(100, 300, 5.6)))
    assert [aim.met for aim in gpu.aims(gpu.read(out))] == [False, False]
