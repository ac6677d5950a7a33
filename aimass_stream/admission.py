"""Whether there is room beside sessions that were promised a latency: what a pipeline takes, and what is free.

All in cores. What a stage takes is what its threads took here for one stream, if that is more than what it declares
(`load`); for models, whose work is done elsewhere, it is what they declare. It is an estimate: what is wrong with it,
the governor of the promised session has to make up for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import Busy
from .frames import now
from .governor import costs
from .lane import Runner
from .session import Session
from .spec import PipelineSpec
from .stages import Registry

PLAIN = 0.15  # of a session whose stages do nothing: a picture of 640x480 decoded and encoded 30 times a second
UNKNOWN = 0.05  # of a stage that says nothing and has not run here yet
RATES = {"video": 30.0, "audio": 50.0, "text": 1.0}  # frames a second of the stream that loads are told of
SEEN = 30  # frames of a stage after which its figure counts
SLOWLY = 0.2  # share of a new figure in the kept one
STARTS = 10.0  # s until a new session shows in the measured load
RETRY = 5  # s


@dataclass(frozen=True, slots=True)
class Room:
    """Cores."""

    free: float
    needed: float


class Admission:
    """Of one node. `cores` are those that may be used, `most` the share of them that may be in use."""

    def __init__(self, registry: Registry, cores: float, most: float) -> None:
        self._registry, self._cores, self._most = registry, cores, most
        self._measured: dict[str, float] = {}  # by stage; there are as many as the registry has
        self._starting: deque[tuple[float, float]] = deque(maxlen=256)  # when, and cores

    def learn(self, sessions: Iterable[Session]) -> None:
        """What stages have taken since the last time."""
        for session in sessions:
            for lane in session.pipeline.lanes():
                for runner in lane.runners:
                    self._learn(runner, RATES[lane.kind])

    def _learn(self, runner: Runner, rate: float) -> None:
        count = runner.done - runner.learnt
        if count < SEEN:
            return
        share = costs([rung.cost for rung in runner.ladder])[runner.at] if runner.ladder else 1.0
        found = runner.cpu / count * rate / share
        runner.cpu, runner.learnt = 0.0, runner.done
        name = runner.spec.name
        self._measured[name] = found if name not in self._measured else (
            self._measured[name] + SLOWLY * (found - self._measured[name]))

    def cost(self, stage: str) -> float:
        """Cores that one stream takes in this stage."""
        declared = self._registry.load_of(stage)
        measured = self._measured.get(stage)
        return max(declared, measured) if measured is not None else declared or UNKNOWN

    def check(self, spec: PipelineSpec, before: PipelineSpec | None, promised: Iterable[Session], load: float) -> None:
        """Raises `Busy` where that spec would cost a promised session its latency, and says what would fit.

        `before` is what the session runs now, None for a new one; `load` the share of all cores that is in use.
        """
        held = [session for session in promised if session.promise is not None]
        needed = (sum(self.cost(stage.name) for stage in spec.stages)
                  + (PLAIN if before is None else -sum(self.cost(stage.name) for stage in before.stages)))
        if not held or needed <= 0:
            return
        least = min(session.promise.latency_ms for session in held if session.promise is not None)
        theirs = f"{len(held)} session{'s are' if len(held) > 1 else ' is'} promised {least} ms"
        if any(session.promise.tight for session in held if session.promise is not None):
            raise Busy(f"{theirs} here, and that is not kept as it is. Try again later", retry_after=RETRY,
                       needs=round(needed, 2), free=0.0)
        room = Room(self._free(load), needed)
        if needed > room.free:
            raise self._refusal(theirs, spec, room)
        self._starting.append((now(), needed))

    def _free(self, load: float) -> float:
        moment = now()
        soon = sum(cores * max(0.0, 1 - (moment - since) / STARTS) for since, cores in self._starting)
        return max(0.0, self._cores * (self._most - load) - soon)

    def _refusal(self, theirs: str, spec: PipelineSpec, room: Room) -> Busy:
        """Names what could be left out: the costliest first, until the rest fits."""
        costly = sorted(range(len(spec.stages)), key=lambda at: -self.cost(spec.stages[at].name))
        rest, without = room.needed, []
        for at in costly:
            if rest <= room.free:
                break
            without.append(at)
            rest -= self.cost(spec.stages[at].name)
        names = [spec.stages[at].name for at in sorted(without)]
        fits = f"It would fit without {' and '.join(names)}" if rest <= room.free else "Nothing more fits now"
        return Busy(f"{theirs}, and this takes {room.needed:.2f} cores where {room.free:.2f} are free. {fits}",
                    retry_after=RETRY, field=f"pipeline[{without[0]}]" if rest <= room.free and without else None,
                    needs=round(room.needed, 2), free=round(room.free, 2),
                    without=names if rest <= room.free else None)
