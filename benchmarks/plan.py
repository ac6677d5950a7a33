"""Which measurement runs on which server, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import measure
from .measure import Lengths, Result
from .servers import OURS, SUBJECTS, VIDEO_ONLY, Server, Subject, serving

GROUPS = {
    "first": "from POST to the first picture", "echo": "delay, processor and memory of one session",
    "neighbour": "beside a session with a slow handler", "handler": "handlers of 10, 50 and 200 ms",
    "hd": "the same at 1280x720", "loss": "1, 5, 10 and 30 % random loss",
    "jitter": "100±30 ms each way, and 20 ms round trip with 1 % loss", "ramp": "sessions on one core",
}
QUICK_STEPS = {("first", "frame"), ("echo", "480p"), ("handler", "200"), ("loss", "5%"),
               ("loss", "5% without FEC"), ("jitter", "100±30 ms")}
LOSSES = (0.01, 0.05, 0.10, 0.30)


@dataclass(frozen=True)
class Step:
    """One measurement; its result goes to results[subject][group][label]."""

    group: str
    label: str
    run: Callable[[Server], Result]


@dataclass(frozen=True)
class Batch:
    """Steps that share one server process. A ramp starts its own, with `alone`."""

    subject: Subject
    steps: list[Step] = field(default_factory=list)
    width: int = 640
    height: int = 480
    alone: Callable[[dict[str, Any]], Result] | None = None

    def quick(self) -> Batch:
        kept = [step for step in self.steps if (step.group, step.label) in QUICK_STEPS]
        return Batch(self.subject, kept if self.subject is not VIDEO_ONLY else [], self.width, self.height)

    def only(self, groups: set[str]) -> Batch:
        kept = [step for step in self.steps if step.group in groups]
        return Batch(self.subject, kept, self.width, self.height, self.alone if "ramp" in groups else None)


def batches(names: list[str], groups: set[str], lengths: Lengths, quick: bool) -> Iterator[Batch]:
    for name in names:
        for batch in _of(SUBJECTS[name], lengths, quick):
            kept = batch.only(groups)
            if kept.steps or kept.alone is not None:
                yield kept


def _of(subject: Subject, lengths: Lengths, quick: bool) -> list[Batch]:
    clean = [
        Step("first", "frame", lambda server: measure.first(server, lengths)),
        Step("echo", "480p", lambda server: measure.echo(server, lengths, 640, 480)),
        Step("neighbour", "200", lambda server: measure.neighbour(server, lengths)),
        *(_handler(ms, lengths) for ms in (10, 50, 200)),
    ]
    hd = Step("hd", "720p", lambda server: measure.echo(server, lengths, 1280, 720))
    bad = [_impaired("loss", f"{loss:.0%}", lengths, loss=loss) for loss in LOSSES]
    if subject.name == OURS:
        bad.append(_impaired("loss", "5% without FEC", lengths, loss=0.05, fec=False))
    bad += [_impaired("jitter", "100±30 ms", lengths, delay=0.1, jitter=0.03),
            _impaired("jitter", "20 ms, 1%", lengths, delay=0.01, loss=0.01)]
    if subject.fixed_size:
        made = [Batch(subject, [*clean, *bad]), Batch(subject, [hd], 1280, 720)]
    else:
        made = [Batch(subject, [*clean, hd, *bad])]
    if subject.name == "fastrtc":
        step = Step("echo", "480p", lambda server: measure.echo(server, lengths, 640, 480, audio=False))
        made.append(Batch(VIDEO_ONLY, [step]))
    made.append(Batch(subject, alone=lambda done: measure.ramp(subject, lengths, _start(done))))
    return [batch.quick() for batch in made] if quick else made


def _handler(ms: int, lengths: Lengths) -> Step:
    return Step("handler", f"{ms}", lambda server: measure.handler(server, lengths, ms))


def _impaired(group: str, label: str, lengths: Lengths, **link: Any) -> Step:
    return Step(group, label, lambda server: measure.impaired(server, lengths, **link))


def _start(done: dict[str, Any]) -> int:
    """Where a ramp starts: what half a core holds by the processor time of one session, if that is known."""
    cpu = done.get("echo", {}).get("480p", {}).get("cpu")
    return max(1, int(0.5 / cpu)) if cpu else 1


def run(batch: Batch, done: dict[str, Any], report: Callable[[str, str, Result], None]) -> None:
    """Run a batch; a measurement that fails is reported with its error and the next one gets a new server."""
    steps = list(batch.steps)
    while steps:
        try:
            with serving(batch.subject, batch.width, batch.height) as server:
                while steps:
                    step = steps.pop(0)
                    try:
                        report(step.group, step.label, step.run(server))
                    except (ConnectionError, TimeoutError, ValueError) as error:
                        report(step.group, step.label, {"error": f"{type(error).__name__}: {error}"})
                        break
                    if not server.settle(3):
                        break  # still busy with what is over: the next measurement gets a fresh one
        except (ConnectionError, TimeoutError) as error:
            for step in steps:
                report(step.group, step.label, {"error": f"{type(error).__name__}: {error}"})
            return
    if batch.alone is not None:
        try:
            report("ramp", "sessions", batch.alone(done))
        except (ConnectionError, TimeoutError) as error:
            report("ramp", "sessions", {"error": f"{type(error).__name__}: {error}"})
