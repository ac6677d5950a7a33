"""Promised latency in real sessions: what the governor does with what was measured, and what clients see of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from pydantic import BaseModel

from aimass_stream import promise
from aimass_stream.admission import SEEN, UNKNOWN
from aimass_stream.errors import Busy, InvalidInput
from aimass_stream.events import LatencyStats
from aimass_stream.frames import Frame, Kind, VideoFrame, now
from aimass_stream.functions import Rung, stage
from aimass_stream.governor import GRACE, KEPT, STALE, WAIT
from aimass_stream.lane import RATES
from aimass_stream.node import Node
from aimass_stream.session import Session
from aimass_stream.spec import PipelineSpec
from aimass_stream.stage import Result
from aimass_stream.stage_base import VIDEO, BaseStage, Params
from aimass_stream.stages import Registry

from .support.session import CALLER, Collector, Idle, open_session, opened_node, picture, play

pytestmark = pytest.mark.anyio

NEVER = 1e6  # s
FPS = 30
TAKES = {"dear": (0.1, 0.04, 0.005), "cheap": (0.03, 0.012)}  # s of a picture at each rung, in simulated time


class Laddered(BaseStage[BaseModel]):
    """Says at which rung it works."""

    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = Params

    async def process(self, frame: VideoFrame) -> Result:
        frame.notes[type(self).__name__.lower()] = self.rung
        return frame


class Dear(Laddered):
    ladder = (Rung("all"), Rung("some", "does some of it", 0.4), Rung("little", "does little of it", 0.05))


class Cheap(Laddered):
    ladder = (Rung("all"), Rung("some", cost=0.4))


class Greedy(Laddered):
    load = 1000.0


class Burner(BaseStage[BaseModel]):
    """Computes for as long as its rung says, as a network does: in a thread, without the interpreter lock."""

    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = Params
    ladder = (Rung("all"), Rung("little", "hardly computes", 0.02))
    seconds = 0.3

    async def process(self, frame: VideoFrame) -> Result:
        await self.context.run(burn, (self.seconds, 0.002)[self.rung])
        frame.notes["rung"] = self.rung
        return frame


class Heavy(Burner):
    """For a browser on a busy machine, whose own work is no reason to miss a bound."""

    seconds = 0.9


def burn(seconds: float) -> None:
    picture = np.zeros((200, 200), np.uint8)
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        cv2.blur(picture, (5, 5))


@stage(ladder=[Rung("whole"), Rung("half", "works on half the size", scale=0.5)])
def halved(frame: VideoFrame) -> VideoFrame:
    frame.notes["size"] = [frame.width, frame.height]
    return frame


def registry() -> Registry:
    stages = Registry(entries=[])
    for each in (Dear, Cheap, Greedy, Burner, Heavy, halved):
        stages.add(each.__name__.lower(), each)
    return stages


class Timed(Collector):
    """A sink that measures, as transports do."""

    session: Session | None = None

    def frame(self, frame: Frame) -> None:
        super().frame(frame)
        if self.session is not None:
            self.session.meter.hop(frame.track, frame.kind, "total", now() - frame.arrived)


async def timed(node: Node, pipeline: object, latency_ms: int) -> tuple[Session, Timed]:
    session = await node.open(PipelineSpec.parse(pipeline), caller=CALLER, transport="test", latency_ms=latency_ms)
    sink = Timed()
    sink.session = session
    await session.attach(Idle(), sink)
    return session, sink


async def through(session: Session, sink: Collector, number: int) -> None:
    """One picture, to its end."""
    before = len(sink.of("video"))
    session.push(picture(number))
    await sink.until(lambda: len(sink.of("video")) > before)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions don't look by themselves: a test says what time it is."""
    monkeypatch.setattr("aimass_stream.session.LOOK", NEVER)


class Simulated:
    """A real session in simulated time: measured is what `TAKES` says of the rungs that its stages are at."""

    def __init__(self, session: Session, sink: Collector, base: float = 0.01) -> None:
        self.session, self.sink, self.base = session, sink, base
        self.moment, self.load = 5000.0, 1.0

    async def begin(self) -> None:
        self.session.push(picture(0))
        await self.sink.until(lambda: self.sink.of("video"))

    def run(self, seconds: float) -> None:
        end = self.moment + seconds
        while self.moment < end:
            self.moment += promise.LOOK
            [lane] = self.session.pipeline.lanes()
            took = {runner.spec.name: TAKES[runner.spec.name][runner.at] for runner in lane.runners}
            load = self.load / (lane.rung + 1)  # fewer pictures leave each other more of the processor
            for _ in range(round(FPS * promise.LOOK / (lane.rung + 1))):
                for name, seconds_taken in took.items():
                    self.session.meter.hop("video-0", "video", name, load * seconds_taken)
                self.session.meter.hop("video-0", "video", "total", load * (self.base + sum(took.values())))
            assert self.session.promise is not None
            self.session.promise.look(self.moment)

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [event.data for event in self.sink.typed("governor.stepped")]


@pytest.mark.usefixtures("by_hand")
async def test_stages_step_down_the_costliest_first_and_up_again_and_clients_are_told() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "cheap"}, {"stage": "dear"}], latency_ms=50)
        play = Simulated(session, sink)
        await play.begin()
        play.run(GRACE + 8)
        assert [(step["stage"], step["index"], step["before"], step["after"]) for step in play.steps] == [
            ("dear", 1, "all", "some"), ("dear", 1, "some", "little")]
        assert all(step["down"] and step["p95_ms"] > 50 == step["latency_ms"] for step in play.steps)
        assert play.steps[1]["says"] == "does little of it"
        assert sink.typed("governor.stepped")[0].track == "video-0"
        stats = session.stats().latency
        assert stats is not None
        assert stats.kept
        assert stats.p95_ms == pytest.approx(45, abs=0.1)
        [lowered] = stats.stages
        assert (lowered.index, lowered.stage, lowered.rung, lowered.name) == (1, "dear", 2, "little")
        session.push(picture(1))
        await sink.until(lambda: len(sink.of("video")) == 2)
        assert sink.of("video")[-1][1].notes == {"cheap": 0, "dear": 2}

        play.load = 0.1
        play.run(4 * WAIT)
        assert [(step["after"], step["down"]) for step in play.steps[2:]] == [("some", False), ("all", False)]
        stats = session.stats().latency
        assert stats is not None
        assert stats.stages == []
        seqs = [event.seq for event in sink.events]
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.usefixtures("by_hand")
async def test_the_frame_rate_comes_last_then_it_is_told_once_that_the_bound_is_missed() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "cheap"}], latency_ms=30)
        play = Simulated(session, sink)
        await play.begin()
        play.load = 10.0
        play.run(60)
        assert [(step["stage"], step["index"]) for step in play.steps] == [("cheap", 0), ("frame rate", None),
                                                                           ("frame rate", None)]
        [missed] = sink.typed("latency.missed")
        assert missed.data["latency_ms"] == 30
        assert missed.data["p95_ms"] > 30
        assert session.state == "live"
        stats = session.stats().latency
        assert stats is not None
        assert not stats.kept
        assert stats.stages[-1].name == RATES[2].name
        before = len(sink.of("video"))
        for n in range(1, 13):
            session.push(picture(n))
        await sink.until(lambda: len(sink.of("video")) == before + 4)
        assert session.meter.drops["video-0/governor"] == 8

        play.load = 0.2
        play.run(KEPT + 5)
        play.load = 100.0
        play.run(60)
        assert len(sink.typed("latency.missed")) == 2


@pytest.mark.usefixtures("by_hand")
async def test_a_bound_can_be_changed_and_lifted() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "dear"}])
        assert session.json()["latency_ms"] is None
        assert session.stats().latency is None
        await session.control({"type": "session.update", "latency_ms": 50, "id": "r1"})
        assert sink.events[-1].type == "session.updated"
        assert sink.events[-1].data["latency_ms"] == 50
        play = Simulated(session, sink)
        await play.begin()
        play.run(10)
        assert len(play.steps) == 1
        await session.update(latency_ms=40)
        play.run(10)
        assert session.pipeline.lanes()[0].runners[0].at == 2
        await session.update(latency_ms=0)
        assert session.promise is None
        assert session.pipeline.lanes()[0].runners[0].at == 0
        assert sink.events[-1].data["latency_ms"] is None


@pytest.mark.parametrize("wrong", [9, 5001, -1, "80", 80.5, True, []])
async def test_a_bound_that_makes_no_sense_is_refused(wrong: object) -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [])
        await session.control({"type": "session.update", "latency_ms": wrong, "id": "r1"})
        [refused] = sink.typed("error")
        assert refused.data["field"] == "latency_ms"
        assert "from 10 to 5000" in refused.data["detail"]
        with pytest.raises(InvalidInput):
            await node.open(PipelineSpec(), caller=CALLER, transport="test", latency_ms=wrong)  # type: ignore[arg-type]
        assert len(node.sessions()) == 1


@pytest.mark.usefixtures("by_hand")
async def test_what_was_not_measured_lately_is_not_called_kept() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "dear"}], latency_ms=50)
        play = Simulated(session, sink)

        def told() -> LatencyStats:
            latency = session.stats().latency
            assert latency is not None
            return latency

        assert (told().p95_ms, told().kept) == (None, None)
        await play.begin()
        play.run(10)
        assert told().kept is True
        assert session.promise is not None
        session.promise.look(play.moment + STALE + 1)  # nothing came out since
        assert (told().p95_ms, told().kept) == (None, None)


async def test_a_stage_that_takes_too_long_computes_less_and_no_picture_is_missing_for_long() -> None:
    async with opened_node(registry()) as node:
        session, sink = await timed(node, [{"stage": "burner"}], latency_ms=250)
        camera = asyncio.create_task(play(session, 60, audio=False))
        await sink.until(lambda: sink.typed("governor.stepped"))
        count = len(sink.of("video"))
        await sink.until(lambda: len(sink.of("video")) > count + 40)
        camera.cancel()
        await asyncio.wait([camera])
        step = sink.typed("governor.stepped")[0]
        assert (step.data["stage"], step.data["before"], step.data["after"]) == ("burner", "all", "little")
        assert sink.of("video")[-1][1].notes["rung"] == 1
        moments = [at for at, _ in sink.of("video")]
        gaps = np.diff(moments)
        assert float(np.median(gaps[-30:])) < 0.25
        assert max(gaps[count - 1 :]) < 3 * max(gaps[: count - 1]), "none took longer than those before"


async def test_the_lane_shrinks_and_enlarges_for_a_stage_that_asks_for_it() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "halved"}])
        session.push(picture(0))
        await sink.until(lambda: len(sink.of("video")) == 1)
        session.pipeline.lanes()[0].runners[0].rung = 1
        session.push(picture(1))
        await sink.until(lambda: len(sink.of("video")) == 2)
        whole, small = (frame for _, frame in sink.of("video"))
        assert (whole.notes["size"], small.notes["size"]) == ([160, 120], [80, 60])
        assert (small.width, small.height) == (160, 120)
        assert np.abs(small.bgr.astype(int) - whole.bgr.astype(int)).mean() < 12


async def test_who_would_break_a_promise_is_refused_until_there_is_none() -> None:
    greedy = PipelineSpec.parse([{"stage": "dear"}, {"stage": "greedy"}])
    async with opened_node(registry()) as node:
        plain = await node.open(greedy, caller=CALLER, transport="test")  # nothing is promised to anybody
        await plain.close("enough")
        promised, _ = await open_session(node, [{"stage": "dear"}], latency_ms=200)
        with pytest.raises(Busy, match="promised 200 ms") as refused:
            await node.open(greedy, caller=CALLER, transport="test")
        problem = refused.value.problem()
        assert (problem["status"], problem["field"], problem["without"]) == (429, "pipeline[1]", ["greedy"])
        assert problem["retry_after"] > 0
        assert problem["needs"] > 1000 > problem["free"]
        assert "without greedy" in problem["detail"]
        other, sink = await open_session(node, [{"stage": "dear"}])
        await other.control({"type": "session.update", "pipeline": greedy.json(), "id": "r1"})
        assert sink.typed("error")[0].data["status"] == 429
        assert other.spec.json() == [{"stage": "dear"}]
        await promised.update(pipeline=greedy.json())  # its own latency is its own affair
        await promised.close("enough")
        await other.update(pipeline=greedy.json())
        assert (await node.open(greedy, caller=CALLER, transport="test")).spec == greedy


async def test_what_a_stage_takes_is_learnt_while_it_runs() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "burner"}])
        session.push(picture(0))
        await sink.until(lambda: sink.of("video"))
        [runner] = session.pipeline.lanes()[0].runners
        before = node.admission.cost("burner")
        runner.rung, runner.cpu, runner.learnt = 1, 0.0, runner.done
        for n in range(1, SEEN + 1):
            await through(session, sink, n)
        node.admission.learn(node.sessions())
        # 2 ms thirty times a second, which is told to be a fiftieth of what the first rung takes
        assert before == UNKNOWN
        assert 0.002 * 30 / 0.02 <= node.admission.cost("burner") < 4 * 0.002 * 30 / 0.02
        assert node.admission.cost("greedy") == Greedy.load


@pytest.mark.usefixtures("by_hand")
async def test_nobody_comes_in_while_a_promise_is_not_kept() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "cheap"}], latency_ms=30)
        play = Simulated(session, sink)
        await play.begin()
        play.load = 10.0
        play.run(20)
        with pytest.raises(Busy, match="not kept"):
            await node.open(PipelineSpec(), caller=CALLER, transport="test")
        play.load = 0.2
        play.run(KEPT + 4)
        assert (await node.open(PipelineSpec(), caller=CALLER, transport="test")).state == "waiting"


@pytest.mark.usefixtures("by_hand")
async def test_a_look_costs_next_to_nothing() -> None:
    async with opened_node(registry()) as node:
        session, sink = await open_session(node, [{"stage": "cheap"}, {"stage": "dear"}], latency_ms=500)
        play = Simulated(session, sink)
        await play.begin()
        play.run(30)
        assert session.promise is not None
        begun = time.thread_time()
        for n in range(100):
            session.promise.look(play.moment + n * promise.LOOK / 100)
        assert (time.thread_time() - begun) / 100 < 0.01
