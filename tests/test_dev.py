from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.dev import Workbench, load_file, still_valid
from aimass_stream.errors import InvalidInput
from aimass_stream.frames import now
from aimass_stream.node import Node
from aimass_stream.session import Session
from aimass_stream.stages import Registry

from .support.session import Collector, open_session, opened_node, play

STAGE = """
import numpy as np
from typing import Annotated
from aimass_stream.functions import AudioFrame, Field, VideoFrame, stage

@stage
def paint(frame: VideoFrame, {parameters}) -> VideoFrame:
    {body}
    return frame.with_bgr(np.full_like(frame.bgr, {shade}))
"""


def source(shade: str, *, parameters: str = "strength: float = 0.5", body: str = "pass") -> str:
    """A stage that answers one grey, so that a picture tells which code made it."""
    return STAGE.format(shade=shade, parameters=parameters, body=body)


def save(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    path = sys.path[:]
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith("aimass_dev_")]:
        del sys.modules[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_stage.py"
    save(path, source("50"))
    return path


@asynccontextmanager
async def watched(file: Path, pipeline: list[dict[str, Any]] | None = None,
                  ) -> AsyncIterator[tuple[Node, Session, Collector]]:
    registry = Registry(entries=[])
    workbench = await asyncio.to_thread(Workbench, file, registry)
    async with opened_node(registry) as node:
        watching = asyncio.create_task(workbench.watch(node))
        session, sink = await open_session(node, workbench.pipeline if pipeline is None else pipeline)
        camera = asyncio.create_task(play(session, 30, audio=False))
        try:
            await sink.until(lambda: sink.of("video"))
            yield node, session, sink
        finally:
            for task in (camera, watching):
                task.cancel()
            await asyncio.wait([camera, watching])


def shade(sink: Collector) -> int:
    return int(sink.of("video")[-1][1].bgr[0, 0, 0])


async def reloaded(sink: Collector, count: int = 1) -> list[tuple[bool, str]]:
    await sink.until(lambda: len(sink.typed("stage.reloaded")) >= count)
    return [(event.data["ok"], event.data["detail"]) for event in sink.typed("stage.reloaded")]


# live -------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_save_shows_soon_and_without_a_gap(file: Path) -> None:
    async with watched(file) as (_, _, sink):
        assert shade(sink) == 50
        for number, wanted in enumerate((200, 100, 150), start=1):
            saved = now()
            save(file, source(str(wanted)))
            await sink.until(lambda wanted=wanted: shade(sink) == wanted)  # type: ignore[misc]
            assert now() - saved < 10
            assert await reloaded(sink, number) == [(True, "")] * number
        await asyncio.sleep(0.1)
        moments = [at for at, _ in sink.of("video")]
        assert max(after - before for before, after in itertools.pairwise(moments)) < 0.5


@pytest.mark.anyio
async def test_code_that_cannot_be_loaded_changes_nothing(file: Path) -> None:
    async with watched(file) as (_, _, sink):
        save(file, source("200") + "\ndef broken(:\n")
        assert await reloaded(sink) == [(False, "SyntaxError: invalid syntax (my_stage.py, line 11)")]
        seen = len(sink.of("video"))
        await sink.until(lambda: len(sink.of("video")) > seen + 3)
        assert shade(sink) == 50
        save(file, source("200"))
        await sink.until(lambda: shade(sink) == 200)
        assert (await reloaded(sink, 2))[-1] == (True, "")


@pytest.mark.anyio
async def test_parameters_stay_where_the_new_code_has_them(file: Path) -> None:
    save(file, source("100 * strength", parameters="strength: float = 0.5, colour: str = 'red', size: int = 3"))
    given: list[dict[str, Any]] = [
        {"stage": "mirror"}, {"stage": "paint", "id": "a", "strength": 0.8, "colour": "blue", "size": 9}]
    async with watched(file, given) as (_, session, sink):
        assert shade(sink) == 80
        save(file, source("200 * strength", parameters="strength: float = 0.1, "
                               "size: Annotated[int, Field(le=5)] = 1"))
        await sink.until(lambda: shade(sink) == 160)
        kept = [{"stage": "mirror"}, {"stage": "paint", "id": "a", "strength": 0.8}]
        assert session.spec.json() == kept
        await reloaded(sink)
        assert sink.typed("session.updated")[-1].data["pipeline"] == kept


@pytest.mark.anyio
async def test_a_stage_that_was_bypassed_gets_another_chance(file: Path) -> None:
    async with watched(file) as (_, _, sink):
        save(file, source("50", body="raise RuntimeError('not yet')"))
        await sink.until(lambda: sink.typed("stage.bypassed"))
        save(file, source("120"))
        await sink.until(lambda: shade(sink) == 120)


@pytest.mark.anyio
async def test_a_stage_that_cannot_start_leaves_the_old_one_at_work(file: Path) -> None:
    async with watched(file) as (_, _, sink):
        save(file, """
from aimass_stream.stage_base import VIDEO, BaseStage

class Paint(BaseStage):
    accepts = VIDEO
    async def start(self, context): raise RuntimeError("no model")
    async def process(self, frame): return frame
""")
        ((ok, detail),) = await reloaded(sink)
        assert not ok
        assert "no model" in detail
        seen = len(sink.of("video"))
        await sink.until(lambda: len(sink.of("video")) > seen + 3)
        assert shade(sink) == 50


@pytest.mark.anyio
async def test_files_that_editors_replace_or_write_in_two_goes(file: Path) -> None:
    async with watched(file) as (_, _, sink):
        other = file.with_suffix(".new")
        save(other, source("70"))
        os.unlink(file)
        await asyncio.sleep(0.15)
        os.replace(other, file)
        await sink.until(lambda: shade(sink) == 70)
        whole = source("90")
        save(file, whole[:120])
        await asyncio.sleep(0.02)
        save(file, whole)
        await sink.until(lambda: shade(sink) == 90)
        assert all(ok for ok, _ in await reloaded(sink, 2))


@pytest.mark.anyio
async def test_what_the_file_no_longer_has_goes_on_as_it_was(file: Path) -> None:
    async with watched(file) as (node, session, sink):
        save(file, source("200").replace("def paint", "def brush"))
        told = await reloaded(sink, 2)
        assert told[0] == (False, "it is no longer in my_stage.py; the last version goes on")
        assert shade(sink) == 50
        assert "brush" in node.stages.names()
        await session.update(pipeline=[{"stage": "brush"}])
        await sink.until(lambda: shade(sink) == 200)


@pytest.mark.anyio
async def test_another_kind_and_another_session(file: Path) -> None:
    async with watched(file, [{"stage": "gray"}]) as (node, _, sink):
        second, other = await open_session(node, [{"stage": "paint"}])
        save(file, source("0").replace("frame: VideoFrame", "frame: AudioFrame").replace(
            "frame.with_bgr(np.full_like(frame.bgr, 0))", "frame.replace(samples=np.zeros_like(frame.samples))"))
        await reloaded(sink)
        await reloaded(other)
        await play(second, 0.1)
        await other.until(lambda: other.of("audio"))
        assert not other.of("audio")[0][1].samples.any()
        assert {item["name"]: item["accepts"] for item in node.stages.describe()}["paint"] == ["audio"]


# loading ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "told"), [
    ("x = 1", "TypeError: there is no function under @stage and no stage's class in it"),
    ("x = 1\ny = x +", "SyntaxError: invalid syntax (my_stage.py, line 2)"),
    ("import nothing_here", "ModuleNotFoundError: No module named 'nothing_here' (my_stage.py, line 1)"),
    ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero (my_stage.py, line 2)"),
    ("raise SystemExit(3)", "SystemExit: 3 (my_stage.py, line 1)"),
    ("from aimass_stream.functions import stage\n@stage\ndef f(frame): ...", "TypeError: f: say what 'frame' is"),
    ("from aimass_stream.functions import stage, VideoFrame\nimport aimass_stream.stages.gray as g\nGray = g.Gray",
     "TypeError: there is no function under @stage"),
    ("class Odd:\n    def process(self): ...", "TypeError: Odd.accepts must be a set"),
])
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "my_stage.py"
    file.write_text(text)
    before = set(sys.modules)
    with pytest.raises(InvalidInput) as refused:
        load_file(file)
    assert refused.value.detail.startswith(told)
    assert not {name for name in set(sys.modules) - before if name.startswith("aimass_dev_")}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="FileNotFoundError"):
        Workbench(tmp_path / "nothing.py", Registry(entries=[]))


def test_stages_in_the_order_of_the_file_under_their_names(tmp_path: Path) -> None:
    file = tmp_path / "my-stages.py"
    (tmp_path / "helper.py").write_text("SHADE = 7")
    file.write_text(source("helper.SHADE").replace("def paint", "def zebra") + """
import helper
from aimass_stream.stage_base import AUDIO, BaseStage, NoParams

class LoudVoice(BaseStage[NoParams]):
    accepts = AUDIO
    async def process(self, frame): return frame

@stage
def ant(frame: VideoFrame) -> None: ...
""")
    registry = Registry(entries=[])
    workbench = Workbench(file, registry)
    assert workbench.names == ["zebra", "loud_voice", "ant"]
    assert workbench.pipeline == [{"stage": "zebra"}, {"stage": "loud_voice"}, {"stage": "ant"}]
    assert registry.names()[-3:] == ["zebra", "loud_voice", "ant"]
    sys.modules.pop("helper")


def test_only_wrong_parameters_are_left_out() -> None:
    registry = Registry(entries=[])
    text = registry.params("text")
    assert text is not None
    given = {"text": "{frame}", "size": 900, "colour": "#123456", "nonsense": 1}
    assert still_valid(given, text) == {"text": "{frame}", "colour": "#123456"}
