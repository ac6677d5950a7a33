"""When to try again after a cut connection: at once, then in growing steps, for as long as the server waits."""

from __future__ import annotations

from collections.abc import Iterator

STEPS = (0.0, 0.1, 0.25, 0.5, 1.0)  # s before each try; the last one repeats


def delays(limit: float) -> Iterator[float]:
    """Seconds to wait before each try: at least one, `limit` or a little more in all."""
    waited, step = 0.0, 0
    while not step or waited < limit:
        delay = STEPS[min(step, len(STEPS) - 1)]
        yield delay
        waited += delay
        step += 1
