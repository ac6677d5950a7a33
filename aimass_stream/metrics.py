"""What is measured: latency per hop, drops by reason, and what transports and models count.

One `Registry` of Prometheus metrics for the process (`/metrics`), and one `Meter` a session that also keeps
the last moments of each hop, so that the page can draw them.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from .events import HopStats

BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.009, 0.013, 0.02, 0.03, 0.045, 0.065, 0.1, 0.15, 0.25, 0.5, 1, 2.5)

HOP = Histogram("aimass_hop_seconds", "Latency of one hop of a frame", ["hop", "kind"], buckets=BUCKETS)
QUEUE_AGE = Histogram("aimass_queue_age_seconds", "Time frames waited before a stage", ["kind"], buckets=BUCKETS)
DROPS = Counter("aimass_drops_total", "Frames and packets dropped", ["reason", "kind"])
STAGE_FAILURES = Counter("aimass_stage_failures_total", "Exceptions raised by stages", ["stage"])
JITTER_DEPTH = Histogram("aimass_jitter_buffer_seconds", "Time media waited in the jitter buffer", ["kind"],
                         buckets=BUCKETS)
CONCEALED = Counter("aimass_concealed_samples_total", "Audio samples made up for lost ones", ["method"])
RTCP = Counter("aimass_rtcp_total", "RTCP feedback messages", ["message", "direction"])
ENCODE = Histogram("aimass_encode_seconds", "Time to encode one frame", ["codec"], buckets=BUCKETS)
DECODE = Histogram("aimass_decode_seconds", "Time to decode one frame", ["codec"], buckets=BUCKETS)
LOOP_LAG = Histogram("aimass_loop_lag_seconds", "How late the event loop runs its timers", buckets=BUCKETS)
SESSIONS = Gauge("aimass_sessions", "Sessions now", ["transport"])
ADMISSIONS = Counter("aimass_admissions_total", "Session requests", ["result"])
TURN = Histogram("aimass_turn_seconds", "Time from the end of the user's speech to the reply's first sound, by part",
                 ["part"], buckets=BUCKETS)
FIRST_WORDS = Histogram("aimass_first_words_seconds", "Time from when somebody begins to speak to the first words",
                        buckets=BUCKETS)
INTERRUPTIONS = Counter("aimass_interruptions_total", "Replies that somebody spoke into", ["result"])
JOBS = Counter("aimass_jobs_ended_total", "Jobs by how they ended, and those refused", ["result"])
JOBS_NOW = Gauge("aimass_jobs", "Jobs that have not ended", ["state"])
JOB_BYTES = Gauge("aimass_job_bytes", "Size of the results that are kept")
JOBS_DROPPED = Counter("aimass_jobs_dropped_total", "Jobs that were forgotten with their results", ["reason"])
WEBHOOKS = Counter("aimass_webhooks_total", "Events posted to other programs", ["result"])
WATCHED = Counter("aimass_watched_inputs_total", "Inputs of models that were looked at, and those left out", ["result"])
MODEL_ALERTS = Counter("aimass_model_alerts_total", "Alerts of models by what they became", ["state"])
GOVERNOR_STEPS = Counter("aimass_governor_steps_total", "Steps of stages to keep a promised latency",
                         ["stage", "direction"])
LATENCY_MISSED = Counter("aimass_latency_missed_total", "Times that a promised latency could not be kept")
PROMISED = Gauge("aimass_promised_sessions", "Sessions now that a latency is promised to")
MEMORY = Gauge("aimass_memory_bytes", "Resident memory of the process")


WINDOW = 128  # observations kept a hop: about 4 s of video


@dataclass(slots=True)
class _Hop:
    histogram: Histogram  # labels are slow to look up
    count: int = 0
    values: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))  # s


class Meter:
    """Hops and drops of one session. `hop` and `drop` cost a few microseconds: they run per frame."""

    def __init__(self) -> None:
        self.hops: dict[str, dict[str, deque[float]]] = {}  # track -> hop -> seconds
        self.drops: dict[str, int] = {}  # "track/reason" -> count
        self.words: deque[tuple[float, str]] = deque(maxlen=WINDOW)  # s to the first ones, and the model
        self.utterances = 0  # with words, so far
        self._known: dict[tuple[str, str], _Hop] = {}

    def first_words(self, seconds: float, model: str) -> None:
        """So long after somebody began to speak, the first words of it were there."""
        FIRST_WORDS.observe(seconds)
        self.words.append((seconds, model))
        self.utterances += 1

    def hop(self, track: str, kind: str, hop: str, seconds: float) -> None:
        known = self._known.get((track, hop))
        if known is None:
            known = self._known[track, hop] = _Hop(HOP.labels(hop, kind))
            self.hops.setdefault(track, {})[hop] = known.values
        known.histogram.observe(seconds)
        known.values.append(seconds)
        known.count += 1

    def count(self, track: str, hop: str) -> int:
        """Observations so far."""
        known = self._known.get((track, hop))
        return 0 if known is None else known.count

    def since(self, track: str, hop: str, count: int) -> list[float]:
        """s, what was observed after the first `count`; no more than is kept."""
        known = self._known.get((track, hop))
        if known is None:
            return []
        kept = len(known.values)
        fresh = known.count - count if count <= known.count else known.count  # it was forgotten, and begins anew
        return list(itertools.islice(known.values, kept - min(kept, fresh), None))

    def drop(self, track: str, kind: str, reason: str, count: int = 1) -> None:
        DROPS.labels(reason, kind).inc(count)
        key = f"{track}/{reason}"
        self.drops[key] = self.drops.get(key, 0) + count

    def summary(self) -> dict[str, dict[str, HopStats]]:
        """ms, of the last `WINDOW` observations of each hop."""
        return {track: {hop: _summary(values) for hop, values in hops.items()} for track, hops in self.hops.items()}

    def forget(self, track: str, hop: str) -> None:
        """A hop that is gone (a removed stage) no longer shows."""
        self.hops.get(track, {}).pop(hop, None)
        self._known.pop((track, hop), None)


def _summary(values: deque[float]) -> HopStats:
    ordered = sorted(values)
    last = len(ordered) - 1
    return HopStats(p50=round(ordered[last // 2] * 1000, 3), p95=round(ordered[int(last * 0.95)] * 1000, 3),
                    count=len(ordered))
