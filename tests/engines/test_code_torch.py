"""Programs of torch in their cells: TorchScript, and an exported one that tells itself what it takes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.inference.contract import TensorSpec
from tests.support import hostile, torch_programs

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")

ROWS = np.array([[1, 2, 3], [40, 50, 60]], np.float32)
X = (TensorSpec("x", (None, 3), example=(1, 3)),)


@pytest.mark.parametrize(("format", "content", "inputs"), [
    ("torchscript", torch_programs.TORCHSCRIPT, X), ("pt2", torch_programs.EXPORTED, ())])
def test_a_program_of_torch(tmp_path: Path, format: str, content: bytes, inputs: Any) -> None:
    model = hostile.model(tmp_path, content, format=format, inputs=inputs, outputs=())
    try:
        [takes] = model.inputs
        assert (takes.name, takes.shape, takes.dtype) == ("x", (None, 3), "float32")
        [values] = model.run({"x": ROWS}).values()
        assert np.allclose(values, np.maximum(ROWS @ torch_programs.WEIGHTS.T + torch_programs.BIAS, 0))
        assert [(spec.shape, spec.dtype) for spec in model.outputs] == [((None, 2), "float32")]
        assert len(next(iter(model.run({"x": ROWS[:1]}).values()))) == 1
    finally:
        model.close()
