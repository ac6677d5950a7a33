"""Estimators of scikit-learn, as skops keeps them: nothing is made of a file that is not a type skops trusts.

One input ``x`` (n, features), float32. A classifier gives ``prediction``, the number of a class in ``labels``, and
where it knows them ``probability`` (n, classes); others give ``prediction`` as float32. Needs the extra ``sklearn``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput, Unavailable
from ..inference.contract import Batch, TensorSpec
from ..inference.device import Device
from ..inference.loader import Entry

MAX_BATCH = 256
INSTALL = "models of scikit-learn need skops: pip install 'aimass-stream[sklearn]'"


class SklearnModel:
    """The one ``.skops`` file of a manifest, held against it."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` for a file that is not trusted or has other inputs, `Unavailable` without skops."""
        self.name, self.version = entry.name, entry.version
        self._estimator = load(entry.file(".skops"))
        self.inputs, self.outputs = specs(self._estimator)
        if entry.inputs and entry.inputs[0].shape != self.inputs[0].shape:
            raise InvalidInput(f"the estimator takes {self.inputs[0].shape[1]} features", field="inputs")
        self.labels = labels(self._estimator)
        self.capabilities = replace(entry.capabilities, batchable=True, max_batch=MAX_BATCH)

    def warm_up(self) -> None:
        self.run({"x": self.inputs[0].zeros(1)})

    def run(self, batch: Batch) -> Batch:
        """Raises `InvalidInput` for values that the estimator refuses."""
        try:
            if not self.labels:
                made = np.asarray(self._estimator.predict(batch["x"]), np.float32)
                return {"prediction": made}
            if len(self.outputs) == 1:
                found = list(self._estimator.classes_)
                return {"prediction": np.array([found.index(each) for each in self._estimator.predict(batch["x"])])}
            chances = np.asarray(self._estimator.predict_proba(batch["x"]), np.float32)
        except ValueError as error:
            raise InvalidInput(f"{self.name}: {str(error).partition(chr(10))[0][:200]}", field="inputs") from None
        return {"prediction": np.argmax(chances, 1).astype(np.int64), "probability": chances}

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._estimator = None


def load(path: Path) -> Any:
    """The estimator. Raises `InvalidInput` where skops does not trust the file."""
    try:
        from skops.io import load as opened
    except ImportError:
        raise Unavailable(INSTALL) from None
    try:
        estimator = opened(path, trusted=[])
    except Exception as error:  # skops has no base for what it raises
        raise InvalidInput(f"skops can't load this file: {str(error)[:200]}", field="files") from None
    if not callable(getattr(estimator, "predict", None)) or not hasattr(estimator, "n_features_in_"):
        raise InvalidInput(f"{type(estimator).__name__} predicts nothing, or was not fitted", field="files")
    return estimator


def labels(estimator: Any) -> list[str]:
    """A classifier's classes, by number."""
    found = getattr(estimator, "classes_", None)
    return [] if found is None else [str(each) for each in found]


def specs(estimator: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Its inputs and outputs."""
    takes = TensorSpec("x", (None, int(estimator.n_features_in_)), example=(1, int(estimator.n_features_in_)))
    classes = labels(estimator)
    if not classes:
        wide = np.asarray(estimator.predict(takes.zeros(1))).shape[1:]
        return (takes,), (TensorSpec("prediction", (None, *wide)),)
    gives = [TensorSpec("prediction", (None,), "int64", "number of the label")]
    if callable(getattr(estimator, "predict_proba", None)):
        gives.append(TensorSpec("probability", (None, len(classes))))
    return (takes,), tuple(gives)
