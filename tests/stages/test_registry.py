from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from aimass_stream.errors import InvalidPipeline
from aimass_stream.frames import Kind, VideoFrame
from aimass_stream.functions import stage
from aimass_stream.spec import PipelineSpec
from aimass_stream.stage import Result
from aimass_stream.stage_base import VIDEO, BaseStage, NoParams
from aimass_stream.stages import BUILT_IN, GROUP, Registry
from aimass_stream.stages.gray import Gray

from ..support.context import Context, video

GLOW = """
from aimass_stream.functions import VideoFrame, stage

@stage
def glow(frame: VideoFrame, strength: float = 0.5) -> VideoFrame:
    \"\"\"Makes it glow.\"\"\"
    return frame.with_bgr(frame.bgr)
"""


def install(folder: Path, package: str, source: str, entries: dict[str, str]) -> None:
    """A package as pip leaves it: a module and its dist-info."""
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {value}" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_an_installed_package_adds_its_stage(packages: Path) -> None:
    install(packages, "glowing_stage", GLOW, {"glow": "glowing_stage:glow"})
    registry = Registry()
    assert registry.names() == [*BUILT_IN, "glow"]
    assert "glowing_stage" not in sys.modules  # nothing is imported before it is asked for
    spec = PipelineSpec.parse([{"stage": "glow", "strength": 0.7}])
    (params,) = spec.validate(registry.params, registry.names)
    assert params.model_dump() == {"strength": 0.7}
    assert registry.create("glow", params).accepts == VIDEO
    described = registry.describe()[-1]
    assert (described["title"], described["doc"], described["accepts"]) == ("Glow", "Makes it glow.", ["video"])
    with pytest.raises(InvalidPipeline) as refused:
        PipelineSpec.parse([{"stage": "glow", "colour": 1}]).validate(registry.params, registry.names)
    assert refused.value.field == "pipeline[0].colour"


@pytest.mark.parametrize(("source", "told"), [
    ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
    ("def nothing(): ...", "has no attribute 'glow'"),
    ("raise SystemExit('no licence')", "no licence"),
    ("def glow(frame): ...", "without @stage"),
    ("glow = 5", "neither a stage's class nor a function"),
    ("class glow:\n    accepts = {'smell'}", "accepts must be"),
    ("class glow:\n    accepts = {'video'}", "Params must be"),
    ("from aimass_stream.stage_base import NoParams\nclass glow:\n    accepts = {'video'}\n    Params = NoParams\n"
     "    def process(self, frame): ...", "must be an async method"),
])
def test_a_broken_one_is_listed_and_harms_no_other(packages: Path, source: str, told: str) -> None:
    install(packages, "broken_stage", source, {"broken": "broken_stage:glow"})
    install(packages, "glowing_stage", GLOW, {"glow": "glowing_stage:glow"})
    registry = Registry()
    registry.load()
    described = {item["name"]: item for item in registry.describe()}
    assert told in described["broken"]["error"]
    assert described["broken"]["accepts"] == []
    assert "error" not in described["glow"]
    assert "error" not in described["mirror"]
    with pytest.raises(InvalidPipeline) as refused:
        PipelineSpec.parse([{"stage": "glow"}, {"stage": "broken"}]).validate(registry.params, registry.names)
    assert refused.value.field == "pipeline[1].stage"
    assert told in refused.value.detail
    with pytest.raises(InvalidPipeline):
        registry.create("broken", NoParams())


def test_ours_are_not_replaced_by_an_installed_one(packages: Path) -> None:
    install(packages, "glowing_stage", GLOW, {"gray": "glowing_stage:glow"})
    registry = Registry()
    assert registry.names() == list(BUILT_IN)
    assert isinstance(registry.create("gray", NoParams()), Gray)


def test_an_unknown_stage_is_named_with_those_there_are() -> None:
    registry = Registry(entries=[])
    assert registry.params("nope") is None
    with pytest.raises(InvalidPipeline) as refused:
        PipelineSpec.parse([{"stage": "nope"}]).validate(registry.params, registry.names)
    assert refused.value.field == "pipeline[0].stage"
    assert "mirror" in refused.value.detail


class Fog(BaseStage[NoParams]):
    """Hides what is far."""

    accepts: ClassVar[frozenset[Kind]] = VIDEO

    async def process(self, frame: VideoFrame) -> Result:
        return frame


def test_add_and_remove() -> None:
    registry = Registry(entries=[])
    registry.add("fog", Fog)
    assert registry.names()[-1] == "fog"
    assert isinstance(registry.create("fog", NoParams()), Fog)
    assert registry.describe()[-1]["doc"] == "Hides what is far."

    @stage
    def gray(frame: VideoFrame, darkness: int = 3) -> VideoFrame:
        """Another."""
        return frame

    registry.add("gray", gray)  # under development, one may take the place of ours
    assert registry.names().count("gray") == 1
    model = registry.params("gray")
    assert model is not None
    assert list(model.model_fields) == ["darkness"]
    assert {item["doc"] for item in registry.describe() if item["name"] == "gray"} == {"Another."}
    registry.remove("gray")
    assert "gray" not in registry.names()
    with pytest.raises(TypeError):
        registry.add("fog", lambda frame: frame)
    assert "fog" in registry.names()  # what was refused changed nothing


def test_a_class_from_elsewhere_needs_none_of_our_bases(packages: Path) -> None:
    install(packages, "plain_stage", """
from pydantic import BaseModel

class Plain:
    accepts = frozenset({"audio"})
    class Params(BaseModel):
        level: int = 1
    def __init__(self, params): self.params = params
    async def start(self, context): ...
    async def process(self, frame): return frame
    def update(self, params): self.params = params
    async def close(self): ...
""", {"plain": "plain_stage:Plain"})
    registry = Registry(entries=[EntryPoint("plain", "plain_stage:Plain", GROUP)])
    model = registry.params("plain")
    assert model is not None
    assert issubclass(model, BaseModel)
    assert registry.create("plain", model()).accepts == {"audio"}


@pytest.mark.anyio
async def test_built_ins_travel_the_same_path() -> None:
    registry = Registry(entries=[])
    made = registry.create("mirror", registry.params("mirror")())  # type: ignore[misc]
    await made.start(Context())
    assert isinstance(await made.process(video(1)), VideoFrame)
