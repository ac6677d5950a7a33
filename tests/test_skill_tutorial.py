"""The code of the skill tutorial runs as it stands there."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.conversation.tools import GROUP, Tool, Toolbox

from .conversation.around import Around, ask

pytestmark = pytest.mark.anyio

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorials" / "your-first-skill.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
DICE, TALLY = (text for language, text in BLOCKS if language == "python")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    path = sys.path[:]
    yield
    sys.path[:] = path
    sys.modules.pop("my_skill", None)


def made(source: str, name: str) -> Tool:
    module: dict[str, Any] = {"__name__": "my_skill"}
    exec(compile(source, str(TUTORIAL), "exec"), module)
    tool = module[name]()
    assert isinstance(tool, Tool)
    return tool


async def test_the_package_it_describes_rolls_dice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed as pip would: the module and a dist-info with the entry points of the tutorial's pyproject.toml."""
    (text,) = (text for language, text in BLOCKS if language == "toml")
    project = tomllib.loads(text)["project"]
    (tmp_path / "my_skill.py").write_text(f"{DICE}\n{TALLY}")
    info = tmp_path / "my_skill-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "\n".join(f"{name} = {value}" for name, value in project["entry-points"][GROUP].items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    toolbox = Toolbox().load()
    assert toolbox.errors == {}
    assert {"dice", "tally"} <= {tool.name for tool in toolbox.all()}
    assert tomllib.loads(text)["tool"]["setuptools"]["py-modules"] == ["my_skill"]  # whatever else lies beside it
    for said, sides in (("please roll the dice", 6), ("roll a die with twenty sides", 20)):
        answer, (action,) = await ask(said, Around(), toolbox)
        rolled = re.fullmatch(r"You rolled a (\d+)\.", answer)
        assert rolled is not None
        assert 1 <= int(rolled[1]) <= sides
        assert action.name == "dice"


async def test_the_tally_counts_for_one_conversation() -> None:
    toolbox = Toolbox(entries=[]).load()
    tally = made(TALLY, "Tally")
    toolbox.add(tally)
    around = Around()
    assert (await ask("count one more", around, toolbox))[0] == "The tally is 1."
    assert (await ask("add twenty to the tally", around, toolbox))[0] == "The tally is 21."
    assert (await ask("how many did we count", Around(), toolbox))[0] == "The tally is 0."
    assert (await ask("add minus five to the tally", around, toolbox))[0] == "I can only count up."
    assert not tally.changes({"action": "tell"})
