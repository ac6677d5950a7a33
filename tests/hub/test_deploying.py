"""Deployments: names, canaries, shadows, going back, and versions that are in use."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.errors import Conflict, Forbidden, InvalidInput, InvalidPipeline, NotFound
from aimass_stream.hub.cold import Cold
from aimass_stream.hub.deploying import Deployments
from aimass_stream.hub.hub import Hub
from aimass_stream.hub.records import Change, Deployment
from aimass_stream.spec import PipelineSpec
from tests.support.model_files import linear
from tests.support.model_hub import ADA, ADMIN, BOB, opened, submitted
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

ALONE = {"batchable": False}  # else batches are measured when it is loaded
X = {"x": np.ones((1, 3), np.float32)}


async def three(hub: Hub) -> None:
    """fish@1 to fish@3, which add their number to the sums 9 and 12."""
    for bias in (1, 2, 3):
        version = await submitted(hub, "fish", {"m.onnx": linear(bias=bias)}, capabilities=ALONE, task="detection")
        assert version.state == "ready", version.reason


async def ask(hub: Hub, name: str) -> float:
    served = hub.resolve(name, ADA).served
    return float((await hub.engine.submit(served, X, session="test"))["y"][0, 0])


async def test_an_alias_leads_to_a_version_and_back(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        deploy = hub.deployments.deploy
        with pytest.raises(NotFound):
            hub.resolve("fish", ADA)
        await deploy(ADA, "fish", Deployment("production", 1))
        assert await ask(hub, "fish") == 10
        await deploy(ADA, "fish", Deployment("production", 2))
        await deploy(ADA, "fish", Deployment("staging", 3))
        for name, answer in (("fish", 11), ("fish@production", 11), ("fish@staging", 12), ("fish@1", 10)):
            assert await ask(hub, name) == answer
        await deploy(ADA, "fish", Deployment("production", 3))
        for number in (2, 1):
            assert (await hub.deployments.roll_back(ADA, "fish")).number == number
        with pytest.raises(Conflict, match="nothing earlier to go back to"):
            await hub.deployments.roll_back(ADA, "fish")
        assert await ask(hub, "fish") == 10
        assert len(await hub.deployments.history(ADA, "fish", "production")) == 5
        await hub.deployments.withdraw(ADA, "fish", "staging")
        for name in ("fish@staging", "fish@9", "bird", "fish@x@y"):
            with pytest.raises(NotFound):
                hub.resolve(name, ADA)
    async with opened(tmp_path, sandboxed=False) as hub:  # another process
        await hub.engine.load("fish@1")
        assert await ask(hub, "fish") == 10


async def test_what_can_not_be_deployed(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        deploy = hub.deployments.deploy
        await hub.catalogue.change(ADA, "fish", Change(visibility="public"))
        broken = await submitted(hub, "fish", {"m.onnx": linear()[:-9]})
        with pytest.raises(Conflict, match="refused"):
            await deploy(ADA, "fish", Deployment("production", broken.number))
        other = await submitted(hub, "fish", {"m.onnx": linear(np.ones((4, 2), np.float32))})
        wide = await submitted(hub, "fish", {"m.onnx": linear(rows=1)})
        assert (other.state, wide.state) == ("ready", "ready")
        for wanted, error in ((Deployment("production", 99), NotFound), (Deployment("a b", 1), InvalidInput),
                              (Deployment("latest", 1), InvalidInput),
                              (Deployment("production", 1, 2, 0), InvalidInput),
                              (Deployment("production", 1, None, 5), InvalidInput),
                              (Deployment("production", 1, 2, 101), InvalidInput)):
            with pytest.raises(error):
                await deploy(ADA, "fish", wanted)
        with pytest.raises(Forbidden):
            await deploy(BOB, "fish", Deployment("production", 1))
        assert hub.deployments.models == {}


async def test_a_canary_gets_its_share_and_a_shadow_is_not_heard(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 1, 2, 25, 3))
        answers = Counter([await ask(hub, "fish") for _ in range(100)])
        assert answers == {10: 75, 11: 25}
        await until(lambda: not hub.shadows._tasks)
        seen = hub.shadows.seen["fish@3"]
        assert seen.asked + seen.left_out == 75
        assert seen.asked > 0
        assert (seen.agreed, seen.failed, seen.difference) == (0, 0, 2)
        assert (await hub.deployments.roll_back(ADA, "fish")).numbers == {1}
        assert Counter([await ask(hub, "fish") for _ in range(10)]) == {10: 10}


async def test_what_another_process_deploys(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        here = hub.deployments
        there = Deployments(hub.catalogue._database, here.places, hub.engine.load)
        await here.deploy(ADA, "fish", Deployment("production", 1))
        before = await there._stamp()
        await there.catch_up()
        assert there.resolve("fish", ADA).served == "fish@1"
        await here.deploy(ADA, "fish", Deployment("production", 2))
        assert await there._stamp() != before
        await there.catch_up()
        assert [there.resolve(name, ADA).served for name in ("fish", "fish@1")] == ["fish@2", "fish@1"]
        await here.withdraw(ADA, "fish", "production")
        await there.catch_up()
        assert there.names(ADMIN) == []


async def test_private_models_are_nobody_elses(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 1))
        for name in ("fish", "fish@1", "fish@production"):
            assert hub.resolve(name, ADMIN).served == "fish@1"
            for caller in (BOB, None):
                with pytest.raises(NotFound):
                    hub.resolve(name, caller)
        await hub.catalogue.change(ADA, "fish", Change(visibility="public"))
        await hub.deployments.refresh("fish")
        assert hub.resolve("fish").served == "fish@1"


async def test_a_version_in_use_is_not_deleted(tmp_path: Path) -> None:
    used = {f"s_{number}": PipelineSpec.parse([{"stage": "detect", "model": "fish@2"}]) for number in range(1, 5)}
    async with opened(tmp_path, used, sandboxed=False) as hub:
        await three(hub)
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 1))
        with pytest.raises(Conflict, match="in use: by session s_1, session s_2, session s_3 and 1 more"):
            await hub.delete_version(ADA, "fish", 2)
        with pytest.raises(Conflict, match="in use: by the alias production"):
            await hub.delete_version(ADA, "fish", 1)
        with pytest.raises(Conflict, match="in use"):
            await hub.delete(ADA, "fish")
        used.clear()
        await hub.delete_version(ADA, "fish", 2)
        with pytest.raises(Conflict, match="in use: by the alias production"):
            await hub.delete(ADA, "fish")
        await hub.deployments.withdraw(ADA, "fish", "production")
        await hub.delete(ADA, "fish")
        assert hub.engine.models() == {}
        await until(lambda: hub.deployments.places.there() == [])


async def test_a_swap_under_load_drops_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 1))
        answers: list[float] = []
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                answers.append(await ask(hub, "fish"))

        callers = [asyncio.create_task(load()) for _ in range(4)]
        for number in (2, 3):
            await until(lambda: len(answers) > 20)
            await hub.deployments.deploy(ADA, "fish", Deployment("production", number))
            answers.clear()
        await until(lambda: len(answers) > 20)
        stop.set()
        await asyncio.gather(*callers)
        assert answers.count(11) <= 4  # what was on its way
        assert set(answers) <= {11, 12}
        assert answers[-1] == 12


async def test_a_session_keeps_the_version_that_it_began_with(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 1))
        wish = PipelineSpec.parse([{"stage": "mirror"}, {"stage": "detect", "model": "fish", "every": 2}])
        first = hub.pin(wish, ADA, PipelineSpec())
        assert first.json()[1] == {"stage": "detect", "model": "fish@1", "every": 2}
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 2))
        assert hub.pin(wish, ADA, first) == first
        assert hub.pin(first, ADA, first) == first
        assert hub.pin(wish, ADA, PipelineSpec()).json()[1]["model"] == "fish@2"
        for model in ("fish@9", "bird@1", "fish@staging"):
            with pytest.raises(InvalidPipeline) as refused:
                hub.pin(PipelineSpec.parse([{"stage": "detect", "model": model}]), ADA, PipelineSpec())
            assert refused.value.field == "pipeline[0].model"
        with pytest.raises(InvalidPipeline):
            hub.pin(wish, BOB, PipelineSpec())
        plain = PipelineSpec.parse([{"stage": "detect", "model": "mediapipe-faces"}, {"stage": "classify"}])
        assert hub.pin(plain, ADA, PipelineSpec()) == plain


async def test_models_that_nobody_uses_give_their_memory_back(tmp_path: Path) -> None:
    used: dict[str, list[str]] = {"fish@1": ["s_1"]}
    async with opened(tmp_path, sandboxed=False) as hub:
        await three(hub)
        for number in (1, 2, 3):
            await hub.deployments.deploy(ADA, "fish", Deployment("production", number))
        now, short = [0.0], [False]
        cold = Cold(hub.engine, lambda: used, idle=100, clock=lambda: now[0], short=lambda: short[0])
        assert await cold.look() == []
        now[0] = 60
        await ask(hub, "fish@3")
        assert await cold.look() == []
        now[0] = 120
        assert await cold.look() == ["fish@2"]
        assert set(hub.engine.models()) == {"fish@1", "fish@3"}
        short[0] = True
        assert await cold.look() == ["fish@3"]
        assert await cold.look() == []
        await hub.engine.load(hub.resolve("fish", ADA).served)  # on demand
        assert await ask(hub, "fish") == 12
