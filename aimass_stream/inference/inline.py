"""Runs so short that waiting for a thread's turn would cost more than they do: they are made where they are asked for.

Only of models whose runs take as long as the shape of their input says, whatever is in it (`Capabilities.steady`), and
only so many rows as were measured, while the model was loaded, to take no longer than a small part of what one call may
hold the event loop for. Should they do so all the same, they go to a thread from then on.
"""

from __future__ import annotations

import logging
import time

from .contract import Batch, Model

log = logging.getLogger(__name__)

SHORT = 1e-4  # s of a run
LONG = 1e-3  # s
LOOKED_AT = 1000  # runs after a long one, of which the processor's time is taken: what else happens doesn't count
IN_A_ROW = 8  # runs until the loop gets a turn
TOO_LONG = 3  # of these that were long, then no more


class Inline:
    """Whether and how a model's requests are run at once, on the event loop."""

    def __init__(self, model: Model, alone: dict[int, float]) -> None:
        """`alone` is seconds by rows, as measured."""
        can = model.capabilities
        self._model = model
        self._long = self._looks = 0
        steady = can.steady and can.fixed_shapes and can.beside and not can.stateful
        self.rows = max((rows for rows, seconds in alone.items() if steady and seconds <= SHORT), default=0)

    def run(self, inputs: Batch) -> tuple[Batch, float] | None:
        """The outputs, and the seconds that took. None where it fails: the usual way finds out why, and counts it."""
        begun = time.perf_counter()
        worked = time.thread_time() if self._looks else 0.0  # a system call
        try:
            outputs = self._model.run(inputs)
        except Exception:
            return None
        if self._looks:
            self._looks -= 1
            self._judge(time.thread_time() - worked)
        seconds = time.perf_counter() - begun
        if seconds > LONG:
            self._looks = LOOKED_AT
        return outputs, seconds

    def _judge(self, worked: float) -> None:
        if worked > LONG:
            self._long += 1
            if self._long == TOO_LONG:
                self.rows = 0
                log.warning("model %s took more than %g ms on the loop: it runs in a thread from now on",
                            self._model.name, LONG * 1000)
