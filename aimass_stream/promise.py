"""A session's promised latency, kept: what was measured goes to a governor for each track, its steps to the stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from . import metrics
from .events import EventData, GovernorStepped, LatencyMissed, LatencyStats, RungStats
from .governor import Governor, Missed, Part, Step, costs, percentile
from .lane import RATES, Lane, Runner
from .metrics import Meter
from .pipeline import Pipeline
from .stage import Rung

LOOK = 0.25  # s from one look to the next
NETWORK = ("jitter", "send")  # hops that wait for others' networks
RATE = "frame rate"


@dataclass(slots=True)
class _Track:
    governor: Governor
    taken: int = 0  # delays that the governor has
    since: dict[str, int] = field(default_factory=dict)  # by hop, how many values there were at the last step
    beside: dict[Runner, tuple[float, int]] = field(default_factory=dict)  # likewise, s and pictures


class Promise:
    """`latency_ms` from a picture's or a sound's arrival until it leaves, for 95 of 100 of them."""

    def __init__(self, latency_ms: int, pipeline: Pipeline, meter: Meter,
                 tell: Callable[[EventData, str], None]) -> None:
        self.latency_ms = latency_ms
        self._pipeline, self._meter, self._tell = pipeline, meter, tell
        self._tracks: dict[str, _Track] = {}

    @property
    def tight(self) -> bool:
        """Not kept at this moment."""
        return any(self._late(track.governor) for track in self._tracks.values())

    def look(self, moment: float) -> None:
        """Take what was measured since the last look, and step where that is needed; s, monotonic."""
        lanes = [lane for lane in self._pipeline.lanes() if lane.kind != "text"]
        names = {lane.track for lane in lanes}
        for gone in self._tracks.keys() - names:
            del self._tracks[gone]
        for lane in lanes:
            self._look(lane, moment)

    def _look(self, lane: Lane, moment: float) -> None:
        meter, name = self._meter, lane.track
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = _Track(Governor(self.latency_ms / 1000), meter.count(name, "total"))
        totals = meter.since(name, "total", track.taken)
        track.taken = meter.count(name, "total")
        for gone in track.beside.keys() - set(lane.runners):
            del track.beside[gone]
        outside = sum(percentile(meter.since(name, hop, track.since.get(hop, 0))) for hop in NETWORK)
        answer = track.governor.look(moment, totals, self._parts(lane, track), outside)
        if isinstance(answer, Step):
            self._step(lane, answer)
            track.since = {hop: meter.count(name, hop) for hop in meter.hops.get(name, {})}
            track.beside = {runner: (runner.beside_seconds, runner.done) for runner in lane.runners}
        elif isinstance(answer, Missed):
            metrics.LATENCY_MISSED.inc()
            self._tell(LatencyMissed(why=answer.why, p95_ms=_ms(answer.p95), latency_ms=self.latency_ms), name)

    def _parts(self, lane: Lane, track: _Track) -> list[Part]:
        found = []
        for runner in lane.runners:
            if len(runner.reach) > 1 and not runner.bypassed:
                seconds = percentile(self._meter.since(lane.track, runner.spec.name,
                                                       track.since.get(runner.spec.name, 0)))
                begun, count = track.beside.get(runner, (0.0, 0))
                seconds += (runner.beside_seconds - begun) / max(1, runner.done - count)
                found.append(Part(runner, runner.at, runner.reach, _costs(runner.ladder), seconds))
        if lane.kind == "video":
            found.append(Part(lane, lane.rung, range(len(RATES)), _costs(RATES), 0.0, last=True))
        return found

    def _step(self, lane: Lane, step: Step) -> None:
        part = step.part.key
        assert isinstance(part, Runner | Lane)
        ladder, before = _ladder(part), step.part.rung
        part.rung = step.rung
        index, stage = _place(part)
        metrics.GOVERNOR_STEPS.labels(stage, "down" if step.down else "up").inc()
        self._tell(GovernorStepped(
            index=index, stage=stage, down=step.down, before=ladder[before].name, after=ladder[step.rung].name,
            says=ladder[step.rung].says, why=step.why, p95_ms=_ms(step.p95), latency_ms=self.latency_ms), lane.track)

    def stats(self) -> LatencyStats:
        found = [track.governor.p95 for track in self._tracks.values()]
        delays = [delay for delay in found if delay is not None]
        kept = False if self.tight else True if found and len(delays) == len(found) else None
        return LatencyStats(latency_ms=self.latency_ms, p95_ms=_ms(max(delays)) if delays else None, kept=kept,
                            stages=[stage for lane in self._pipeline.lanes() for stage in lowered(lane)])

    def _late(self, governor: Governor) -> bool:
        return governor.p95 is not None and (governor.missed or governor.p95 > governor.bound)


def lift(pipeline: Pipeline) -> None:
    """Nothing is promised any longer: let every stage work with all it has."""
    for lane in pipeline.lanes():
        for part in _all(lane):
            part.rung = 0


def lowered(lane: Lane) -> list[RungStats]:
    """What of a lane works with less than it could."""
    found = []
    for part in _all(lane):
        ladder, at = _ladder(part), part.at
        first = part.reach.start if isinstance(part, Runner) else 0
        if at > first:
            index, stage = _place(part)
            found.append(RungStats(index=index, stage=stage, track=lane.track, rung=at, name=ladder[at].name,
                                   says=ladder[at].says))
    return found


def _all(lane: Lane) -> list[Runner | Lane]:
    return [*lane.runners, lane]


def _ladder(part: Runner | Lane) -> tuple[Rung, ...]:
    return RATES if isinstance(part, Lane) else part.ladder


def _place(part: Runner | Lane) -> tuple[int | None, str]:
    return (None, RATE) if isinstance(part, Lane) else (part.index, part.spec.name)


def _costs(ladder: tuple[Rung, ...]) -> list[float]:
    return costs([rung.cost for rung in ladder])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
