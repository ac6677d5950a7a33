"""The session's own pipeline, changed by voice: "mirror the picture", "make it a cartoon", "stop the effects".

What can be said follows from the stages there are: each can be turned on and off by its name, and by the phrases
that its class declares::

    phrases = {"mirror [the] (picture|video)": {}, "flip it": {"direction": "vertical"}, "darker": {"light": "-0.1"}}

A pattern leads to the parameters that it sets. A step, text with a sign, is added to the present value; "<degrees>"
stands for what was said in that slot of the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...errors import InvalidInput, InvalidPipeline, Unavailable
from ...speech.grammar import Command, Phrase, tokens
from ..tools import Surroundings, Tool, ToolResult

STEP = re.compile(r"[+-]\d+(\.\d+)?")
SIMPLE = re.compile(r"[a-z]+( [a-z]+){0,3}")  # a phrase that is also a name: "black and white"

ON = ("(turn on|switch on|enable|add|start|show|show me|use|apply|activate|make it|make me|give me|i want|put on) "
      "[the|a|an|some] <stage> [effect|filter|effects|on]",
      "(turn|switch) [the] <stage> [effect|filter] on", "<stage> (effect|filter|on)")
OFF = ("(turn off|switch off|disable|remove|stop|hide|end|deactivate|no|no more|without|take away|take off) "
       "[the] <stage> [effect|filter|effects]", "(turn|switch) [the] <stage> [effect|filter] off", "<stage> off")
ALL_OFF = ("(stop|remove|clear|disable|turn off|switch off|no|no more|reset|take off|without|drop|end) [all] [of] "
           "[the|my] (effects|filters|effect|filter)",
           "(turn|switch) [all] [the] (effects|filters) off",
           "[show] [me] [the] (normal|plain|original) (picture|video)",
           "[go] back to normal", "make (it|the picture|the video) normal [again]", "reset the (picture|video)")
BLIND = "There is no picture here."
LIST = ("(what|which) (effects|filters) (are there|do you have|can you do|are on|can i use)",
        "(list|tell me) [all] [the] (effects|filters)")


@dataclass(frozen=True, slots=True)
class Way:
    """What one declared phrase does."""

    stage: str
    parameters: dict[str, Any]


class Steering(Tool):
    name = "steer"
    description = ("Changes the user's live picture and sound: turns effects on and off, sets their parameters, makes "
                   "the sound louder or quieter.")
    parameters: ClassVar[dict[str, Any]] = {"type": "object", "required": ["action"], "properties": {
        "action": {"type": "string", "enum": ["on", "off", "all_off", "list"]},
        "stage": {"type": "string", "description": "the effect's name; ask with action 'list'"},
        "parameters": {"type": "object", "description": "of the effect"}}}
    example = "mirror the picture"

    def commands(self, around: Surroundings) -> tuple[Phrase, ...]:
        if around.steer is None:
            return ()
        described = list(_steerable(around))
        names = {name: stage["name"] for stage in described for name in _names(stage)}
        phrases = [Phrase("all_off", ALL_OFF), Phrase("list", LIST)]
        phrases += [Phrase(f"way.{number}", (pattern,)) for number, (pattern, _) in enumerate(_ways(described))]
        if names:
            phrases += [Phrase("on", ON, lists={"stage": names}), Phrase("off", OFF, lists={"stage": names})]
        return tuple(phrases)

    def arguments(self, command: Command, around: Surroundings) -> dict[str, Any] | None:
        kind, _, number = command.name.partition(".")
        if kind == "way":
            _, way = list(_ways(_steerable(around)))[int(number)]
            filled = {name: command.slots.get(value[1:-1], value) if isinstance(value, str) else value
                      for name, value in way.parameters.items()}
            return {"action": "on", "stage": way.stage, "parameters": filled}
        return {"action": kind, **({"stage": command.slots["stage"]} if "stage" in command.slots else {})}

    def changes(self, arguments: dict[str, Any]) -> bool:
        return arguments.get("action") != "list"

    async def run(self, arguments: dict[str, Any], around: Surroundings) -> ToolResult:
        action = arguments.get("action")
        described = {stage["name"]: stage for stage in _steerable(around)}
        if action == "list":
            return _told(list(described.values()), around)
        if around.steer is None:
            raise Unavailable("I can't change anything here.")
        if action == "all_off":
            return await _all_off(described, around)
        stage = _found(str(arguments.get("stage", "")), described)
        if action == "off":
            return await _off(stage, around)
        if not _works(stage, around):
            return ToolResult(BLIND, ok=False)
        given = arguments.get("parameters")
        return await _on(stage, given if isinstance(given, dict) else {}, around)


def _steerable(around: Surroundings) -> Iterator[dict[str, Any]]:
    """Effects: what changes pictures, and whatever declares phrases. Not what hears and speaks."""
    for stage in around.stages():
        if "error" not in stage and ("video" in stage["accepts"] or stage.get("phrases")):
            yield stage


def _works(stage: Mapping[str, Any], around: Surroundings) -> bool:
    """Whether there is anything that it would change."""
    accepts = stage["accepts"]
    return "video" not in accepts or "audio" in accepts or "video" in around.kinds()


def _ways(described: Any) -> Iterator[tuple[str, Way]]:
    for stage in described:
        for pattern, parameters in (stage.get("phrases") or {}).items():
            yield pattern, Way(stage["name"], dict(parameters))


def _names(stage: Mapping[str, Any]) -> set[str]:
    """What people call it: its name, its title, and phrases that are a name."""
    simple = {pattern for pattern, parameters in (stage.get("phrases") or {}).items()
              if SIMPLE.fullmatch(pattern) and not parameters}
    names = {stage["name"].replace("_", " ").replace("-", " "), str(stage["title"]).lower(), *simple}
    return {" ".join(tokens(name)) for name in names if tokens(name)}


def _is(stage: Mapping[str, Any]) -> str:
    """"Mirror is", "Captions are"; "Edges are"."""
    title = str(stage["title"])
    return f"{title} {'are' if title.endswith('s') and not title.endswith('ss') else 'is'}"


def _found(name: str, described: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    wanted = " ".join(tokens(name))
    for stage in described.values():
        if wanted in _names(stage):
            return stage
    raise InvalidInput(f"There is no effect called {name[:40] or 'that'}.", field="stage")


def _place(stage: Mapping[str, Any], pipeline: list[dict[str, Any]]) -> int | None:
    """Where the stage stands. Of sound, only what comes after the assistant is what the user hears."""
    begin = 0
    if stage["accepts"] == ["audio"]:
        begin = next((place + 1 for place, other in enumerate(pipeline) if other["stage"] == "assistant"), 0)
    return next((place for place in range(begin, len(pipeline)) if pipeline[place]["stage"] == stage["name"]), None)


async def _on(stage: dict[str, Any], given: Mapping[str, Any], around: Surroundings) -> ToolResult:
    assert around.steer is not None
    pipeline = around.pipeline()
    place = _place(stage, pipeline)
    if place is None:
        place = len(pipeline)
        pipeline.append({"stage": stage["name"]})
    present = pipeline[place]
    properties = stage["params"].get("properties", {})
    pipeline[place] = present | {name: _set(value, present.get(name), properties.get(name, {}))
                                 for name, value in given.items()}
    await _steer(pipeline, around)
    relative = any(isinstance(value, str) and STEP.fullmatch(value) for value in given.values())
    return ToolResult("Okay." if relative else f"{_is(stage)} on.", data={"pipeline": pipeline})


def _set(value: Any, present: Any, schema: Mapping[str, Any]) -> Any:
    """A value, or a step from the present one that stays in range."""
    if not (isinstance(value, str) and STEP.fullmatch(value)):
        return value
    start = present if present is not None else schema.get("default", 0)
    moved = float(start) + float(value)
    moved = min(max(moved, schema.get("minimum", moved)), schema.get("maximum", moved))
    return int(moved) if schema.get("type") == "integer" else moved


async def _off(stage: dict[str, Any], around: Surroundings) -> ToolResult:
    pipeline = around.pipeline()
    place = _place(stage, pipeline)
    if place is None:
        return ToolResult(f"{_is(stage)} not on.", ok=False)
    await _steer([other for other in pipeline if other["stage"] != stage["name"]]
                 if stage["accepts"] != ["audio"] else pipeline[:place] + pipeline[place + 1 :], around)
    return ToolResult(f"{_is(stage)} off.")


async def _all_off(described: Mapping[str, dict[str, Any]], around: Surroundings) -> ToolResult:
    """Effects are what changes pictures; captions and the loudness stay."""
    pipeline = around.pipeline()
    effects = {name for name, stage in described.items()
               if "video" in stage["accepts"] and "text" not in stage["accepts"]}
    kept = [stage for stage in pipeline if stage["stage"] not in effects]
    if len(kept) == len(pipeline):
        return ToolResult("There are no effects on.")
    await _steer(kept, around)
    return ToolResult("The effects are off.")


async def _steer(pipeline: list[dict[str, Any]], around: Surroundings) -> None:
    assert around.steer is not None
    try:
        await around.steer(pipeline)
    except InvalidPipeline as error:
        raise InvalidPipeline(f"That can't be done: {error.detail}", field=error.field) from None


def _told(described: list[dict[str, Any]], around: Surroundings) -> ToolResult:
    usable = [stage for stage in described if _works(stage, around)]
    titles = {stage["name"]: str(stage["title"]).lower() for stage in usable}
    running = [titles[stage["stage"]] for stage in around.pipeline() if stage["stage"] in titles]
    said = f"There are: {', '.join(titles.values())}." if titles else "There are no effects."
    if "video" not in around.kinds():
        said = f"{BLIND} For the sound: {', '.join(titles.values())}." if titles else BLIND
    return ToolResult(said + (f" {' and '.join(running).capitalize()} {'is' if len(running) == 1 else 'are'} on."
                              if running else ""), data={"effects": [
        {"name": stage["name"], "description": stage["doc"], "parameters": stage["params"].get("properties", {})}
        for stage in usable]})
