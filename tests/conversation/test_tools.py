from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aimass_stream.conversation.tools import GROUP, LONGEST_RESULT, Surroundings, Tool, Toolbox, ToolResult, use
from aimass_stream.errors import InvalidInput
from aimass_stream.speech.grammar import Phrase

from .around import Around, ask

pytestmark = pytest.mark.anyio

DICE = """
from aimass_stream.conversation.tools import Tool, ToolResult
from aimass_stream.speech.grammar import Phrase

class Dice(Tool):
    name = "dice"
    description = "Rolls a die."
    phrases = (Phrase("dice", ("roll [a|the] (die|dice)",)),)

    async def run(self, arguments, around):
        return ToolResult("You rolled a 4.")
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def install(folder: Path, package: str, source: str, entries: dict[str, str]) -> None:
    """A package as pip leaves it: a module and its dist-info."""
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {value}" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n")


async def test_an_installed_package_adds_a_skill(packages: Path) -> None:
    install(packages, "dice_skill", DICE, {"dice": "dice_skill:Dice"})
    toolbox = Toolbox().load()
    assert toolbox.errors == {}
    assert (await ask("please roll the dice", Around(), toolbox))[0] == "You rolled a 4."
    assert any(phrase.name == "dice" for phrase in toolbox.phrases(Around()))
    assert (await ask("what is two plus two", Around(), toolbox))[0] == "That is 4."


async def test_broken_skills_harm_nobody(packages: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(packages, "broken_skill", "import nothing_of_this_name", {"broken": "broken_skill:X"})
    install(packages, "leaving_skill", "raise SystemExit('bye')", {"leaving": "leaving_skill:X"})
    install(packages, "plain_skill", "class X: pass\nclass Y: name = 'y'", {"plain": "plain_skill:X"})
    install(packages, "clock_skill", DICE, {"clock": "clock_skill:Dice", "other": "clock_skill:Dice"})
    with caplog.at_level(logging.WARNING):
        toolbox = Toolbox().load()
    assert {name: error.partition(":")[0] for name, error in toolbox.errors.items()} == {
        "broken": "ModuleNotFoundError", "leaving": "SystemExit", "plain": "TypeError", "other": "TypeError"}
    assert "'clock' of clock_skill:Dice is left out" in caplog.text
    assert (await ask("what time is it", Around(), toolbox))[0] == "It is 2:05 PM UTC."


class Moody(Tool):
    name = "moody"
    description = "Fails in the way it is told."
    how: ClassVar[Any] = None

    def commands(self, around: Surroundings) -> tuple[Phrase, ...]:
        raise RuntimeError("no phrases today")

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        match arguments.get("how"):
            case "refuse":
                raise InvalidInput("That is too much.")
            case "raise":
                raise ZeroDivisionError
            case "long":
                return ToolResult("x" * (LONGEST_RESULT + 1))
            case _:
                return ToolResult("Fine.")


async def test_whatever_a_tool_raises_becomes_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    around, moody = Around(), Moody()
    assert await use(moody, {"how": "refuse"}, around) == ToolResult("That is too much.", ok=False)
    assert await use(moody, {"how": "raise"}, around) == ToolResult("Sorry, that went wrong.", ok=False)
    assert len((await use(moody, {"how": "long"}, around)).text) == LONGEST_RESULT
    assert "ZeroDivisionError" in caplog.text


async def test_a_skill_without_phrases_leaves_the_others_theirs() -> None:
    toolbox = Toolbox(entries=[]).load()
    toolbox.add(Moody())
    assert len(toolbox.phrases(Around())) > 20
    assert (await ask("what time is it", Around(), toolbox))[0] == "It is 2:05 PM UTC."


def test_what_is_no_tool_is_refused() -> None:
    toolbox = Toolbox(entries=[])
    with pytest.raises(TypeError, match="is not a Tool"):
        toolbox.add("dice")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="entry point's 'other'"):
        toolbox.add(Moody(), name="other")
