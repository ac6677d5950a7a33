"""Weights read by hand are those that the format's own library wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aimass_stream.errors import InvalidInput
from aimass_stream.inference import safetensors


def test_all_kinds_of_numbers_are_read_as_they_were_written(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    writer = pytest.importorskip("safetensors.torch")
    wanted = {"float32": torch.randn(2, 3), "float16": torch.randn(4).half(), "float64": torch.randn(1).double(),
              "bfloat16": torch.randn(3, 1).bfloat16(), "int64": torch.tensor([-(2**40), 7]),
              "uint8": torch.tensor([[255]], dtype=torch.uint8), "bool": torch.tensor([True, False]),
              "scalar": torch.tensor(2.5), "none": torch.zeros(0, 4)}
    path = tmp_path / "all.safetensors"
    writer.save_file(wanted, path, metadata={"made": "by a test"})
    found = safetensors.read(path)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == ("float32" if values.is_floating_point() else values.numpy().dtype)
        assert found[name].shape == tuple(values.shape)
        np.testing.assert_array_equal(found[name], values.float().numpy() if values.is_floating_point()
                                      else values.numpy())
    assert found["float32"].flags.writeable  # torch wants that


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.safetensors").write_bytes(bytes(100))
    with pytest.raises(InvalidInput, match="100 bytes; it may have at most 99"):
        safetensors.read(tmp_path / "large.safetensors", 99)
