"""Models that are code: what they try is refused, what they break is theirs alone, and good ones answer right."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import aimass_stream
from aimass_stream.engines import code
from aimass_stream.engines.code import CodeModel, fates
from aimass_stream.errors import AimassError, InvalidInput, ModelFailed, Unavailable
from aimass_stream.inference.contract import TensorSpec
from aimass_stream.sandbox import cells
from aimass_stream.sandbox.cells import CellLimits
from tests.support import hostile

ONE = np.ones((1, 2), np.float32)


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process is left by a test, and what one model did is not held against the next."""
    monkeypatch.setattr(code, "FATES", fates.Fates())
    monkeypatch.setattr(fates, "FIRST", 0.01)
    before = set(psutil.Process().children(recursive=True))
    yield
    psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, 30)
    assert set(psutil.Process().children(recursive=True)) <= before


def back(model: CodeModel) -> None:
    """Wait until it is started again."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            model.run({"x": 0 * ONE})
            return
        except ModelFailed:
            raise
        except Unavailable:
            threading.Event().wait(0.02)
    raise TimeoutError


@pytest.mark.parametrize(("way", "limits"), [
    ("mounts", CellLimits()), ("landlock", CellLimits(namespaces=False)), ("landlock", CellLimits(mounts=False))])
def test_what_it_tries_while_it_is_loaded_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, limits: CellLimits) -> None:
    if way == "landlock":
        monkeypatch.setattr(code, "LIMITS", limits)
        try:
            cells.ways(code.LIMITS)
        except Unavailable as error:
            pytest.skip(error.detail)
    (tmp_path / "aimass.db").write_text("secret")
    tmp_path.chmod(0o777)
    (tmp_path / "aimass.db").chmod(0o666)  # what its permissions would allow is not there
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = (f"PORT, FOLDER, SERVER, PACKAGE = {server.getsockname()[1]}, {str(tmp_path)!r}, {os.getpid()}, "
                 f"{str(Path(aimass_stream.__file__).parent)!r}\n")
        outputs = (TensorSpec("told", (1, None)),)
        model = hostile.model(tmp_path / "m", hostile.pickled(names + hostile.TRIES), outputs=outputs)
    try:
        assert way in model.ways
        told = model.run({"x": ONE})["told"]
        assert told.shape == (1, hostile.TRIES.count("attempt(") - 1)
        assert told.sum() == 0, told
    finally:
        model.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aimass.db", "m"]


def test_what_a_run_breaks_costs_itself_alone(tmp_path: Path) -> None:
    model = hostile.model(tmp_path, hostile.pickled(hostile.RUNS))

    def run(what: int) -> AimassError:
        with pytest.raises(AimassError) as caught:
            model.run({"x": np.full((1, 2), what, np.float32)})
        return caught.value

    try:
        assert model.run({"x": ONE * 50})["y"].tolist() == [[100, 100]]
        for what, said in ((9, "shape any×2, not 1×3"), (10, "float32, not float64"), (11, "2 outputs"),
                           (14, "RuntimeError: broken")):
            error = run(what)
            assert isinstance(error, ModelFailed)
            assert said in error.detail
        assert isinstance(error := run(13), InvalidInput)
        assert error.detail.endswith("ValueError: not this  [31m one")
        pid = _pid(model)
        assert pid == _pid(model)
        model.run({"x": ONE * 15})  # what it prints is thrown away
        for what, said in ((12, "400000000 bytes"), (2, "ended"), (3, "SIGKILL"), (4, "2147483648 bytes")):
            error = run(what)
            assert isinstance(error, ModelFailed)
            assert said in error.detail
            back(model)
        assert _pid(model) != pid
    finally:
        model.close()


def test_answers_that_are_none(tmp_path: Path) -> None:
    model = hostile.model(tmp_path, hostile.pickled(hostile.RUNS))
    try:
        for what in (5, 7, 8):
            with pytest.raises(ModelFailed, match=r"can't be read|begins with"):
                model.run({"x": np.full((1, 2), what, np.float32)})
            back(model)
    finally:
        model.close()


def test_one_that_never_answers_is_killed_and_not_for_ever_started_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fates, "MOST", 3)
    model = hostile.model(tmp_path, hostile.pickled(hostile.RUNS), longest=1.0)
    try:
        with pytest.raises(ModelFailed, match="did not answer in time"):
            model.run({"x": ONE})
        end = time.monotonic() + 60
        while time.monotonic() < end and not model._over:
            try:
                model.run({"x": np.full((1, 2), 2, np.float32)})
            except ModelFailed:
                continue
            except Unavailable:
                threading.Event().wait(0.02)
        with pytest.raises(ModelFailed, match="too often"):
            model.run({"x": ONE})
    finally:
        model.close()
    with pytest.raises(ModelFailed, match="not started for now"):
        hostile.model(tmp_path, hostile.pickled(hostile.RUNS))


@pytest.mark.parametrize(("source", "said"), [
    ("while True: pass", "did not answer in time"),
    ("hoard = []\nwhile True: hoard.append(bytearray(64 << 20))", "memory"),
    ("import os\nwhile True: os.fork()", "PermissionError"), ("import os\nos.kill(os.getpid(), 11)", "SIGSEGV"),
    ("x = 1", "NoneType predicts nothing")])
def test_what_harms_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str) -> None:
    monkeypatch.setattr(code, "MEMORY", 256 << 20)
    monkeypatch.setattr(code, "LOADING", 1.5 if "pass" in source else 60.0)
    with pytest.raises(InvalidInput, match=said):
        hostile.model(tmp_path, hostile.pickled(source))


class Fitted:
    """Becomes an estimator where it is loaded: scikit-learn is imported in the cell only."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('sklearn.tree').tree.DecisionTreeClassifier(random_state=0)"
                      ".fit([[0, 0], [1, 1], [0, 1], [1, 0]], ['a', 'b', 'a', 'b'])",)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_a_good_estimator(tmp_path: Path) -> None:
    model = hostile.model(tmp_path, pickle.dumps(Fitted()), inputs=(), outputs=())
    try:
        assert {spec.name: spec.shape for spec in model.outputs} == {"prediction": (None,), "probability": (None, 2)}
        assert model.labels == ["a", "b"]
        made = model.run({"x": np.array([[0, 0.2], [0.9, 1]], np.float32)})
        assert made["prediction"].tolist() == [0, 1]
        assert made["probability"].tolist() == [[1, 0], [0, 1]]
    finally:
        model.close()


def _pid(model: CodeModel) -> int:
    cell = model._cell
    assert cell is not None
    return cell._process.pid


BUSY = """
import threading
def spin():
    while True: pass
threading.Thread(target=spin, daemon=True).start()
def f(x): return 2 * x
"""


def test_between_its_runs_it_has_no_processor(tmp_path: Path) -> None:
    model = hostile.model(tmp_path, hostile.pickled(BUSY))
    try:
        for _ in range(3):
            assert model.run({"x": ONE})["y"].tolist() == [[2, 2]]
            worker = psutil.Process(_pid(model)).children(recursive=True)[-1]
            end = time.monotonic() + 30
            while worker.status() != psutil.STATUS_STOPPED and time.monotonic() < end:
                threading.Event().wait(0.01)
            assert worker.status() == psutil.STATUS_STOPPED
    finally:
        model.close()
    assert not worker.is_running()
