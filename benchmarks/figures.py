"""Numbers out of what a client reports. All times come in seconds and go out in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

INTERVAL = 1 / 30  # s between pictures
FREEZE = 3.5 * INTERVAL  # s without a new picture: 2.5 intervals past the expected moment

Values = NDArray[np.float64]


def percentiles(delays: Values) -> dict[str, float] | None:
    """p50, p95, p99 in ms of delays in seconds."""
    if not len(delays):
        return None
    return {f"p{q}": round(float(np.percentile(delays, q)) * 1000, 1) for q in (50, 95, 99)}


def new_pictures(video: dict[str, Any]) -> tuple[Values, Values]:
    """When each picture was shown for the first time and how old it was; repeats and older ones don't count."""
    times, delays = np.array(video["at"]), np.array(video["delay"])
    taken = times - delays  # when it was sent
    newest = np.maximum.accumulate(taken) if len(taken) else taken
    fresh = np.ones(len(taken), np.bool_)
    fresh[1:] = taken[1:] > newest[:-1] + 1e-4
    return times[fresh], delays[fresh]


def frozen(times: Values, since: float, until: float) -> float:
    """Share of the time in freezes: gaps over 3.5 frame intervals, less the one interval that is normal."""
    inside = times[(times > since) & (times < until)]
    edges = np.concatenate([[since], inside, [until]])
    gaps = np.diff(edges)
    return float(np.sum(gaps[gaps > FREEZE] - INTERVAL) / (until - since))


def between(times: Values, values: Values, since: float, until: float) -> Values:
    return values[(times >= since) & (times < until)]


def median_ms(values: Values) -> float | None:
    return round(float(np.median(values)) * 1000, 1) if len(values) else None


def difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else round(after - before, 1)


def series(times: Values, delays: Values, origin: float, most: int = 200) -> list[list[float]]:
    """[[s since origin, ms], ...] for a plot, thinned evenly to at most `most` points."""
    step = max(1, -(-len(times) // most))
    return [[round(float(t - origin), 3), round(float(d) * 1000, 2)] for t, d in zip(times[::step], delays[::step],
                                                                                  strict=True)]
