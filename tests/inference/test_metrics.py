"""Every model's figures at the place where Prometheus looks for them."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from aimass_stream.errors import ModelFailed
from aimass_stream.inference import Engine
from aimass_stream.inference.metrics import MODELS, ModelMetrics
from tests.support.models import Doubler, Picky, Shelf, row

pytestmark = pytest.mark.anyio


def values(metrics: ModelMetrics) -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value
            for metric in metrics.collect() for sample in metric.samples}


async def test_runs_batches_drops_times_and_states_are_told() -> None:
    engine, metrics = Engine(Shelf(Doubler)), ModelMetrics()
    try:
        await engine.add(Doubler(fixed=0.004))
        await engine.add(Picky("picky"))
        await asyncio.gather(*(engine.submit("doubler", row(1), session=f"s{number}") for number in range(3)))
        for _ in range(5):
            with pytest.raises(ModelFailed):
                await engine.submit("picky", row(-1), session="a")
        metrics.take(engine.statistics())
    finally:
        await engine.close()
    found = values(metrics)
    assert found["aimass_model_rows_total", "doubler", "cpu"] == 3
    runs = found["aimass_model_runs_total", "doubler", "cpu"]
    assert found["aimass_model_batch_rows", "doubler", "cpu"] == 3 / runs
    assert found["aimass_model_busy_seconds_total", "doubler", "cpu"] >= 0.004 * runs
    assert 0 < found["aimass_model_occupancy_ratio", "doubler", "cpu"] < 1
    assert found["aimass_model_run_seconds", "doubler", "cpu", "0.95"] >= 0.004
    assert found["aimass_model_failures_total", "picky", "cpu"] == 5
    assert (found["aimass_model_ready", "doubler", "cpu"], found["aimass_model_ready", "picky", "cpu"]) == (1, 0)
    assert {name for name, *_ in found} >= {f"aimass_model_{name}" for name in (
        "waiting", "batch_limit", "runs_at_once", "memory_bytes", "wait_seconds")}


def test_the_server_tells_them() -> None:
    assert MODELS in REGISTRY._collector_to_names
