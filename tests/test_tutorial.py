"""The tutorial's code runs as it stands there."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aimass_stream import events
from aimass_stream.clips import tone
from aimass_stream.frames import Frame
from aimass_stream.stages import GROUP, Registry, as_factory

from .support.context import Context, audio, video

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorials" / "your-first-stage.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if "@stage" in path.read_text()]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    path, modules, known = sys.path[:], set(sys.modules), dict(events.EVENTS)
    yield
    events.EVENTS.clear()
    events.EVENTS.update(known)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("aimass_dev_", "my_stage")):
            del sys.modules[name]


@pytest.mark.anyio
@pytest.mark.parametrize("source", [*PYTHON, *(path.read_text() for path in EXAMPLES)],
                         ids=[*(f"block {n + 1}" for n in range(len(PYTHON))), *(path.name for path in EXAMPLES)])
async def test_every_stage_in_it_runs(source: str, tmp_path: Path) -> None:
    from aimass_stream.dev import load_file

    path = tmp_path / "my_stage.py"
    path.write_text(source)
    for stage in load_file(path).values():
        factory = as_factory(stage)
        made, context = factory(factory.Params()), Context()
        await made.start(context)
        frames: dict[str, Frame] = {"video": video(1, 320, 240), "audio": audio(tone(0.02))}
        for kind in factory.accepts & set(frames):
            assert await made.process(frames[kind]) is not None
        await made.close()
    for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE):
        module = sys.modules["aimass_dev_my_stage"]
        getattr(module, name)()


def test_the_package_it_describes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed as pip would: the module and a dist-info with the entry points of the tutorial's pyproject.toml."""
    (text,) = (text for language, text in BLOCKS if language == "toml")
    assert len(text.splitlines()) <= 8
    assert tomllib.loads(text)["tool"]["setuptools"]["py-modules"] == ["my_stage"]  # whatever else lies beside it
    project = tomllib.loads(text)["project"]
    (tmp_path / "my_stage.py").write_text(PYTHON[0])
    info = tmp_path / "my_stage-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "\n".join(f"{name} = {value}" for name, value in project["entry-points"][GROUP].items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry()
    described = {item["name"]: item for item in registry.describe()}
    assert "error" not in described["glow"]
    assert described["glow"]["params"]["properties"]["strength"]["default"] == 0.5


def test_the_first_one_is_the_example_and_short() -> None:
    assert len(PYTHON[0].splitlines()) <= 10
    example = (ROOT / "examples" / "my_stage.py").read_text()
    assert PYTHON[0].split("@stage")[1] in example
