from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from aimass_stream.governor import (
    FEW,
    GRACE,
    JUDGE,
    KEPT,
    LEAST,
    LONGEST,
    ROOM,
    SETTLE,
    STALE,
    WAIT,
    Governor,
    Missed,
    Part,
    Step,
    costs,
    percentile,
)

LOOK, FPS, BOUND = 0.25, 30, 0.08
Load = Callable[[float], float]  # moment -> by how much everything takes longer


def steady(moment: float) -> float:
    return 1.0


@dataclass
class Simulated:
    """A stage: what it takes at its first rung, and how much less at the others, as it says and in truth."""

    name: str
    seconds: float
    costs: Sequence[float]
    first: int = 0
    truth: Sequence[float] = ()
    last: bool = False
    rung: int = 0

    def now(self) -> float:
        return self.seconds * (self.truth or self.costs)[self.rung]

    def part(self, load: float) -> Part:
        return Part(self.name, self.rung, range(self.first, len(self.costs)), self.costs, self.now() * load, self.last)


@dataclass
class Plant:
    """Pictures through simulated stages: what the governor sees, and what it does."""

    stages: list[Simulated]
    governor: Governor = field(default_factory=lambda: Governor(BOUND))
    base: float = 0.012  # s outside of stages
    load: Load = steady
    seed: int = 1
    moment: float = 1000.0
    steps: list[tuple[float, Step]] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)
    late: int = 0  # pictures over the bound
    pictures: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def run(self, seconds: float, *, outside: float = 0.0) -> Plant:
        end = self.moment + seconds
        while self.moment < end:
            self.moment += LOOK
            load = self.load(self.moment)
            rate = next((stage.rung + 1 for stage in self.stages if stage.last), 1)
            # every second picture is half the load for the others
            took = (self.base + sum(stage.now() for stage in self.stages) / rate) * load + outside
            totals = [took * self.random.lognormvariate(0, 0.08) for _ in range(round(FPS * LOOK / rate))]
            self.pictures += len(totals)
            self.late += sum(total > self.governor.bound for total in totals)
            answer = self.governor.look(self.moment, totals, [stage.part(load / rate) for stage in self.stages],
                                        outside)
            if isinstance(answer, Step):
                self.steps.append((self.moment, answer))
                chosen = next(stage for stage in self.stages if stage.name == answer.part.key)
                chosen.rung = answer.rung
            elif isinstance(answer, Missed):
                self.missed.append(self.moment)
        return self

    def ways(self) -> list[tuple[str, int]]:
        return [(str(step.part.key), step.rung) for _, step in self.steps]


def style(seconds: float = 0.15) -> Simulated:
    return Simulated("style", seconds, (1.0, 0.5, 0.25))


def rate() -> Simulated:
    return Simulated("rate", 0.0, (1.0, 0.5, 0.33), last=True)


def test_where_there_is_no_trouble_nothing_happens() -> None:
    plant = Plant([style(0.03), rate()]).run(600)
    assert not plant.steps
    assert not plant.missed
    assert plant.governor.p95 is not None
    assert plant.governor.p95 < BOUND


def test_it_steps_down_until_the_bound_is_kept_and_no_further() -> None:
    plant = Plant([style(), rate()]).run(30)
    assert plant.ways() == [("style", 1), ("style", 2)]
    assert plant.governor.p95 is not None
    assert plant.governor.p95 < BOUND
    assert not plant.missed
    first, second = (moment for moment, _ in plant.steps)
    assert first - 1000 < GRACE + JUDGE + 1
    assert second - first < SETTLE + JUDGE + 2 * LOOK


def test_the_stage_that_saves_most_goes_first_and_the_frame_rate_last() -> None:
    cheap, dear = Simulated("cheap", 0.04, (1.0, 0.5)), Simulated("dear", 0.06, (1.0, 0.5, 0.4))
    plant = Plant([rate(), cheap, dear], Governor(0.04)).run(60)
    assert plant.ways()[:2] == [("dear", 1), ("cheap", 1)]
    names = [name for name, _ in plant.ways()]
    assert "rate" in names
    assert names.index("rate") > max(names.index("dear"), names.index("cheap"))


def test_a_stage_that_takes_next_to_nothing_is_left_alone() -> None:
    small = Simulated("small", 0.001, (1.0, 0.1))
    plant = Plant([small, rate()], base=0.2).run(60)
    assert "small" not in [name for name, _ in plant.ways()]
    assert len(plant.missed) == 1


def test_a_frame_rate_that_does_not_help_is_given_back() -> None:
    """All the time goes in something that does not care how many pictures there are."""
    plant = Plant([rate()], base=0.2).run(300)
    assert plant.ways() == [("rate", 1), ("rate", 2), ("rate", 0)]
    assert len(plant.missed) == 1
    plant.run(1500)
    assert len(plant.steps) == 9, "it is tried again, each time after twice as long"


def test_when_pictures_stop_coming_nothing_is_said_of_them() -> None:
    governor = Governor(BOUND)
    part = style().part(1.0)
    for n in range(13):
        assert governor.look(1000 + n / 4, [0.07] * 7, [part]) is None
    assert governor.p95 == 0.07
    assert governor.look(1004 + STALE, [], [part]) is None
    assert governor.p95 is None


def test_rungs_of_no_use_are_not_taken() -> None:
    large = Simulated("style", 0.02, (1.0, 0.5, 0.25), first=2, rung=2)
    plant = Plant([large, rate()]).run(600)
    assert not plant.steps


def test_it_goes_up_again_when_the_load_is_gone_the_last_one_first() -> None:
    first, second = Simulated("first", 0.05, (1.0, 0.5)), Simulated("second", 0.045, (1.0, 0.5))
    plant = Plant([first, second, rate()], load=lambda moment: 1.15 if moment < 1030 else 0.4).run(90)
    down = [way for way in plant.ways() if way[1] == 1]
    up = [way for way in plant.ways() if way[1] == 0]
    assert [name for name, _ in down] == ["first", "second"]
    assert [name for name, _ in up] == ["second", "first"]
    begun = next(moment for moment, step in plant.steps if not step.down)
    assert begun - 1030 >= WAIT


def test_a_load_that_stays_is_tried_less_and_less_often() -> None:
    """What the stage says of its rungs is wrong: the upper one always fails, though it looks as if it would not."""
    deceiver = Simulated("style", 0.1, (1.0, 0.6), truth=(1.0, 0.3))
    plant = Plant([deceiver, rate()]).run(3600)
    ups = [moment for moment, step in plant.steps if not step.down]
    gaps = [later - before for before, later in itertools.pairwise(ups)]
    assert 5 <= len(ups) <= 18, ups
    assert all(later > before * 1.5 for before, later in itertools.pairwise(gaps[:5]))
    assert gaps[-1] >= LONGEST
    assert plant.late < 0.02 * plant.pictures
    assert deceiver.rung == 1


def test_what_should_fail_by_what_it_costs_is_tried_late() -> None:
    plant = Plant([Simulated("style", 0.15, (1.0, 0.2)), rate()]).run(58)
    assert plant.ways() == [("style", 1)]


def test_the_wait_grows_shorter_when_a_try_lasts() -> None:
    stage = Simulated("style", 0.1, (1.0, 0.6), truth=(1.0, 0.3))
    plant = Plant([stage, rate()], load=lambda moment: 1.0 if moment < 1300 else 0.3).run(300)
    longest = plant.governor.wait
    assert longest >= 4 * WAIT
    plant.run(1500)
    assert stage.rung == 0
    assert plant.governor.wait == longest / 2


def test_a_bound_that_cannot_be_kept_is_told_once_and_again_after_it_was_kept() -> None:
    slow: list[tuple[float, float]] = [(1000, 1200), (1300, 1400)]
    plant = Plant([style(0.01), rate()], load=lambda moment: 20.0 if any(a <= moment < b for a, b in slow) else 0.5)
    plant.run(150)
    assert len(plant.missed) == 1
    plant.run(100)
    assert not plant.governor.missed, "kept for long enough"
    plant.run(200)
    assert len(plant.missed) == 2
    assert slow[1][0] - slow[0][1] > KEPT


def test_where_the_network_takes_longer_no_stage_is_to_blame() -> None:
    plant = Plant([style(0.02), rate()]).run(60, outside=0.2)
    assert not plant.steps
    assert len(plant.missed) == 1


def test_few_pictures_are_waited_for() -> None:
    governor = Governor(BOUND)
    part = style().part(1.0)
    found = [governor.look(1000 + second, [0.2], [part]) for second in range(12)]
    step = next(answer for answer in found if answer is not None)
    assert isinstance(step, Step)
    assert step.down
    assert found.index(step) == GRACE + FEW - 1, "every one is over the bound"
    governor = Governor(BOUND)
    mixed = [governor.look(1000 + second, [0.01 if second % 3 else 0.2], [part]) for second in range(12)]
    assert mixed[: int(GRACE) + LEAST - 1] == [None] * (int(GRACE) + LEAST - 1)


def test_without_pictures_it_says_nothing() -> None:
    governor = Governor(BOUND)
    assert all(governor.look(1000 + n, [], [style().part(1.0)]) is None for n in range(100))
    assert governor.p95 is None


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_it_keeps_its_rules(seed: int) -> None:
    """Random stages under random loads, piece by piece constant: an hour each."""
    chance = random.Random(seed)
    stages = [Simulated(f"stage {n}", chance.uniform(0.002, 0.1),
                        [1.0, *sorted((chance.uniform(0.1, 0.95) for _ in range(chance.randint(0, 3))), reverse=True)])
              for n in range(chance.randint(1, 4))]
    for stage in stages:
        stage.truth = [1.0, *(min(1.0, cost * chance.uniform(0.7, 1.3)) for cost in stage.costs[1:])]
    pieces = [chance.choice([0.1, 0.3, 0.6, 1.0, 1.5, 3.0]) for _ in range(6)]
    plant = Plant([*stages, rate()], load=lambda moment: pieces[min(5, int((moment - 1000) // 600))], seed=seed)
    plant.run(3600)
    rungs = {stage.name: stage.first for stage in plant.stages}
    for _, step in plant.steps:
        assert step.part.rung == rungs[str(step.part.key)], "it knows where everything is"
        assert abs(step.rung - step.part.rung) == 1 or (step.part.last and step.rung == 0), "one rung at a time"
        assert step.rung in step.part.reach
        given_back = step.part.last and step.rung == 0 and step.why.endswith("did not help")
        assert (step.down or given_back) == (step.p95 > BOUND)
        assert step.p95 > BOUND or step.p95 <= ROOM * BOUND
        rungs[str(step.part.key)] = step.rung
    moments = [moment for moment, _ in plant.steps]
    assert all(later - before >= SETTLE + JUDGE for before, later in itertools.pairwise(moments))
    most = sum(len(stage.costs) - 1 for stage in plant.stages)
    for piece in range(6):  # in ten minutes of one load: down or up all ladders, and some tries that fail
        inside = [moment for moment in moments if 1000 + 600 * piece <= moment < 1600 + 600 * piece]
        assert len(inside) <= most + 2 * 8, f"{len(inside)} steps under a load of {pieces[piece]}"


def test_costs_that_are_not_told_are_halves() -> None:
    assert costs([0, 0, 0.2, 0]) == [1.0, 0.5, 0.2, 0.1]


def test_percentile() -> None:
    assert percentile([]) == 0
    assert percentile(list(range(101))) == 95
    assert percentile([3]) == 3
