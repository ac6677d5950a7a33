"""What the engine measured of every model, for Prometheus. Not imported by this package, which runs without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .statistics import ModelStatistics

LABELS = ("model", "device")

COUNTERS = {  # by name: what it is, and the field of the statistics
    "runs": ("Runs, each of one batch", "runs"),
    "rows": ("Rows of all batches", "rows"),
    "failures": ("Runs that raised", "failures"),
    "busy_seconds": ("Time the device spent on the model", "busy"),
}
GAUGES = {
    "occupancy_ratio": ("Share of the last ten seconds that the device spent on the model", "occupancy"),
    "waiting": ("Requests that wait", "waiting"),
    "batch_rows": ("Rows of a run, mean of the last ones", "batch"),
    "batch_limit": ("Rows put together at most; 1 where batches don't pay", "batch_limit"),
    "runs_at_once": ("Runs under way at a time; 1 where two don't pay", "at_once"),
    "memory_bytes": ("What the process grew by while the model was loaded, about", "memory"),
}
TIMES = {
    "wait_seconds": ("Time requests waited for their run, of the last ones", "wait"),
    "run_seconds": ("Time of a run, of the last ones", "run"),
}


class ModelMetrics(Collector):
    """Tells the statistics that were taken last; counts begin anew when a model is loaded anew."""

    _labelnames = (*LABELS, "reason", "quantile")  # where prometheus_client's own collectors have theirs

    def __init__(self) -> None:
        self._taken: Mapping[str, ModelStatistics] = {}

    def take(self, statistics: Mapping[str, ModelStatistics]) -> None:
        self._taken = statistics

    def collect(self) -> Iterator[Metric]:
        models = self._taken.values()
        for name, (what, field) in COUNTERS.items():
            counter = CounterMetricFamily(f"aimass_model_{name}", what, labels=LABELS)
            for each in models:
                counter.add_metric((each.name, each.device), float(getattr(each, field)))
            yield counter
        drops = CounterMetricFamily("aimass_model_drops", "Requests dropped", labels=(*LABELS, "reason"))
        for each in models:
            for reason, count in each.drops.items():
                drops.add_metric((each.name, each.device, reason), float(count))
        yield drops
        for name, (what, field) in GAUGES.items():
            gauge = GaugeMetricFamily(f"aimass_model_{name}", what, labels=LABELS)
            for each in models:
                gauge.add_metric((each.name, each.device), float(getattr(each, field)))
            yield gauge
        ready = GaugeMetricFamily("aimass_model_ready", "1, or 0 of a model that was taken out", labels=LABELS)
        for each in models:
            ready.add_metric((each.name, each.device), float(each.state == "ready"))
        yield ready
        for name, (what, field) in TIMES.items():
            times = GaugeMetricFamily(f"aimass_model_{name}", what, labels=(*LABELS, "quantile"))
            for each in models:
                for quantile in ("0.5", "0.95"):
                    seconds = getattr(each, f"{field}_p{round(float(quantile) * 100)}")
                    times.add_metric((each.name, each.device, quantile), seconds)
            yield times


MODELS = ModelMetrics()
REGISTRY.register(MODELS)
