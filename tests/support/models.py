"""Small real models for the engine: their arithmetic is numpy's, their cost can be chosen, their runs are noted."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aimass_stream.errors import NotFound
from aimass_stream.inference import Batch, Capabilities, Device, Entry, TensorSpec
from aimass_stream.inference.contract import SLOT


class Doubler:
    """Doubles its input. A run takes `fixed` seconds and `each` more a row; `gate` holds runs while it is cleared."""

    version = "1"
    outputs: tuple[TensorSpec, ...] = (TensorSpec("y", (None, None)),)

    def __init__(self, name: str = "doubler", *, fixed: float = 0.0, each: float = 0.0, max_batch: int = 8,
                 slots: int = 0) -> None:
        self.name = name
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec("x", (None, None), example=(1, 4)),)
        self.capabilities = Capabilities(batchable=max_batch > 1, max_batch=max_batch, slots=slots)
        self.fixed, self.each = fixed, each
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()  # a run has begun
        self.seen: list[list[float]] = []  # the first value of every row, by run
        self.noting = False
        self.closes = 0

    def warm_up(self) -> None:
        self.run({"x": np.zeros((1, 4), np.float32)})

    def run(self, batch: Batch) -> Batch:
        rows = batch["x"]
        if self.noting:
            self.seen.append([float(row[0]) for row in rows])
            self.entered.set()
            assert self.gate.wait(10)
        time.sleep(self.fixed + self.each * len(rows))  # what the device would take
        return {"y": self.compute(rows, batch)}

    def compute(self, rows: NDArray[Any], batch: Batch) -> NDArray[Any]:
        return rows * 2

    def reset(self, slot: int) -> None:
        """Keeps no state."""

    def close(self) -> None:
        self.closes += 1


class Picky(Doubler):
    """Raises for a row that begins with a negative value."""

    def compute(self, rows: NDArray[Any], batch: Batch) -> NDArray[Any]:
        if (rows[:, 0] < 0).any():
            raise RuntimeError("a negative value")
        return rows * 2


class Adder(Doubler):
    """Stateful: answers the sum of all that its slot was ever given."""

    def __init__(self, slots: int = 2, **options: Any) -> None:
        super().__init__("adder", slots=slots, **options)
        self.sums = np.zeros((slots, 1), np.float32)

    def warm_up(self) -> None:
        self.run({"x": np.zeros((1, 4), np.float32), SLOT: np.zeros(1, np.int64)})

    def compute(self, rows: NDArray[Any], batch: Batch) -> NDArray[Any]:
        slots = batch[SLOT]
        assert len(set(slots.tolist())) == len(slots)
        self.sums[slots] += rows[:, :1]
        return self.sums[slots].copy()

    def reset(self, slot: int) -> None:
        self.sums[slot] = 0


class Perceptron(Doubler):
    """Weight-bound, on one thread of onnxruntime: one row has to read all weights from memory, as eight do."""

    SIZE = 2048

    def __init__(self) -> None:
        super().__init__("perceptron")
        self.inputs = (TensorSpec("x", (None, self.SIZE), example=(1, self.SIZE)),)
        weights = np.random.default_rng(1).normal(size=(self.SIZE, self.SIZE)).astype(np.float32)
        axes = ["n", self.SIZE]
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])], "perceptron",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)], [numpy_helper.from_array(weights, "w")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                    providers=["CPUExecutionProvider"])

    def warm_up(self) -> None:
        self.run({"x": np.zeros((1, self.SIZE), np.float32)})

    def compute(self, rows: NDArray[Any], batch: Batch) -> NDArray[Any]:
        return np.asarray(self.session.run(["y"], {"x": rows})[0])


class Shelf:
    """A `ModelStore` of these; counts what it opened."""

    def __init__(self, *makers: type[Doubler]) -> None:
        self.makers = {maker().name: maker for maker in makers}
        self.opened: list[Doubler] = []

    def entries(self) -> list[Entry]:
        return []

    def get(self, name: str) -> Entry:
        raise NotFound(f"{name} has no manifest at {Path(name)}")

    def open(self, name: str, device: Device) -> Doubler:
        if name not in self.makers:
            raise NotFound(f"there is no model {name!r}")
        model = self.makers[name]()
        self.opened.append(model)
        return model


def row(value: float, width: int = 4) -> Batch:
    return {"x": np.full((1, width), value, np.float32)}
